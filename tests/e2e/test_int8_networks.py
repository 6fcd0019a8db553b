"""Whole networks in int8, from a package to the runner's answers; and what is lost of accuracy."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench import runtimes
from bench.cache import Cache
from bench.compress import method
from bench.compress.method import Destination, Exported, Request
from bench.compress.training import accuracy
from bench.errors import ExportRefused
from bench.export import eager, steps
from bench.networks import resolve
from bench.networks.count import examples
from bench.prepare.compression import learner_of
from bench.runtimes.ncnn.build import build
from bench.runtimes.runtime import Shown
from tests.e2e.native_kit import Run, measure
from tests.unit.compress.compress_kit import learning, quiet, small

INT8 = method("int8")
PICTURES = np.random.default_rng(1).random((24, 3, 16, 16)).astype(np.float32)


class Mixed(nn.Module):
    """Chains in which outputs are int8 too, a residual sum, a concatenation, groups, a transposed convolution."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.first, self.norm = nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16)
        self.wide, self.deep = nn.Conv2d(16, 32, 1), nn.Conv2d(32, 32, 3, padding=1, groups=32)
        self.narrow, self.grouped = nn.Conv2d(32, 16, 1, bias=False), nn.Conv2d(16, 16, 3, padding=1, groups=2)
        self.up, self.last = nn.ConvTranspose2d(32, 4, 2, stride=2), nn.Linear(4 * 16 * 16, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.hardswish(self.norm(self.first(x)))
        x = x + self.narrow(nn.functional.relu6(self.deep(nn.functional.relu6(self.wide(x)))))
        x = torch.cat((x, self.grouped(x).relu()), 1)
        found: Tensor = self.last(self.up(x).flatten(1))
        return found


NETWORK = small(Mixed, 3, 16, 16)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    learner = learning(NETWORK, tmp_path_factory.mktemp("cache"), PICTURES, np.arange(24) % 4)
    return INT8.compress(learner, Request(one_shot=True))


def exported(package: bytes, form: str, runtime: str, folder: Path) -> tuple[nn.Module, np.ndarray, Exported]:
    """The eager module, what it is shown, and its files in `folder`."""
    module = INT8.restored(NETWORK, package, form)
    inputs = tuple(tensor.numpy() for tensor in examples(NETWORK.inputs, 3))
    shown = Shown(inputs, eager.answers(module, inputs))
    to = Destination(runtimes.runtime(runtime), NETWORK.inputs, shown, folder, Cache(folder / "cache"), "key")
    return module, inputs[0], INT8.export(NETWORK, package, form, to)


def run(folder: Path, samples: np.ndarray, precision: str) -> Run:
    param, weights = (folder / "graph.param").read_text(), (folder / "weights.bin").read_bytes()
    return measure(
        folder, param, weights, samples, weights_format="runtime", execution="stock", precision=precision
    )  # fmt: skip


def test_a_network_answers_as_its_eager_form_here_and_on_arm64(package: bytes, tmp_path: Path) -> None:
    module, samples, made = exported(package, "full", "ncnn", tmp_path)
    terms = [word for word in (tmp_path / "graph.param").read_text().split() if word.startswith("8=")]
    assert terms == ["8=2", "8=102", "8=101", "8=2", "8=2"]
    assert made.notes == ("not in int8: grouped (Conv2d), up (ConvTranspose2d)",)
    found = run(tmp_path, samples, "int8")
    assert found.outputs is not None, (found.events, found.stderr)
    wanted = module(torch.from_numpy(samples)).detach().numpy().ravel()
    assert np.abs(found.outputs - wanted).max() <= 1e-5 * np.abs(wanted).max()
    if shutil.which("qemu-aarch64-static") is None:
        pytest.skip("qemu-user-static is not installed")
    program = build("arm64-v8a", Cache()).path
    subprocess.run(["qemu-aarch64-static", program, tmp_path / "job"], check=True, capture_output=True, timeout=120)
    assert np.abs(np.fromfile(tmp_path / "answers.f32", "<f4") - wanted).max() <= 1e-5 * np.abs(wanted).max()


def test_int8_weights_alone_are_as_small_and_compute_in_float(package: bytes, tmp_path: Path) -> None:
    for form in ("full", "weights"):
        (tmp_path / form).mkdir()
    module, samples, _ = exported(package, "weights", "ncnn", tmp_path / "weights")
    exported(package, "full", "ncnn", tmp_path / "full")
    sizes = {form: (tmp_path / form / "weights.bin").stat().st_size for form in ("full", "weights")}
    assert abs(sizes["full"] - sizes["weights"]) < 100
    found = run(tmp_path / "weights", samples, "fp32")
    assert found.outputs is not None, (found.events, found.stderr)
    wanted = module(torch.from_numpy(samples)).detach().numpy().ravel()
    assert np.abs(found.outputs - wanted).max() <= 1e-5 * np.abs(wanted).max()


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_another_runtime_gets_rounding_in_float_and_says_so(package: bytes, tmp_path: Path) -> None:
    module, samples, made = exported(package, "full", "torch", tmp_path)
    assert any("its answers are int8's, its time is not" in note for note in made.notes)
    (file,) = made.files
    found = torch.jit.load(tmp_path / file.path)(  # type: ignore[no-untyped-call]
        torch.from_numpy(samples)
    )
    torch.testing.assert_close(found, module(torch.from_numpy(samples)))


def test_steps_decided_otherwise_are_allowed_for_and_nothing_more(package: bytes, tmp_path: Path) -> None:
    inputs = tuple(tensor.numpy() for tensor in examples(NETWORK.inputs, 3))
    full, weights = (INT8.restored(NETWORK, package, form) for form in ("full", "weights"))
    found = eager.answers(full, inputs)
    (doubt,) = steps.doubt(full, inputs, found)
    assert doubt.shape == (len(inputs[0]),)
    assert 0 <= doubt.max() < 0.02 * np.abs(found.values[0]).max()
    assert steps.doubt(weights, inputs, eager.answers(weights, inputs)) == ()
    again = eager.answers(full, inputs)
    np.testing.assert_array_equal(again.values[0], found.values[0])


def test_less_than_a_point_is_lost_of_a_trained_network(tmp_path: Path) -> None:
    learner = learner_of(resolve("lenet5"), None, Cache(tmp_path), quiet)
    request = Request(epochs=2)
    package, test = INT8.compress(learner, request), learner.needed().test
    whole = accuracy(learner.ordinary(request), test)
    assert whole > 0.8
    assert len(package) < 0.26 * INT8.size(learner.network, package).float32_bytes
    for form in ("full", "weights"):
        assert accuracy(INT8.restored(learner.network, package, form), test) >= whole - 0.01


def test_a_norm_that_cannot_be_folded_before_is_refused(tmp_path: Path) -> None:
    class Branching(nn.Module):
        """torch.fx cannot trace it, and the converter folds its norm all the same."""

        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(1)
            self.conv, self.norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)
            nn.init.uniform_(self.norm.weight, 0.5, 2)

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.norm(self.conv(x))
            return found if len(found.shape) == 4 and int(found.shape[1]) % 2 == 0 else -found

    network = small(Branching, 3, 16, 16)
    learner = learning(network, tmp_path / "learn", PICTURES, np.arange(24) % 4)
    made = INT8.compress(learner, Request(one_shot=True))
    inputs = tuple(tensor.numpy() for tensor in examples(network.inputs, 3))
    shown = Shown(inputs, eager.answers(INT8.restored(network, made, "full"), inputs))
    to = Destination(runtimes.runtime("ncnn"), network.inputs, shown, tmp_path, Cache(tmp_path / "cache"), "key")
    with pytest.raises(ExportRefused, match="no layer with the int8 weights of conv"):
        INT8.export(network, made, "full", to)
