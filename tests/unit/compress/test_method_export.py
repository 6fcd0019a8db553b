"""From a package to a runtime's files: in the method's own format where that is loaded, else as an ordinary network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from bench import runtimes
from bench.cache import Cache
from bench.compress import method
from bench.compress.method import Destination, Exported, Request
from bench.export import eager
from bench.networks import Network
from bench.networks.count import examples
from bench.runtimes.runtime import Shown
from tests.unit.compress.compress_kit import learnt, small


def compressed(network: Network, name: str, folder: Path) -> bytes:
    return method(name).compress(learnt(network, folder), Request("30" if name == "fr" else None, one_shot=True))


def exported(network: Network, name: str, form: str, runtime: str, folder: Path) -> Exported:
    package = compressed(network, name, folder)
    module = method(name).restored(network, package, form)
    inputs = tuple(tensor.numpy() for tensor in examples(network.inputs, 3))
    shown = Shown(inputs, eager.answers(module, inputs))
    files = folder / f"{name}-{form}-{runtime}"
    files.mkdir()
    to = Destination(runtimes.runtime(runtime), network.inputs, shown, files, Cache(folder / "cache"), "key")
    return method(name).export(network, package, form, to)


def norm(channels: int) -> nn.Module:
    made = nn.BatchNorm1d(channels)
    nn.init.normal_(made.bias)
    nn.init.uniform_(made.weight, 0.5, 2)
    return made


CLASSIFIER = small(lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(128, 5)), 3, 6, 6)


@pytest.mark.parametrize(("form", "run"), [("auto", "resident"), ("factored", "factored"), ("dense", "dense")])
def test_fr_gives_its_package_to_a_runtime_that_loads_it(form: str, run: str, tmp_path: Path) -> None:
    made = exported(CLASSIFIER, "fr", form, "ncnn", tmp_path)
    assert (made.weights_format, made.execution) == ("frq", run)
    assert [file.role for file in made.files] == ["graph", "weights"]
    assert made.files[1].bytes < 200


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("form", ["auto", "dense"])
def test_fr_becomes_an_ordinary_network_for_any_other(form: str, tmp_path: Path) -> None:
    made = exported(CLASSIFIER, "fr", form, "torch", tmp_path)
    assert (made.weights_format, made.execution) == ("runtime", "stock")
    (file,) = made.files
    (x,) = examples(CLASSIFIER.inputs, 5)
    expected = method("fr").restored(CLASSIFIER, compressed(CLASSIFIER, "fr", tmp_path), form)(x)
    found = torch.jit.load(tmp_path / f"fr-{form}-torch" / file.path)(x)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: nn.Conv2d(3, 8, 3), (3, 6, 6)),
        (lambda: nn.Linear(12, 9), (12,)),
        (lambda: nn.Sequential(nn.Linear(12, 9), norm(9), nn.ReLU()), (12,)),
        (lambda: nn.Sequential(nn.Conv1d(4, 9, 3), norm(9), nn.ReLU()), (4, 7)),
        (lambda: nn.ConvTranspose2d(8, 12, 3, stride=2, groups=4), (8, 5, 5)),
    ],
)
@pytest.mark.parametrize("form", ["auto", "dense"])
def test_fr_of_one_layer_of_any_kind_is_exported(
    make: Callable[[], nn.Module], shape: tuple[int, ...], form: str, tmp_path: Path
) -> None:
    assert exported(small(make, *shape), "fr", form, "ncnn", tmp_path).weights_format == "frq"


def test_half_halves_what_ncnn_is_given(tmp_path: Path) -> None:
    made = exported(CLASSIFIER, "half", "stock", "ncnn", tmp_path)
    weights = 8 * 3 * 3 * 3 + 5 * 128
    assert (made.weights_format, made.execution) == ("runtime", "stock")
    assert made.files[1].bytes == 2 * weights + 2 * 4 + 4 * (8 + 5)


def test_a_small_dense_network_is_given_to_ncnn_in_float16_too(tmp_path: Path) -> None:
    dense = method("dense-small")
    package = dense.compress(learnt(CLASSIFIER, tmp_path), Request("300", one_shot=True, seeded=True))
    module = dense.restored(CLASSIFIER, package, "stock")
    inputs = tuple(tensor.numpy() for tensor in examples(CLASSIFIER.inputs, 3))
    shown = Shown(inputs, eager.answers(module, inputs))
    (files := tmp_path / "files").mkdir()
    to = Destination(runtimes.runtime("ncnn"), CLASSIFIER.inputs, shown, files, Cache(tmp_path / "cache"), "key")
    made = dense.export(CLASSIFIER, package, "stock", to)
    assert (made.weights_format, made.execution) == ("runtime", "stock")
    wide = [parameter.numel() for parameter in module.parameters() if parameter.dim() > 1]
    narrow = [parameter.numel() for parameter in module.parameters() if parameter.dim() == 1]
    assert made.files[1].bytes <= sum(2 * n + 3 for n in wide) + 4 * len(wide) + 4 * sum(narrow)
