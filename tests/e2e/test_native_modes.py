"""The events of each mode, in the contract's order, and what the numbers in them must obey."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.runtimes.ncnn import source
from bench.runtimes.ncnn.build import host_abi
from tests.e2e.native_kit import EXITS, Tensor, execute, graph, job_text, measure, ncnn_weights, package, packed, runner

PARAM = graph("Input in0 0 1 in0 0=6 1=5 2=4", "Convolution conv 1 1 in0 out0 0=8 1=3 5=0 6=288")
WEIGHT = Tensor((8, 4, 3, 3), np.linspace(-1, 1, 20), half=True)
SAMPLES = np.random.default_rng(3).normal(size=(3, 4, 5, 6)).astype(np.float32)


def run(folder: Path, **changes: Any) -> Any:
    return measure(folder, PARAM, package(WEIGHT), SAMPLES, **changes)


def test_version_is_an_environment_event() -> None:
    done = subprocess.run([runner(), "--version"], capture_output=True, text=True, check=True)
    environment = json.loads(done.stdout)
    assert environment["event"] == "environment"
    assert environment["contract"] == 3
    assert environment["runtime"] == f"ncnn {source.VERSION}"
    assert environment["abi"] == host_abi()
    assert set(environment["kernels_used"]) <= set(environment["kernels"])
    assert ("asimdhp" in environment["kernels"]) == host_abi().endswith("arm64-v8a")


def test_the_digests_of_files_are_those_of_sha256sum(tmp_path: Path) -> None:
    """Around the sizes where its padding needs another block, and beyond one buffer."""
    paths = [tmp_path / str(size) for size in (0, 1, 55, 56, 63, 64, 65, 119, 120, 128, 1 << 20, (1 << 20) + 57)]
    for path in paths:
        path.write_bytes(np.random.default_rng(1).bytes(int(path.name)))
    done = subprocess.run([runner(), "--sha256", *paths], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p}" for p in paths]


def test_a_missing_file_does_not_hide_the_digests_of_others(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"abc")
    command = [runner(), "--sha256", tmp_path / "missing", tmp_path / "there"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == EXITS["missing_file"]
    assert "missing: No such file" in done.stderr
    assert done.stdout == f"{hashlib.sha256(b'abc').hexdigest()}  {tmp_path / 'there'}\n"


def test_accuracy_writes_every_sample(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.names == ["environment", "decode", "load", "first_inference", "answers", "memory", "end"]
    assert done.event("answers") == {
        "event": "answers",
        "path": str(tmp_path / "answers.f32"),
        "samples": 3,
        "bytes": 3 * 8 * 3 * 4 * 4,
        "counts": [8 * 3 * 4],
    }
    assert done.outputs is not None
    assert len(done.outputs) == 3 * 8 * 3 * 4
    assert np.isfinite(done.outputs).all()
    assert 0 <= done.event("decode")["ns"] <= done.event("load")["ns"] <= done.event("end")["ns"]


def test_memory_measures_one_inference(tmp_path: Path) -> None:
    done = run(tmp_path, mode="memory")
    assert done.names == ["environment", "decode", "load", "first_inference", "memory", "end"]
    memory = done.event("memory")
    assert 0 < memory["anonymous"] <= memory["rss"] <= memory["vm_hwm"] < 64e6
    assert 0 < memory["pss"] <= memory["rss"]


def test_memory_without_a_rollup_is_summed_over_mappings(tmp_path: Path) -> None:
    """As on kernels before 4.14. A file that is empty stands in for the one that is missing."""
    run(tmp_path, mode="memory")
    hidden = 'mount --bind /dev/null /proc/$$/smaps_rollup && exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", hidden, "sh", str(runner()), str(tmp_path / "job")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout:
        pytest.skip("needs to be root to hide a file")
    memory = next(event for event in map(json.loads, done.stdout.splitlines()) if event["event"] == "memory")
    assert 0 < memory["anonymous"] <= memory["pss"] <= memory["rss"]


def test_latency_reports_every_iteration(tmp_path: Path) -> None:
    done = run(tmp_path, mode="latency", warmup_iterations=4, min_iterations=7, min_ms=0, max_iterations=1000)
    iterations = [e for e in done.events if e["event"] == "iteration"]
    assert [e["i"] for e in iterations] == list(range(7))
    assert all(e["ns"] > 0 for e in iterations)
    assert done.event("warmup")["iterations"] >= 4
    expected = ["environment", "decode", "load", "first_inference", "warmup", *["iteration"] * 7, "memory", "end"]
    assert done.names == expected


def test_latency_goes_on_until_the_time_is_up(tmp_path: Path) -> None:
    done = run(
        tmp_path, mode="latency", warmup_iterations=0, warmup_ms=30, min_iterations=1, min_ms=40, max_iterations=10**7
    )
    assert done.event("warmup")["ns"] >= 30e6
    assert done.event("warmup")["iterations"] > 10
    assert sum(e["ns"] for e in done.events if e["event"] == "iteration") > 20e6


def test_latency_stops_at_the_most_iterations(tmp_path: Path) -> None:
    done = run(tmp_path, mode="latency", min_iterations=3, min_ms=60_000, max_iterations=6)
    assert done.names.count("iteration") == 6


def test_environment_tells_what_is_in_force(tmp_path: Path) -> None:
    cpu = min(os.sched_getaffinity(0))
    done = run(tmp_path, affinity=f"0x{1 << cpu:x}", threads=2)
    environment = done.event("environment")
    assert environment["cpus_allowed"] == str(cpu)
    assert (environment["threads"], environment["precision"]) == (2, "fp32")


def test_bf16_storage_is_close_and_not_equal(tmp_path: Path) -> None:
    exact, rounded = run(tmp_path).outputs, run(tmp_path, precision="bf16").outputs
    assert 0 < np.abs(exact - rounded).max() < 0.03 * np.abs(exact).max()


def test_fp32_is_exact_to_single_precision(tmp_path: Path) -> None:
    """No half precision anywhere on the way: weights of 1 + 2^-20 would be rounded to 1."""
    weight = np.full((1, 1, 1, 1), 1 + 2.0**-20, np.float32)
    param = graph("Input in0 0 1 in0", "Convolution conv 1 1 in0 out0 0=1 1=1 5=0 6=1")
    done = measure(
        tmp_path,
        param,
        ncnn_weights((True, weight)),
        np.ones((1, 1, 2, 2)),
        weights_format="runtime",
        execution="stock",
    )
    assert done.outputs is not None
    assert (done.outputs == np.float32(1 + 2.0**-20)).all()


def int8_network() -> tuple[str, bytes]:
    """A 1×1 convolution with int8 weights: 4-byte tag, weights, bias, scales of weights and of the input."""
    weights = np.array([[64, -127], [127, 32]], np.int8)
    blob = b"\x38\x4b\x0d\x00" + weights.tobytes()
    scales = np.array([127.0, 127.0, 100.0], "<f4").tobytes()
    param = graph("Input in0 0 1 in0", "Convolution conv 1 1 in0 out0 0=2 1=1 5=0 6=4 8=2")
    return param, blob + scales


def test_int8_network_in_int8(tmp_path: Path) -> None:
    param, weights = int8_network()
    x = np.array([0.5, -1.0], np.float32).reshape(1, 2, 1, 1)
    done = measure(tmp_path, param, weights, x, weights_format="runtime", execution="stock", precision="int8")
    assert done.outputs is not None
    assert np.abs(done.outputs - [64 / 127 * 0.5 + 1.0, 0.5 - 32 / 127]).max() < 0.02


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_int8_network_in_floats_is_refused(tmp_path: Path, precision: str) -> None:
    param, weights = int8_network()
    x = np.ones((1, 2, 1, 1))
    done = measure(tmp_path, param, weights, x, weights_format="runtime", execution="stock", precision=precision)
    assert done.event("error")["kind"] == "unsupported"


def test_float_network_in_int8_is_refused(tmp_path: Path) -> None:
    assert run(tmp_path, precision="int8").event("error")["kind"] == "unsupported"


def test_a_cpu_that_lacks_what_the_build_has_is_told_so(tmp_path: Path) -> None:
    """Even before main(), where ncnn's own constructors run."""
    emulator = shutil.which("qemu-x86_64-static")
    kernels = json.loads(subprocess.run([runner(), "--version"], capture_output=True, check=True).stdout)["kernels"]
    if emulator is None or host_abi() != "x86_64" or "avx512" not in kernels:
        pytest.skip("needs qemu-user and a CPU with AVX-512, which qemu does not have")
    done = subprocess.run([emulator, "-cpu", "Nehalem", runner(), "--version"], capture_output=True, check=False)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == EXITS["unsupported"]
    assert [event["event"] for event in events] == ["error", "end"]
    assert "this CPU does not have" in events[0]["message"]


@pytest.mark.skipif(host_abi().endswith("arm64-v8a"), reason="these CPUs compute in half precision")
@pytest.mark.parametrize("precision", ["fp16s", "fp16a"])
def test_half_precision_is_refused_where_it_does_not_exist(tmp_path: Path, precision: str) -> None:
    assert run(tmp_path, precision=precision).event("error")["kind"] == "unsupported"


def test_strings_are_escaped(tmp_path: Path) -> None:
    """Quotes, backslashes and bytes that are not UTF-8 still make one JSON object a line."""
    answers = os.fsencode(tmp_path) + b'/a "b" \\ \xff \xc3\xa9'
    (tmp_path / "net.param").write_text(PARAM)
    (tmp_path / "net.weights").write_bytes(package(WEIGHT))
    (tmp_path / "samples.bsmp").write_bytes(packed(SAMPLES))
    text = job_text(tmp_path, answers=None).encode() + b"answers = " + answers + b"\n"
    (tmp_path / "job").write_bytes(text)
    done = execute(tmp_path / "job")
    assert done.event("answers")["path"] == os.fsdecode(tmp_path) + '/a "b" \\ \N{REPLACEMENT CHARACTER} é'
    assert os.path.exists(answers)
