"""Load that goes on, the largest picture, and the clocks that the kernel reports meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.e2e.native_kit import EXITS, Run, Tensor, graph, job_text, measure, package, packed, runner

OPEN = graph("Input in0 0 1 in0", "Convolution conv 1 1 in0 out0 0=8 1=3 5=0 6=288")
FIXED = graph("Input in0 0 1 in0 0=6 1=5 2=4", "Convolution conv 1 1 in0 out0 0=8 1=3 5=0 6=288")
WEIGHT = Tensor((8, 4, 3, 3), np.linspace(-1, 1, 20), half=True)
SAMPLES = np.random.default_rng(3).normal(size=(3, 4, 5, 6)).astype(np.float32)
CPUS = sorted(os.sched_getaffinity(0))


@pytest.fixture(autouse=True)
def sysfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What stands for /sys in this test: nothing, as on a machine that has no cpufreq."""
    monkeypatch.setenv("BENCH_SYSFS_ROOT", str(tmp_path / "sys"))
    return tmp_path / "sys"


def run(folder: Path, param: str = OPEN, samples: Any = SAMPLES, /, **changes: Any) -> Run:
    return measure(folder, param, package(WEIGHT), samples, **changes)


def policy(sysfs: Path, cpus: list[int], states: str | None, frequency: str | None = None, related: str = "") -> None:
    """The cpufreq folders of CPUs that share one clock."""
    texts = {"stats/time_in_state": states, "scaling_cur_freq": frequency}
    texts["related_cpus"] = related or " ".join(map(str, cpus)) + "\n"
    for cpu in cpus:
        for name, text in texts.items():
            path = sysfs / f"devices/system/cpu/cpu{cpu}/cpufreq" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is not None:
                path.write_text(text)


def clocks(done: Run) -> list[dict[str, Any]]:
    assert done.status == 0
    return [event for event in done.events if event["event"] == "clock"]


def test_sustained_reports_every_second(tmp_path: Path) -> None:
    done = run(tmp_path, mode="sustained", seconds=2)
    windows = [event for event in done.events if event["event"] == "window"]
    assert list(dict.fromkeys(done.names)) == [
        "environment", "decode", "load", "first_inference", "window", "memory", "end",
    ]  # fmt: skip
    assert [window["i"] for window in windows] == list(range(len(windows)))
    assert windows[0]["ns"] == 0
    seconds = [window["ns"] // 10**9 for window in windows]
    assert seconds == sorted(set(seconds))
    assert all(window["iterations"] > 0 and window["median"] > 0 and window["khz"] == -1 for window in windows)
    assert done.event("end")["ns"] >= 2e9


def test_an_inference_of_more_than_a_second_makes_a_longer_window(tmp_path: Path) -> None:
    """Work for the fastest of machines: 64 convolutions of 1.2 billion multiply-adds."""
    layers = [f"Convolution c{i} 1 1 b{i} b{i + 1} 0=64 1=3 4=1 6=36864" for i in range(64)]
    param = graph("Input in0 0 1 b0", *layers)
    weights = Tensor((64, 64, 3, 3), np.ones(1))
    done = measure(
        tmp_path, param, package(*[weights] * 64), np.ones((1, 64, 180, 180), np.float32),
        mode="sustained", seconds=1, inputs="b0", outputs="b64",
    )  # fmt: skip
    window = done.event("window")
    assert done.names.count("window") == 1
    assert window["iterations"] * window["median"] > 0.9e9


def test_a_window_is_printed_when_it_ends(tmp_path: Path) -> None:
    run(tmp_path, mode="sustained", seconds=1)
    (tmp_path / "job").write_text(job_text(tmp_path, mode="sustained", seconds=600))
    with subprocess.Popen([runner(), tmp_path / "job"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert any(json.loads(line)["event"] == "window" for line in process.stdout)
            assert process.poll() is None
        finally:
            process.kill()


def test_the_clock_is_the_mean_over_the_time_that_the_kernel_counted(tmp_path: Path, sysfs: Path) -> None:
    """300 ticks at 1 GHz and 100 at 2 GHz, none at 3 GHz, counted while the load goes on."""
    run(tmp_path, mode="sustained", seconds=1)
    before, after = "1000000 500\n2000000 40\n3000000 7\n", "1000000 800\n2000000 140\n3000000 7\n"
    policy(sysfs, CPUS, before, "1500000\n")
    (tmp_path / "job").write_text(job_text(tmp_path, mode="sustained", seconds=3))
    events: list[dict[str, Any]] = []
    with subprocess.Popen([runner(), tmp_path / "job"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            events.append(json.loads(line))
            if (events[-1]["event"], events[-1].get("i")) == ("window", 0):
                policy(sysfs, CPUS, after, "1500000\n")
    words = f"{CPUS[0]}-{CPUS[-1]}" if len(CPUS) > 1 else str(CPUS[0])
    (found,) = [event for event in events if event["event"] == "clock"]
    assert found == {
        "event": "clock", "cpus": words, "khz": 1_250_000, "lowest": 1_000_000, "highest": 2_000_000, "share": 1000,
        "source": "time_in_state",
    }  # fmt: skip
    assert {event["khz"] for event in events if event["event"] == "window"} == {1_500_000}


@pytest.mark.parametrize(
    "states",
    [
        None,
        "",
        "1000000 500\n",  # nothing is counted meanwhile
        "hello\n",
        "1000000\n",
        "1000000 5 5\n",
        "1000000 -5\n",
        "0 5\n",
        "9" * 30 + " 5\n",
        "1000000 " + "9" * 30 + "\n",
        "1000000 5\n" * 5000,
        "1000000 5\n\x00\xff",
    ],
)
def test_where_the_kernel_counts_nothing_usable_its_present_clock_is_taken(
    tmp_path: Path, sysfs: Path, states: str | None
) -> None:
    policy(sysfs, CPUS, states, "1800000\n")
    (found,) = clocks(run(tmp_path, mode="latency"))
    assert (found["khz"], found["lowest"], found["highest"]) == (1_800_000,) * 3
    assert (found["share"], found["source"]) == (1000, "scaling_cur_freq")


@pytest.mark.parametrize("frequency", [None, "", "<unknown>\n", "-5\n", "0\n", "9" * 40, "1000 1000\n", "1e6\n"])
def test_a_clock_that_is_no_number_is_not_reported(tmp_path: Path, sysfs: Path, frequency: str | None) -> None:
    policy(sysfs, CPUS, None, frequency)
    assert clocks(run(tmp_path, mode="latency")) == []


@pytest.mark.parametrize("related", ["fast\n", "0-\n", "3-1\n", "99999999999\n", "0 0\n", "-1\n", " \n"])
def test_a_policy_whose_cpus_are_no_list_is_not_reported(tmp_path: Path, sysfs: Path, related: str) -> None:
    policy(sysfs, CPUS, None, "1800000\n", related)
    assert clocks(run(tmp_path, mode="latency")) == []


def test_a_policy_has_the_share_of_the_iterations_that_ended_on_its_cpus(tmp_path: Path, sysfs: Path) -> None:
    for cpu in CPUS:
        policy(sysfs, [cpu], None, f"{1_000_000 + cpu}\n", f"{cpu} 900 901 902\n")
    found = clocks(run(tmp_path, mode="latency", affinity=f"0x{1 << CPUS[0]:x}"))
    assert [(one["cpus"], one["khz"], one["share"]) for one in found] == [
        (f"{CPUS[0]},900-902", 1_000_000 + CPUS[0], 1000)
    ]
    shares = [one["share"] for one in clocks(run(tmp_path, mode="latency", min_ms=100, max_iterations=10**6))]
    assert shares == sorted(shares, reverse=True)
    assert 990 <= sum(shares) <= 1010


def test_memory_and_accuracy_have_no_clocks(tmp_path: Path, sysfs: Path) -> None:
    policy(sysfs, CPUS, None, "1800000\n")
    assert [clocks(run(tmp_path, mode=mode)) for mode in ("memory", "accuracy")] == [[], []]


@pytest.mark.parametrize("extents", ["5x6", "3x4", "10x12", "7x31", "1x1000", "500x4"])
def test_the_first_sample_is_made_as_large_as_asked_for(tmp_path: Path, extents: str) -> None:
    """A layer that takes only that many values says which size the network was given."""
    height, width = map(int, extents.split("x"))
    param = graph("Input in0 0 1 in0", f"Reshape r 1 1 in0 out0 0={height * width} 1=4")
    done = measure(
        tmp_path, param, b"", SAMPLES, mode="largest", extents=extents, weights_format="runtime", execution="stock"
    )
    assert done.names == ["environment", "load", "first_inference", "memory", "end"]


def test_a_larger_picture_takes_more_memory(tmp_path: Path) -> None:
    peaks = [
        run(tmp_path, mode="largest", extents=extents).event("memory")["vm_hwm"] for extents in ("64x64", "1000x1000")
    ]
    assert peaks[1] - peaks[0] > 4 * (4 + 8) * 990 * 990


@pytest.mark.parametrize(
    ("param", "samples", "extents", "kind", "words"),
    [
        (FIXED, SAMPLES, "10x12", "bad_samples", "4×10×12 for the input in0, which takes 4×5×6"),
        (OPEN, [SAMPLES, SAMPLES], "10x12", "bad_samples", "have 4×5×6, 4×5×6"),
        (OPEN, SAMPLES[:, 0], "10x12", "bad_samples", "have 5×6"),
        (OPEN, SAMPLES.astype(np.int32), "10x12", "bad_samples", "(int32)"),
        (
            OPEN,
            SAMPLES,
            "65536x65536",
            "unsupported",
            "65536×65536: this build tries none of more than 67108864 pixels",
        ),
    ],
)
def test_what_cannot_be_made_larger_is_refused(
    tmp_path: Path, param: str, samples: Any, extents: str, kind: str, words: str
) -> None:
    done = run(tmp_path, param, samples, mode="largest", extents=extents)
    assert (done.status, done.event("error")["kind"]) == (EXITS[kind], kind)
    assert words in done.event("error")["message"]


def test_memory_that_ends_is_said(tmp_path: Path) -> None:
    done = measure(tmp_path, OPEN, package(WEIGHT), SAMPLES, 200 << 20, mode="largest", extents="4000x4000")
    assert done.status == EXITS["out_of_memory"]


def test_a_runner_that_tries_the_largest_picture_goes_first_when_memory_ends(tmp_path: Path) -> None:
    """It waits for its samples meanwhile: they come through a pipe that nobody writes to."""
    (tmp_path / "net.param").write_text(OPEN)
    (tmp_path / "net.weights").write_bytes(package(WEIGHT))
    (tmp_path / "samples.bsmp").write_bytes(packed(SAMPLES))
    os.mkfifo(tmp_path / "pipe")
    job = tmp_path / "job"
    job.write_text(job_text(tmp_path, mode="largest", extents="8x8", samples=tmp_path / "pipe"))
    with subprocess.Popen([runner(), job], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "environment"
        score = Path(f"/proc/{process.pid}/oom_score_adj").read_text()
        threading.Thread(target=(tmp_path / "pipe").write_bytes, args=[b""], daemon=True).start()
        process.communicate()
    assert score == "1000\n"
    assert process.returncode == EXITS["missing_file"]
