"""ncnn on Vulkan, through the real driver of this computer: a software one (llvmpipe), which `make test-gpu` installs.

It tells whether everything works, and how much the answers differ. Of the speed of a GPU it tells nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bench import runtimes
from bench.cache import Cache
from bench.export import eager
from bench.records import Tensor
from bench.results.folder import RunFolder
from bench.runtimes.runtime import Shown
from tests.e2e.command import QUICK, Finished, bench
from tests.e2e.native_kit import EXITS, graph, packed

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(3000)]
PORT = Tensor(name="in0", shape=(3, 12, 16))
SAMPLES = np.random.default_rng(5).normal(size=(3, *PORT.shape)).astype(np.float32)
NET = """
from torch import nn
def build():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=8), nn.ReLU6(),
                         nn.MaxPool2d(2), nn.ConvTranspose2d(8, 6, 2, 2), nn.Sigmoid(), nn.AdaptiveAvgPool2d(1),
                         nn.Flatten(), nn.Linear(6, 5))
"""
SUMS = """
from torch import nn
class Sums(nn.Module):
    def forward(self, x):
        return x.relu().cumsum(3)
def build():
    return Sums()
"""
CUMSUM = graph(
    "Input in0 0 1 in0 0=16 1=12 2=3", "ReLU relu_0 1 1 in0 a", "CumulativeSum cumsum_0 1 1 a b 0=2",
    "Sigmoid sigmoid_0 1 1 b out0",
)  # fmt: skip
COUNTS = {"warmup_iterations": 1, "warmup_ms": 0, "min_iterations": 5, "min_ms": 0, "max_iterations": 5}


def silent(fraction: float, words: str) -> None:
    pass


@dataclass(frozen=True)
class Ended:
    status: int
    events: list[dict[str, Any]]
    errors: str

    def event(self, name: str) -> dict[str, Any]:
        return next(event for event in self.events if event["event"] == name)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(2)
    scope: dict[str, Any] = {}
    exec(NET, scope)
    made: nn.Module = scope["build"]().eval()
    return made


@pytest.fixture(scope="module")
def files(network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ncnn")
    shown = Shown((SAMPLES,), eager.answers(network, (SAMPLES,)))
    runtimes.runtime("ncnn-vulkan").export(network, (PORT,), shown, folder)
    return folder


def measured(files: Path, folder: Path, environment: dict[str, str] | None = None, **changes: Any) -> Ended:
    """One launch on this computer, as a station starts it."""
    program = runtimes.runtime("ncnn-vulkan").program((runtimes.host_abi(),), True, Cache(), silent)
    (folder / "samples.bsmp").write_bytes(packed(SAMPLES))
    keys = {
        "contract": 3, "mode": "accuracy", "graph": files / "graph.param", "weights": files / "weights.bin",
        "weights_format": "runtime", "execution": "stock", "inputs": "in0", "outputs": "out0",
        "samples": folder / "samples.bsmp", "answers": folder / "answers.f32", "threads": 1, "affinity": 0,
        "precision": "fp32",
    } | changes  # fmt: skip
    (folder / "job").write_text("".join(f"{key} = {value}\n" for key, value in keys.items() if value is not None))
    command = [os.fspath(program.files[0].path), os.fspath(folder / "job")]
    done = subprocess.run(
        command, env={**os.environ, **(environment or {})}, capture_output=True, text=True, timeout=600, check=False
    )
    return Ended(done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr)


def test_it_answers_as_torch_does_and_tells_what_computed(files: Path, network: nn.Module, tmp_path: Path) -> None:
    done = measured(files, tmp_path)
    assert [event["event"] for event in done.events] == [
        "environment", "load", "accelerator", "first_inference", "answers", "memory", "end",
    ], done  # fmt: skip
    told = done.event("accelerator")
    assert (told["software"], told["elsewhere"], told["names"]) == (1, 0, [])
    assert told["device"].startswith("llvmpipe")
    assert told["layers"] >= 5
    with torch.no_grad():
        wanted = network(torch.from_numpy(SAMPLES)).numpy()
    found = np.fromfile(tmp_path / "answers.f32", "<f4").reshape(wanted.shape)
    assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()


def test_a_layer_that_vulkan_has_not_is_computed_on_the_cpu_and_named(tmp_path: Path) -> None:
    (tmp_path / "graph.param").write_text(CUMSUM)
    (tmp_path / "weights.bin").write_bytes(b"")
    done = measured(tmp_path, tmp_path)
    told = done.event("accelerator")
    assert (told["layers"], told["elsewhere"], told["names"]) == (3, 1, ["cumsum_0 (CumulativeSum)"])
    wanted = 1 / (1 + np.exp(-np.maximum(SAMPLES, 0).cumsum(3)))
    found = np.fromfile(tmp_path / "answers.f32", "<f4").reshape(wanted.shape)
    assert np.abs(found - wanted).max() <= 1e-5


def test_every_pass_runs_also_beside_a_copy_with_a_driver_of_its_own(files: Path, tmp_path: Path) -> None:
    done = measured(files, tmp_path, mode="latency", answers=None, beside=1, load=1, **COUNTS)
    assert sum(event["event"] == "iteration" for event in done.events) == 5, done
    assert done.event("beside")["copies"] == 1
    done = measured(files, tmp_path, mode="sustained", answers=None, seconds=1)
    assert done.event("window")["iterations"] > 0
    assert measured(files, tmp_path, mode="memory", answers=None).status == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"precision": "fp16a"}, "fp32 alone"),
        ({"weights_format": "frq", "execution": "dense"}, "which no GPU computes"),
        ({"mode": "layers", "answers": None, **COUNTS}, "no layer has a time of its own"),
        ({"mode": "largest", "answers": None, "extents": "32x32"}, "not a GPU's"),
    ],
)
def test_what_it_cannot_do_it_says(files: Path, tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    done = measured(files, tmp_path, **changes)
    assert done.status == EXITS["unsupported"], done
    assert words in done.event("error")["message"]


@pytest.mark.parametrize("driver", ["/nowhere.json", "empty"])
def test_without_a_driver_it_says_so(files: Path, tmp_path: Path, driver: str) -> None:
    if driver == "empty":
        (tmp_path / "empty.json").write_text('{\n"library_path": "/dev/null"\n}\n')
        driver = str(tmp_path / "empty.json")
    done = measured(files, tmp_path, {"VK_ICD_FILENAMES": driver, "VK_DRIVER_FILES": driver})
    assert done.status == EXITS["unsupported"], done
    assert "Vulkan driver" in done.event("error")["message"]


def test_a_run_tells_which_layers_ran_where_and_fails_where_a_gpu_is_required(
    virtual_phone: Any, env: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "sums.py").write_text(SUMS)
    protocol = QUICK.replace("launches = 3", "launches = 1", 1)
    strict = protocol.replace("[protocol]", "[cases.protocol]") + 'require = "gpu"\n'
    (tmp_path / "plan.toml").write_text(
        'name = "gpu"\ndesktop = ["ncnn-vulkan"]\n' + protocol
        + '[[cases]]\nmodel = "net.py:build"\nlabel = "conv"\ninput = "3x12x16"\nvariants = ["baseline", "half"]\n'
        + '[[cases]]\nmodel = "sums.py:build"\nlabel = "sums"\ninput = "3x12x16"\nvariants = ["baseline"]\n' + strict
    )  # fmt: skip
    asked = ("run", "--json", "--plan", "plan.toml", "-s", virtual_phone.serial, "--results", tmp_path / "results")
    folder = RunFolder(Finished(json.loads(bench(*asked, env=env, cwd=tmp_path).stdout)).folder)
    here = [m for m in folder.measurements() if m.trial.subject.device == "desktop"]
    assert {m.trial.subject.runtime for m in here} == {"ncnn-vulkan"}
    for one in (m for m in here if m.trial.subject.model == "conv" and m.trial.pass_ != "size"):
        told = one.conditions["accelerator"]
        there, _, layers = told["layers computed there"].partition(" of ")
        assert there == layers
        assert "a software Vulkan (a CPU)" in told["device"]
        timed = one.trial.pass_ != "accuracy"
        assert one.status == ("tagged" if timed else "ok"), one
        assert ("its figures are no GPU's" in one.reason) == timed
    sums = [m for m in here if m.trial.subject.model == "sums" and m.trial.pass_ != "size"]
    assert sums
    for one in sums:
        assert one.status == "failed"
        assert "is a software Vulkan, which computes on the CPU; 1 of 2 layers" in one.reason
        assert "(CumulativeSum)" in one.reason
    there = [m for m in folder.measurements() if m.trial.subject.runtime == "ncnn"]
    assert all(m.status in ("ok", "tagged") for m in there)
