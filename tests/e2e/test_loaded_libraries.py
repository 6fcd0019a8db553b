"""LiteRT and MNN under the same core as ncnn, on files that their own exporters once wrote (tests/loaded_network.py)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import runtimes
from bench.cache import Cache, sha256_file
from bench.devices.adb import AdbServer, AdbTransport
from bench.runtimes.litert import source as litert
from bench.runtimes.mnn import loadable
from bench.runtimes.mnn import source as mnn
from bench.virtual.phone import stop
from tests.e2e.conftest import PhoneMaker
from tests.e2e.loaded_launches import Ended, launch, launch_on, program
from tests.e2e.native_kit import EXITS
from tests.loaded_network import FOLDER, OUTPUTS, SAMPLES, answers

pytestmark = pytest.mark.timeout(900)
FILES = {
    "litert": FOLDER / "litert" / "network.tflite",
    "litert-half": FOLDER / "litert-half" / "network.tflite",
    "mnn": FOLDER / "mnn" / "network.mnn",
}
VERSIONS = {"litert": f"litert {litert.VERSION}", "mnn": f"mnn {mnn.VERSION}"}
NAMES = {"inputs": "in0,in1", "outputs": ",".join(OUTPUTS)}
each = pytest.mark.parametrize("name", VERSIONS)


def measured(name: str, folder: Path, environment: dict[str, str] | None = None, **changes: Any) -> Ended:
    path = changes.pop("path", FILES[name])
    return launch(name.partition("-")[0], path, SAMPLES, folder, environment, **(NAMES | changes))


def expect_eager(found: np.ndarray | None, wanted: np.ndarray) -> None:
    assert found is not None
    assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()


@pytest.mark.parametrize("name", FILES)
def test_it_answers_as_torch_does(name: str, tmp_path: Path) -> None:
    expect_eager(measured(name, tmp_path).answers, answers())


@each
def test_it_reports_as_ncnn_does(name: str, tmp_path: Path) -> None:
    done = measured(name, tmp_path, {"LD_PRELOAD": "/nowhere.so"}, threads=2, affinity="0x1")
    assert [event["event"] for event in done.events] == [
        "environment", "load", "first_inference", "answers", "memory", "end",
    ]  # fmt: skip
    environment = done.event("environment")
    assert environment["runtime"] == VERSIONS[name]
    assert (environment["threads"], environment["cpus_allowed"]) == (2, "0")
    assert 0 < environment["library_rss"] < done.event("memory")["vm_hwm"]
    assert done.event("answers")["counts"] == [5, 8 * 10 * 14, 5]
    expect_eager(done.answers, answers())


@each
def test_inputs_and_outputs_are_found_by_name(name: str, tmp_path: Path) -> None:
    swapped = launch(name, FILES[name], SAMPLES[::-1], tmp_path, inputs="in1,in0", outputs="out1,out0")
    rows = answers().reshape(len(SAMPLES[0]), -1)
    expect_eager(swapped.answers, np.concatenate([rows[:, 5:-5], rows[:, :5]], axis=1).ravel())


@each
def test_every_pass_runs(name: str, tmp_path: Path) -> None:
    counts = {"warmup_iterations": 1, "warmup_ms": 0, "min_iterations": 5, "min_ms": 0, "max_iterations": 5}
    done = measured(name, tmp_path, mode="latency", answers=None, beside=1, load=1, threads=2, **counts)
    assert sum(event["event"] == "iteration" for event in done.events) == 5
    assert done.event("beside")["copies"] == 1
    done = measured(name, tmp_path, mode="sustained", answers=None, seconds=1)
    assert done.event("window")["iterations"] > 0
    assert measured(name, tmp_path, mode="memory", answers=None).status == 0


@each
@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"outputs": "scores"}, "bad_graph", "the graph has no output scores"),
        ({"inputs": "in0,other"}, "bad_graph", "input"),
        ({"inputs": "in1,in0"}, "bad_samples", "another type or shape"),
        ({"inputs": "in0"}, "bad_samples", "samples of 2 inputs for a job of 1"),
        ({"precision": "fp16a"}, "unsupported", "computes in fp32"),
        ({"weights_format": "frq", "execution": "dense"}, "unsupported", "does not load frq weights"),
        ({"path": Path("/dev/null")}, "bad_graph", "file"),
        ({"path": Path("/nowhere")}, "bad_graph", "file"),
    ],
)
def test_what_it_cannot_do_it_says(name: str, tmp_path: Path, changes: dict[str, Any], kind: str, words: str) -> None:
    done = measured(name, tmp_path, **changes)
    assert done.refusal[0] == kind, done
    assert words in done.refusal[1]
    assert done.status == EXITS[kind]


@each
def test_a_picture_of_another_size_is_refused(name: str, tmp_path: Path) -> None:
    larger = np.zeros((1, 3, 12, 17), np.float32)
    done = launch(name, FILES[name], (larger, SAMPLES[1][:1]), tmp_path, **NAMES)
    assert done.refusal == ("bad_samples", "the samples of in0 have another type or shape than the graph takes")


@each
def test_cut_and_changed_files_end_with_an_event(name: str, tmp_path: Path) -> None:
    """LiteRT reads a file without looking whether it is whole, and faults: the core says so, and what it was doing."""
    good, random = FILES[name].read_bytes(), np.random.default_rng(9)
    path = tmp_path / "damaged"
    for cut in (0, 3, 8, 100, len(good) // 2, len(good) - 100):
        path.write_bytes(good[:cut])
        assert measured(name, tmp_path, path=path).refusal[0] == "bad_graph"
    for _ in range(12):
        changed = bytearray(good)
        for place in random.integers(len(good), size=4):
            changed[place] = random.integers(256)
        path.write_bytes(changed)
        done = measured(name, tmp_path, path=path)  # which looks for the end event
        assert done.status in (0, *(EXITS[kind] for kind in ("bad_graph", "inference_failed", "out_of_memory")))


@each
def test_a_phone_that_hides_its_cpus_is_told_before_the_library_is_loaded(name: str, tmp_path: Path) -> None:
    done = measured(name, tmp_path, {"BENCH_SYSFS_ROOT": str(tmp_path)})
    assert [event["event"] for event in done.events] == ["error", "end"]
    assert done.refusal[0] == "unsupported"


def test_another_litert_is_refused(tmp_path: Path) -> None:
    """It is told by its size: nothing in it says its version."""
    *_, library = program("litert", runtimes.host_abi()).files
    other = tmp_path / "libLiteRt.so"
    other.write_bytes(library.path.read_bytes() + b"\0")
    done = launch("litert", FILES["litert"], SAMPLES, tmp_path, library=other, **NAMES)
    assert done.refusal == ("missing_file", f"this is not LiteRT {litert.VERSION}")


def test_only_what_is_loaded_of_mnns_engine_is_pushed(tmp_path: Path) -> None:
    _, engine = mnn.fetch(runtimes.host_abi(), Cache(), lambda *_: None)
    assert engine.stat().st_size < 10e6
    loadable.write(engine, tmp_path / "again.so")
    assert sha256_file(tmp_path / "again.so") == sha256_file(engine), "nothing is left to be left out"


@pytest.fixture(scope="module")
def arm(phone_maker: PhoneMaker) -> Iterator[AdbTransport]:
    phone = phone_maker.start("pixel-8-arm64")
    yield AdbServer(*phone_maker.adb.address).choose(phone.serial)
    stop(phone.serial)


@pytest.mark.skipif(shutil.which("qemu-aarch64-static") is None, reason="qemu-user-static is not installed")
@pytest.mark.skipif(shutil.which("apt-get") is None, reason="glibc for another processor comes from Debian's packages")
@each
def test_an_arm_phone_answers_alike(name: str, arm: AdbTransport, tmp_path: Path) -> None:
    done = launch_on(arm, name, FILES[name], SAMPLES, tmp_path, threads=2, **NAMES)
    assert done.event("environment")["abi"] == "arm64-v8a"
    expect_eager(done.answers, answers())
    refused = launch_on(arm, name, FILES[name], SAMPLES, tmp_path, inputs="in0,in1", outputs="scores")
    assert refused.refusal == ("bad_graph", "the graph has no output scores")
