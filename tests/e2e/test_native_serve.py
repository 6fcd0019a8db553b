"""Several networks served at once: each gets its share, they are exchanged while requests go on, nothing is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.measure import lines
from bench.measure.job import Service
from bench.scheduled import Serving
from tests.e2e.native_kit import (
    EXITS,
    Run,
    execute,
    graph,
    job_text,
    ncnn_weights,
    packed,
    runner,
)
from tests.e2e.test_native_neighbours import eventually, processes
from tests.e2e.test_native_nested import GOOD as NESTED
from tests.e2e.test_native_nested import PARAM, SAMPLES, SEGMENTS
from tests.e2e.test_native_nested_fr import exported

SIZES = {"small": 200, "large": 1200}


@pytest.fixture
def candidates(tmp_path: Path) -> list[Path]:
    """Job files of two fully connected networks; an inference of the large one takes some tenths of a millisecond."""
    found = []
    for name, size in SIZES.items():
        folder = tmp_path / name
        folder.mkdir()
        layer = f"InnerProduct ip 1 1 in0 out0 0={size} 1=0 2={size * size}"
        (folder / "net.param").write_text(graph("Input in0 0 1 in0", layer))
        (folder / "net.weights").write_bytes(ncnn_weights((True, np.ones(size * size) / size)))
        (folder / "samples.bsmp").write_bytes(packed(np.ones((1, size), np.float32)))
        (folder / "job").write_text(job_text(folder, mode="memory", weights_format="runtime", execution="stock"))
        found.append(folder / "job")
    return found


def service(candidates: list[Path], *phases: tuple[int, list[tuple[int, int]]], rates: tuple[float, ...]) -> str:
    return Service([str(path) for path in candidates], rates, 4, phases).text()


def served(folder: Path, text: str) -> tuple[Serving, Run]:
    (folder / "job").write_text(text)
    done = execute(folder / "job")
    assert done.status == 0, done.events[-2:]
    reading = lines.read([json.dumps(event) for event in done.events], 0)
    assert reading.serving is not None
    return reading.serving, done


def test_two_networks_answer_their_requests_each_on_its_share(tmp_path: Path, candidates: list[Path]) -> None:
    found, _ = served(tmp_path, service(candidates, (1000, [(0, 250), (1, 500)]), rates=(10, 20)))
    small, large = found.served
    assert (len(small.requests), len(large.requests)) == (10, 20)
    assert small.own
    assert large.own
    length = found.phases[0].ns
    assert small.granted / length == pytest.approx(0.25, abs=0.05)
    assert large.granted / length == pytest.approx(0.5, abs=0.05)
    assert large.rss > small.rss > 0
    assert found.phases[0].rss >= large.rss


def test_a_network_that_always_computes_gets_no_more_of_the_processor_than_its_share(
    tmp_path: Path, candidates: list[Path]
) -> None:
    found, _ = served(tmp_path, service(candidates[1:], (1500, [(0, 300)]), rates=(1000,)))
    (one,) = found.served
    assert one.later, "requests come faster than they can be answered one by one"
    assert one.inferences == len(one.own)
    assert one.cpu is not None
    assert 0 < one.cpu / found.phases[0].ns < 0.36


def test_a_network_is_exchanged_for_another_while_requests_go_on(tmp_path: Path, candidates: list[Path]) -> None:
    phases = ((500, [(1, 800)]), (500, [(0, 200)]), (500, [(1, 800)]))
    found, done = served(tmp_path, service(candidates, *phases, rates=(20,)))
    assert [(one.phase, one.way) for one in found.exchanges] == [(1, "load"), (2, "load")]
    folders = [path.parent for path in candidates]
    sizes = [sum((folder / name).stat().st_size for name in ("net.param", "net.weights")) for folder in folders]
    assert [one.bytes for one in found.exchanges] == sizes
    assert all(one.ns is None or one.ns > 0 for one in found.exchanges)
    assert [len(one.requests) for one in found.served] == [10, 10, 10]
    assert found.served[1].rss < found.served[0].rss
    assert done.names[0] == "environment"
    assert done.names[-2:] == ["request", "end"]
    assert processes(tmp_path / "job") == set()


def test_capacities_of_one_package_are_exchanged_in_place(tmp_path: Path) -> None:
    (tmp_path / "net.param").write_text(PARAM)
    (tmp_path / "net.weights").write_bytes(NESTED)
    (tmp_path / "samples.bsmp").write_bytes(packed(SAMPLES))
    form = {"mode": "memory", "weights_format": "nested", "execution": "stock"}
    jobs = [tmp_path / f"job{capacity}" for capacity in (1, 2, 3)]
    for capacity, job in enumerate(jobs, 1):
        job.write_text(job_text(tmp_path, capacity=capacity, **form))
    phases = tuple((300, [(candidate, 900)]) for candidate in (2, 0, 1))
    found, done = served(tmp_path, service(jobs, *phases, rates=(50,)))
    assert [one.way for one in found.exchanges] == ["capacity", "capacity"]
    # What nothing was kept of is read again.
    read = [sum(map(len, SEGMENTS[:capacity])) for capacity in (1, 2)]
    assert [one.bytes for one in found.exchanges] == read
    assert all(one.ns is not None and one.ns > 0 for one in found.exchanges)
    assert all(one.own for one in found.served)
    assert len({event["network"] for event in done.events if event["event"] == "served"}) == 1


def test_a_capacity_that_is_loaded_counts_with_its_own_part_of_the_file(tmp_path: Path, candidates: list[Path]) -> None:
    (tmp_path / "net.param").write_text(PARAM)
    (tmp_path / "net.weights").write_bytes(NESTED)
    (tmp_path / "samples.bsmp").write_bytes(packed(SAMPLES))
    form = {"mode": "memory", "weights_format": "nested", "execution": "stock"}
    jobs = [tmp_path / f"job{capacity}" for capacity in (1, 3)]
    for capacity, job in zip((1, 3), jobs, strict=True):
        job.write_text(job_text(tmp_path, capacity=capacity, **form))
    phases = tuple((300, [(candidate, 900)]) for candidate in (0, 1, 0, 2))
    found, _ = served(tmp_path, service([candidates[0], *jobs], *phases, rates=(50,)))
    assert [one.way for one in found.exchanges] == ["load"] * 3
    graph_bytes, behind = len(PARAM), sum(map(len, SEGMENTS[1:]))
    assert found.exchanges[0].bytes == graph_bytes + len(NESTED) - behind
    assert found.exchanges[2].bytes == graph_bytes + len(NESTED)


def test_capacities_that_have_a_graph_each_are_exchanged_in_place_too(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    made = exported("resident", 4, tmp_path / "made", tmp_path_factory.getbasetemp() / "packages")
    folder = made.folder
    (folder / "samples.bsmp").write_bytes(packed(np.ones((1, 3, 12, 12), np.float32)))
    graphs = {number: folder / f"graph{number}.param" for number in (1, 2, 3)} | {4: folder / "graph.param"}
    jobs = []
    for own in (1, 4):
        others = {f"graph{number}": path for number, path in graphs.items() if number != own}
        keys = {"graph": graphs[own], "weights": folder / "weights.frq", "capacity": own, **others}
        jobs.append(folder / f"job{own}")
        jobs[-1].write_text(job_text(folder, mode="memory", execution="resident", **keys))
    found, _ = served(tmp_path, service(jobs, *((300, [(number, 900)]) for number in (0, 1, 0)), rates=(50,)))
    assert [one.way for one in found.exchanges] == ["capacity", "capacity"]
    assert all(one.own for one in found.served)
    jobs[0].write_text(jobs[0].read_text().replace(str(graphs[4]), str(graphs[3])))
    found, _ = served(tmp_path, service(jobs, (300, [(0, 900)]), (300, [(1, 900)]), rates=(50,)))
    assert [one.way for one in found.exchanges] == ["load"]


def test_a_request_that_nobody_answered_counts_until_the_end(tmp_path: Path, candidates: list[Path]) -> None:
    """The share is so small that its first turn comes after the end."""
    found, _ = served(tmp_path, service(candidates[1:], (150, [(0, 1)]), rates=(20,)))
    (one,) = found.served
    assert not one.own
    assert [round(ns / 5e7) for ns in one.none] == [3, 2, 1]


def started(folder: Path, candidates: list[Path]) -> subprocess.Popen[str]:
    (folder / "job").write_text(service(candidates, (60_000, [(0, 300), (1, 300)]), rates=(20, 20)))
    inherited = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup has it ignored, by whatever it starts too
    try:
        return subprocess.Popen([runner(), folder / "job"], stdout=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGHUP, inherited)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_networks_end_with_a_runner_that_is_ended_stopped_or_not(
    tmp_path: Path, candidates: list[Path], how: signal.Signals
) -> None:
    with started(tmp_path, candidates) as process:
        try:
            assert eventually(lambda: len(processes(tmp_path / "job")) == 3)
            process.send_signal(how)
            assert eventually(lambda: processes(tmp_path / "job") == set())
        finally:
            process.kill()


def test_a_network_that_is_killed_fails_the_launch_and_is_named(tmp_path: Path, candidates: list[Path]) -> None:
    with started(tmp_path, candidates) as process:
        try:
            assert eventually(lambda: len(processes(tmp_path / "job")) == 3)
            os.kill(max(processes(tmp_path / "job") - {process.pid}), signal.SIGKILL)
            events = [json.loads(line) for line in process.communicate()[0].splitlines()]
        finally:
            process.kill()
    assert process.returncode == EXITS["out_of_memory"]
    assert "was killed: most likely there is not enough memory for it" in events[-2]["message"]
    assert events[-2]["message"].startswith("network ")
    assert processes(tmp_path / "job") == set()


def test_a_network_that_cannot_be_loaded_says_why(tmp_path: Path, candidates: list[Path]) -> None:
    (candidates[1].parent / "net.weights").write_bytes(b"none")
    (tmp_path / "job").write_text(service(candidates, (500, [(0, 300), (1, 300)]), rates=(20, 20)))
    error = execute(tmp_path / "job").event("error")
    assert error["message"].startswith("network 1 (candidate 1) failed: ")
    assert "net.weights" in error["message"]
    assert processes(tmp_path / "job") == set()


GOOD: dict[str, Any] = {
    "contract": 3, "mode": "serve", "networks": 1, "rate1": 1000, "period_us": 4000, "phases": 1, "phase1": "100,0@500",
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"phase1": "100,0@1001"}, "not between 1 and 1000"),
        ({"phase1": "100,0@0"}, "not between 1 and 1000"),
        ({"phase1": "100,1@500"}, "not between 0 and 0"),
        ({"phase1": "100,0"}, "not of the form CANDIDATE@THOUSANDTHS"),
        ({"phase1": "100"}, "not a time and one candidate for each network"),
        ({"phase1": "0,0@500"}, "not between 1 and"),
        ({"networks": 2, "rate2": 1000, "phase1": "100,0@500,0@501"}, "more than 1000 thousandths"),
        ({"networks": 17}, "not between 1 and 16"),
        ({"rate1": 0}, "not between 1 and"),
        ({"rate1": 1_000_000, "phase1": "86400000,0@500"}, "more than 100000 requests"),
        ({"phases": 2}, "the key phase2 is missing"),
        ({"graph": "x"}, "the key graph is unknown, or not of this mode"),
        ({"candidates": "/nowhere"}, "No such file"),
    ],
)
def test_a_service_that_is_wrong_is_refused(
    tmp_path: Path, candidates: list[Path], changes: dict[str, Any], words: str
) -> None:
    keys = GOOD | {"candidates": candidates[0]} | changes
    (tmp_path / "job").write_text("".join(f"{key} = {value}\n" for key, value in keys.items()))
    assert words in execute(tmp_path / "job").event("error")["message"]


def test_a_candidate_of_another_mode_is_refused(tmp_path: Path, candidates: list[Path]) -> None:
    candidates[0].write_text(candidates[0].read_text().replace("memory", "sustained") + "seconds = 1\n")
    keys = GOOD | {"candidates": candidates[0]}
    (tmp_path / "job").write_text("".join(f"{key} = {value}\n" for key, value in keys.items()))
    assert "a candidate's mode is memory" in execute(tmp_path / "job").event("error")["message"]
