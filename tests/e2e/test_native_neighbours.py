"""Others at work beside a measurement: they really run, their failures are told, and nothing of them is left."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.virtual import phone as phones
from tests.e2e.conftest import Adb, PhoneMaker
from tests.e2e.native_kit import (
    EXITS,
    Run,
    Tensor,
    execute,
    graph,
    job_text,
    measure,
    ncnn_weights,
    package,
    packed,
    runner,
)

PARAM = graph("Input in0 0 1 in0", "Convolution conv 1 1 in0 out0 0=8 1=3 5=0 6=288")
WEIGHT = Tensor((8, 4, 3, 3), np.linspace(-1, 1, 20), half=True)
SAMPLES = np.ones((1, 4, 40, 40), np.float32)
LONG: dict[str, Any] = {"mode": "latency", "min_ms": 60_000, "max_iterations": 10_000_000}


def run(folder: Path, **changes: Any) -> Run:
    keys = {"mode": "latency", "min_ms": 300, "max_iterations": 1_000_000} | changes
    return measure(folder, PARAM, package(WEIGHT), SAMPLES, **keys)


def processes(job: Path) -> set[int]:
    """Every process that was started with that job."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if os.fsencode(job) in entry.read_bytes().split(b"\0"):
                found.add(int(entry.parent.name))
        except OSError:
            pass
    return found


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def started(folder: Path, **changes: Any) -> subprocess.Popen[str]:
    """The runner at a job that would take a minute."""
    (folder / "net.param").write_text(PARAM)
    (folder / "net.weights").write_bytes(package(WEIGHT))
    (folder / "samples.bsmp").write_bytes(packed(SAMPLES))
    (folder / "job").write_text(job_text(folder, **LONG | changes))
    return subprocess.Popen([runner(), folder / "job"], stdout=subprocess.PIPE, text=True)


def test_copies_and_load_work_beside_and_are_gone_afterwards(tmp_path: Path) -> None:
    done = run(tmp_path, beside=2, load=2)
    assert done.status == 0
    found = done.event("beside")
    assert (found["copies"], found["load"]) == (2, 2)
    assert found["inferences"] > 0
    kinds = list(dict.fromkeys(done.names))
    assert kinds[:6] == ["environment", "decode", "load", "first_inference", "warmup", "iteration"]
    assert kinds[6] == "beside"
    assert kinds[-2:] == ["memory", "end"]
    assert processes(tmp_path / "job") == set()


def test_load_alone_makes_no_inferences(tmp_path: Path) -> None:
    found = run(tmp_path, beside=0, load=1).event("beside")
    assert (found["copies"], found["load"], found["inferences"]) == (0, 1, 0)


def test_with_nothing_beside_nothing_is_said_of_it(tmp_path: Path) -> None:
    assert "beside" not in run(tmp_path, min_ms=1).names


def test_copies_run_with_as_many_threads(tmp_path: Path) -> None:
    assert run(tmp_path, beside=1, threads=2).event("beside")["inferences"] > 0


def test_copies_run_on_the_same_cpus(tmp_path: Path) -> None:
    cpu = min(os.sched_getaffinity(0))
    with started(tmp_path, beside=1, load=1, affinity=f"0x{1 << cpu:x}") as process:
        try:
            assert eventually(lambda: len(processes(tmp_path / "job")) == 3)
            copies = processes(tmp_path / "job") - {process.pid}
            assert [os.sched_getaffinity(copy) for copy in copies] == [{cpu}, {cpu}]
        finally:
            process.kill()


def test_copies_end_with_a_runner_that_is_killed(tmp_path: Path) -> None:
    with started(tmp_path, beside=2, load=1) as process:
        try:
            assert eventually(lambda: len(processes(tmp_path / "job")) == 4)
        finally:
            process.kill()
    assert eventually(lambda: processes(tmp_path / "job") == set())


def test_a_copy_that_is_killed_fails_the_launch(tmp_path: Path) -> None:
    with started(tmp_path, beside=1, min_ms=1000) as process:
        try:
            assert eventually(lambda: len(processes(tmp_path / "job")) == 2)
            (copy,) = processes(tmp_path / "job") - {process.pid}
            os.kill(copy, signal.SIGKILL)
            events = [json.loads(line) for line in process.communicate()[0].splitlines()]
        finally:
            process.kill()
    assert process.returncode == EXITS["out_of_memory"]
    assert "iteration" not in {event["event"] for event in events}
    assert events[-2]["kind"] == "out_of_memory"
    assert "copy 1 of the network beside this one was killed" in events[-2]["message"]


def test_a_copy_that_cannot_load_its_files_says_why(tmp_path: Path) -> None:
    """A path that leads somewhere for one process only: its own threads are listed there."""
    run(tmp_path, beside=1)
    weights = tmp_path / "net.weights"
    job, own = shlex.quote(str(tmp_path / "job")), shlex.quote(str(tmp_path / "own"))
    here = f"sed s:{weights}:/proc/self/task/$$/cwd/net.weights: {job} > {own}; exec {runner()} {own}"
    done = subprocess.run(["sh", "-c", here], cwd=tmp_path, capture_output=True, text=True, check=False)
    error = next(event for event in map(json.loads, done.stdout.splitlines()) if event["event"] == "error")
    assert done.returncode == EXITS["inference_failed"]
    assert error["kind"] == "inference_failed"
    assert "copy 1 of the network beside this one failed: " in error["message"]
    assert "net.weights: No such file" in error["message"]
    assert processes(tmp_path / "own") == set()


def test_a_network_that_is_wrong_is_refused_by_its_own_name(tmp_path: Path) -> None:
    run(tmp_path, beside=2)
    (tmp_path / "net.weights").write_bytes(b"nothing")
    assert execute(tmp_path / "job").event("error")["kind"] == "bad_weights"
    assert processes(tmp_path / "job") == set()


def test_a_copy_goes_first_when_memory_ends(tmp_path: Path) -> None:
    with started(tmp_path, beside=1) as process:
        try:
            assert eventually(lambda: len(processes(tmp_path / "job")) == 2)
            (copy,) = processes(tmp_path / "job") - {process.pid}
            assert eventually(lambda: Path(f"/proc/{copy}/oom_score_adj").read_text() == "1000\n")
        finally:
            process.kill()


def test_the_memory_of_a_virtual_phone_holds_the_copies_too(phone_maker: PhoneMaker, adb: Adb, tmp_path: Path) -> None:
    """A network of 16 MB fits into 128 MB, thirteen of them do not."""
    phone = phone_maker.start(ram=128 << 20)
    device = adb.on(phone)
    folder = Path("/data/local/tmp")
    (tmp_path / "net.param").write_text(graph("Input in0 0 1 in0", "InnerProduct ip 1 1 in0 out0 0=2000 1=0 2=4000000"))
    (tmp_path / "net.weights").write_bytes(ncnn_weights((True, np.ones(4_000_000))))
    (tmp_path / "samples.bsmp").write_bytes(packed(np.ones((1, 2000), np.float32)))
    keys: dict[str, Any] = {"mode": "latency", "weights_format": "runtime", "execution": "stock"}
    for beside in (1, 12):
        (tmp_path / f"job{beside}").write_text(job_text(folder, **keys, beside=beside))
    files = [runner(), *(tmp_path / name for name in ("net.param", "net.weights", "samples.bsmp", "job1", "job12"))]
    try:
        assert device.run("push", *map(str, files), str(folder)).returncode == 0
        device.shell(f"chmod 755 {folder}/{runner().name}")
        fits, fails = (device.run("shell", f"{folder}/{runner().name} {folder}/job{beside}") for beside in (1, 12))
        left = device.shell("ps -ef")
    finally:
        phones.stop(phone.serial)
    assert fits.returncode == 0, fits.stdout
    assert b'"event":"beside"' in fits.stdout
    assert fails.returncode in (EXITS["out_of_memory"], 137), fails.stdout
    assert "job12" not in left
