"""ONNX Runtime under the same core as ncnn: on this computer, on a virtual phone, and on one with another processor."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bench import runtimes
from bench.cache import Cache
from bench.export import onnx_file
from bench.records import Tensor
from bench.results.folder import RunFolder
from bench.runtimes.onnxruntime.source import VERSION
from bench.virtual.phone import stop
from tests.e2e.command import QUICK, Finished, bench
from tests.e2e.conftest import PhoneMaker
from tests.e2e.loaded_kit import LATENCY, Ended, launched, silent
from tests.e2e.native_kit import EXITS

pytestmark = pytest.mark.timeout(900)
PORT = Tensor(name="in0", shape=(3, 12, 16))
SAMPLES = np.random.default_rng(5).normal(size=(3, *PORT.shape)).astype(np.float32)
NET = """
from torch import nn
def build():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=8), nn.ReLU6(),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))
"""
PLAN = (
    QUICK.replace("launches = 3", "launches = 1", 1)
    + """
[[cases]]
model = "net.py:build"
label = "conv"
input = "3x12x16"
variants = ["baseline", "half", {name = "baseline", runtime = "ncnn", label = "by-ncnn"}]

[[cases]]
model = "lenet5"
variants = ["baseline", "fr-auto"]
"""
)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(2)
    scope: dict[str, Any] = {}
    exec(NET, scope)
    made: nn.Module = scope["build"]().eval()
    return made


@pytest.fixture(scope="module")
def graph(network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "network.onnx"
    onnx_file.export(network, (PORT,), (SAMPLES,), 1, path, half=False)
    return path


def measured(onnx: Path, folder: Path, environment: dict[str, str] | None = None, **changes: Any) -> Ended:
    graph = Path(changes.pop("graph", onnx))
    return launched("onnxruntime", graph, (SAMPLES,), folder, environment=environment, **changes)


def test_it_answers_as_torch_does_and_reports_as_ncnn_does(graph: Path, network: nn.Module, tmp_path: Path) -> None:
    done = measured(graph, tmp_path, {"LD_PRELOAD": "/nowhere.so"}, threads=2, affinity="0x1")
    assert [event["event"] for event in done.events] == [
        "environment", "load", "first_inference", "answers", "memory", "end",
    ]  # fmt: skip
    environment = done.event("environment")
    assert environment["runtime"] == f"onnxruntime {VERSION}"
    assert environment["threads"] == 2
    assert environment["cpus_allowed"] == "0"
    assert 0 < environment["library_rss"] < done.event("memory")["vm_hwm"]
    with torch.no_grad():
        wanted = network(torch.from_numpy(SAMPLES)).numpy()
    found = done.values(len(SAMPLES))
    assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()


def test_nothing_is_written_or_kept_that_reports_to_the_librarys_maker(graph: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    measured(graph, tmp_path, {"HOME": str(home), "XDG_CACHE_HOME": str(home)})
    assert list(home.rglob("*")) == []


def test_every_pass_runs(graph: Path, tmp_path: Path) -> None:
    done = measured(graph, tmp_path, mode="latency", answers=None, beside=1, load=1, **LATENCY)
    assert sum(event["event"] == "iteration" for event in done.events) == 5
    assert done.event("beside")["copies"] == 1
    done = measured(graph, tmp_path, mode="sustained", answers=None, seconds=1)
    assert done.event("window")["iterations"] > 0
    assert measured(graph, tmp_path, mode="memory", answers=None).status == 0


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"outputs": "scores"}, "bad_graph", "the graph has no output scores"),
        ({"graph": "/dev/null"}, "bad_graph", ""),
        ({"precision": "fp16a"}, "unsupported", "computes in fp32"),
        ({"weights_format": "frq", "execution": "dense"}, "unsupported", "does not load frq weights"),
        ({"inputs": "in0,in1"}, "bad_samples", "samples of 1 inputs for a job of 2"),
        ({"inputs": "other"}, "inference_failed", "other"),
    ],
)
def test_what_it_cannot_do_it_says(graph: Path, tmp_path: Path, changes: dict[str, Any], kind: str, words: str) -> None:
    done = measured(graph, tmp_path, **changes)
    assert done.event("error")["kind"] == kind, done
    assert words in done.event("error")["message"]
    assert done.status == EXITS[kind]


def test_a_phone_that_hides_its_cpus_is_told_before_the_library_is_loaded(graph: Path, tmp_path: Path) -> None:
    done = measured(graph, tmp_path, {"BENCH_SYSFS_ROOT": str(tmp_path)})
    assert [event["event"] for event in done.events] == ["error", "end"]
    assert done.status == EXITS["unsupported"]
    assert "does not let programs read" in done.event("error")["message"]
    assert "measure with ncnn" in done.event("error")["message"]


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plan")
    (folder / "net.py").write_text(NET)
    (folder / "plan.toml").write_text('name = "ort"\n' + PLAN)
    return folder / "plan.toml"


def run(serial: str, plan: Path, results: Path, env: dict[str, str], *more: str) -> Finished:
    asked = ("run", "--json", "--plan", plan, "--runtime", "onnxruntime", "-s", serial, "--results", results, *more)
    return Finished(json.loads(bench(*asked, env=env, cwd=plan.parent).stdout))


def test_a_phone_and_this_computer_measure_networks_by_it(
    plan: Path, virtual_phone: Any, env: dict[str, str], tmp_path: Path
) -> None:
    found = run(virtual_phone.serial, plan, tmp_path, env)
    frame, folder = found.frame, RunFolder(found.folder)
    assert all(m.status in ("ok", "tagged") for m in folder.measurements()), [m.reason for m in folder.measurements()]
    measured_by = {(row.device == "desktop", row.variant, row.runtime) for row in frame.itertuples()}
    assert (False, "by-ncnn", "ncnn") in measured_by
    assert {(place, name, "onnxruntime") for place in (True, False) for name in ("baseline", "half")} <= measured_by
    assert (True, "baseline", "ncnn") not in measured_by
    by_ort = [artifact for artifact in folder.record().artifacts if artifact.runtime == "onnxruntime"]
    assert {artifact.execution for artifact in by_ort} == {"stock"}
    assert all(one.headroom < 0.1 for artifact in by_ort for one in artifact.verified)
    half, whole = (next(a for a in by_ort if (a.model, a.variant) == ("conv", name)) for name in ("half", "baseline"))
    assert half.deployed_bytes < whole.deployed_bytes
    facts = next(f for name, f in folder.record().toolchain.items() if name == f"onnxruntime, {virtual_phone.serial}")
    assert facts["bytes"][f"ONNX Runtime {VERSION}"] > 20e6
    assert set(facts["bytes"]) == {
        "loader", "C and C++ libraries", "runner", "backend", f"ONNX Runtime {VERSION}",
    }  # fmt: skip


def test_two_runtimes_are_measured_side_by_side_and_compared(
    plan: Path, virtual_phone: Any, env: dict[str, str], tmp_path: Path
) -> None:
    found = run(virtual_phone.serial, plan, tmp_path, env, "--runtime", "ncnn", "--model", "conv", "--variant", "half")
    measured_by = {(row.device == "desktop", row.runtime) for row in found.frame.itertuples()}
    assert {(True, "ncnn"), (True, "onnxruntime"), (False, "ncnn"), (False, "onnxruntime")} <= measured_by
    page = (found.folder / "report.html").read_text(encoding="utf-8")
    assert "onnxruntime ÷ it" in page
    record = RunFolder(found.folder).record()
    assert record.plan["runtime"] == ["onnxruntime", "ncnn"]
    assert record.absent == {}


@pytest.mark.skipif(shutil.which("qemu-aarch64-static") is None, reason="qemu-user-static is not installed")
@pytest.mark.skipif(shutil.which("apt-get") is None, reason="glibc for another processor comes from Debian's packages")
def test_an_arm_phone_answers_alike(plan: Path, phone_maker: PhoneMaker, env: dict[str, str], tmp_path: Path) -> None:
    arm = phone_maker.start("pixel-8-arm64")
    try:
        found = run(arm.serial, plan, tmp_path, env, "--variant", "baseline")
    finally:
        stop(arm.serial)
    agreement = found.summaries("agreement", device=arm.serial)
    assert len(agreement) == 2
    assert all(s["statistics"]["median"] == 1 for s in agreement)
    files = runtimes.runtime("onnxruntime").program(("arm64-v8a",), False, Cache(), silent).files
    assert min(alignment(file.path) for file in files) >= 16 * 1024, "phones with pages of 16 KiB refuse less"


def alignment(path: Path) -> int:
    """The least alignment of the parts of an ELF file of 64 bits that are loaded (System V ABI, figure 5-1)."""
    data = path.read_bytes()
    (start,), (size, count) = struct.unpack_from("<Q", data, 32), struct.unpack_from("<HH", data, 54)
    parts = [struct.unpack_from("<IIQQQQQQ", data, start + number * size) for number in range(count)]
    return min(part[-1] for part in parts if part[0] == 1)


def test_its_own_profiler_times_the_layers(graph: Path, tmp_path: Path) -> None:
    """In the order of execution, and nothing of its file is left."""
    times = {"warmup_iterations": 2, "warmup_ms": 0, "min_iterations": 20, "min_ms": 0, "max_iterations": 20}
    done = measured(graph, tmp_path, mode="layers", answers=None, **times)
    layers = [event for event in done.events if event["event"] == "layer"]
    assert done.status == 0, done.events
    assert done.event("layers") | {"ns": 0} == {
        "event": "layers", "count": len(layers), "iterations": 20, "ns": 0, "whole": -1,
    }  # fmt: skip
    assert any("Conv" in layer["type"] for layer in layers)
    assert sum(layer["ns"] for layer in layers) <= done.event("layers")["ns"]
    assert layers[-1]["outputs"][0]["shape"] == [5]
    assert not [path for path in tmp_path.iterdir() if ".profile" in path.name]


def test_the_values_between_its_layers_are_not_to_be_had(graph: Path, tmp_path: Path) -> None:
    times = {"warmup_iterations": 0, "warmup_ms": 0, "min_iterations": 1, "min_ms": 0, "max_iterations": 1}
    done = measured(graph, tmp_path, mode="layers", **times)
    assert done.status == EXITS["unsupported"]
    assert "between its layers" in done.event("error")["message"]
