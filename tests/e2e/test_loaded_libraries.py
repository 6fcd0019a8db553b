"""LiteRT and MNN under the same core as ncnn, on files that their exporters once wrote (tests/loaded_network.py)."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import runtimes
from bench.cache import Cache, sha256_file
from bench.runtimes.litert import source as litert
from bench.runtimes.mnn import loadable
from bench.runtimes.mnn import source as mnn
from tests.e2e.loaded_kit import LATENCY, Ended, launched, silent
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
CPUS = """\
processor\t: 0
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x1
CPU part\t: 0xd05
CPU revision\t: 0

"""
"""What an ARM kernel says of its CPUs; qemu-user shows this computer's, of which LiteRT makes a fault."""
TRANSLATED = 'mount --bind "$0" /proc/cpuinfo && exec qemu-aarch64-static "$@"'
each = pytest.mark.parametrize("name", VERSIONS)


def measured(name: str, folder: Path, **changes: Any) -> Ended:
    path = changes.pop("path", FILES[name])
    return launched(name.partition("-")[0], path, SAMPLES, folder, **(NAMES | changes))


def expect_eager(done: Ended, wanted: np.ndarray) -> None:
    assert done.status == 0, done
    found = done.values(len(SAMPLES[0]))
    assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()


def refusal(done: Ended) -> tuple[str, str]:
    error = done.event("error")
    return error["kind"], error["message"]


@pytest.mark.parametrize("name", FILES)
def test_it_answers_as_torch_does(name: str, tmp_path: Path) -> None:
    expect_eager(measured(name, tmp_path), answers())


@each
def test_it_reports_as_ncnn_does(name: str, tmp_path: Path) -> None:
    done = measured(name, tmp_path, environment={"LD_PRELOAD": "/nowhere.so"}, threads=2, affinity="0x1")
    assert [event["event"] for event in done.events] == [
        "environment", "load", "first_inference", "answers", "memory", "end",
    ]  # fmt: skip
    environment = done.event("environment")
    assert environment["runtime"] == VERSIONS[name]
    assert (environment["threads"], environment["cpus_allowed"]) == (2, "0")
    assert 0 < environment["library_rss"] < done.event("memory")["vm_hwm"]
    assert done.event("answers")["counts"] == [5, 8 * 8 * 12, 5]
    expect_eager(done, answers())


@each
def test_inputs_and_outputs_are_found_by_name(name: str, tmp_path: Path) -> None:
    swapped = launched(name, FILES[name], SAMPLES[::-1], tmp_path, inputs="in1,in0", outputs="out1,out0")
    expect_eager(swapped, np.concatenate([answers()[:, 5:-5], answers()[:, :5]], axis=1))


@each
def test_every_pass_runs(name: str, tmp_path: Path) -> None:
    done = measured(name, tmp_path, mode="latency", answers=None, beside=1, load=1, threads=2, **LATENCY)
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
    assert refusal(done)[0] == kind, done
    assert words in refusal(done)[1]
    assert done.status == EXITS[kind]


@each
def test_a_picture_of_another_size_is_refused(name: str, tmp_path: Path) -> None:
    larger = np.zeros((1, 3, 12, 17), np.float32)
    done = launched(name, FILES[name], (larger, SAMPLES[1][:1]), tmp_path, **NAMES)
    assert refusal(done) == ("bad_samples", "the samples of in0 have another type or shape than the graph takes")


@each
def test_cut_and_changed_files_end_with_an_event(name: str, tmp_path: Path) -> None:
    """LiteRT reads a file without looking whether it is whole, and faults: the core says so, and what it was doing."""
    good, random = FILES[name].read_bytes(), np.random.default_rng(9)
    path = tmp_path / "damaged"
    for cut in (0, 3, 8, 100, len(good) // 2, len(good) - 100):
        path.write_bytes(good[:cut])
        assert refusal(measured(name, tmp_path, path=path))[0] == "bad_graph"
    for _ in range(12):
        changed = bytearray(good)
        for place in random.integers(len(good), size=4):
            changed[place] = random.integers(256)
        path.write_bytes(changed)
        done = measured(name, tmp_path, path=path)  # which looks for the end event
        assert done.status != EXITS["missing_file"]


@each
def test_a_phone_that_hides_its_cpus_is_told_before_the_library_is_loaded(name: str, tmp_path: Path) -> None:
    done = measured(name, tmp_path, environment={"BENCH_SYSFS_ROOT": str(tmp_path)})
    assert [event["event"] for event in done.events] == ["error", "end"]
    assert refusal(done)[0] == "unsupported"


def test_another_litert_is_refused(tmp_path: Path) -> None:
    """It is told by its size: nothing in it says its version."""
    program = runtimes.runtime("litert").program((runtimes.host_abi(),), True, Cache(), silent)
    paths = [os.fspath(file.path) for file in program.files]
    other = tmp_path / "libLiteRt.so"
    other.write_bytes(Path(paths[-1]).read_bytes() + b"\0")
    command = [part.format(*paths[:-1], other) for part in program.command]
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == EXITS["missing_file"], done
    assert f"this is not LiteRT {litert.VERSION}" in done.stderr


def test_only_what_is_loaded_of_mnns_engine_is_pushed(tmp_path: Path) -> None:
    _, engine = mnn.fetch(runtimes.host_abi(), Cache(), lambda *_: None)
    assert engine.stat().st_size < 10e6
    loadable.write(engine, tmp_path / "again.so")
    assert sha256_file(tmp_path / "again.so") == sha256_file(engine), "nothing is left to be left out"


@pytest.mark.skipif(shutil.which("qemu-aarch64-static") is None, reason="qemu-user-static is not installed")
@pytest.mark.skipif(shutil.which("apt-get") is None, reason="glibc for another processor comes from Debian's packages")
@each
def test_an_arm_processor_answers_alike(name: str, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(CPUS)
    before = ["unshare", "-Urm", "sh", "-c", TRANSLATED, os.fspath(tmp_path / "cpuinfo")]
    done = measured(name, tmp_path, abi="arm64-v8a", before=before, threads=2)
    assert done.event("environment")["abi"] == "arm64-v8a"
    expect_eager(done, answers())
    refused = measured(name, tmp_path, abi="arm64-v8a", before=before, outputs="scores")
    assert refusal(refused) == ("bad_graph", "the graph has no output scores")
