"""A graph whose weights a package's tensors make."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bench import networks
from bench.compress.frequency import factor, layers, train
from bench.errors import ExportRefused
from bench.export import eager, frequency, graph
from bench.export.frequency import Recipe
from bench.records import Tensor


def compressed(name: str, total: int) -> nn.Module:
    torch.manual_seed(0)
    found = networks.resolve(name)
    network = (found.learner or found.build)(0).eval()
    layers.compress(network, train.targets(network, total))
    train.seed_coefficients(network, seed=0, energy=1.0)
    layers.round_to_half(network)
    return network


def test_the_order_of_recipes_is_found_by_value() -> None:
    one, two, three = (np.full(n, n, np.float32) for n in (1, 2, 3))
    blobs = [graph.Blob("x", n, typed=True) for n in (2, 3, 1)]
    recipes = [Recipe(one, typed=True), Recipe(two, typed=None), Recipe(three, typed=True)]
    order = frequency.load_order(recipes, blobs, [two, three, one])
    assert [(loaded.index, loaded.typed) for loaded in order] == [(1, True), (2, True), (0, True)]
    with pytest.raises(ExportRefused, match="no tensor of the package makes"):
        frequency.load_order(recipes, blobs, [two, three + 1, one])
    with pytest.raises(ExportRefused, match="loaded by no layer"):
        frequency.load_order([*recipes, Recipe(one, typed=True)], blobs, [two, three, one])


@pytest.mark.parametrize(
    ("name", "shape", "total"), [("lenet5", (1, 28, 28), 776), ("unet", (3, 32, 48), 759), ("unet", (3, 40, 59), 759)]
)
def test_fr_networks_export_one_graph_and_one_package(
    tmp_path: Path, name: str, shape: tuple[int, int, int], total: int
) -> None:
    network = compressed(name, total)
    frequency.export_fr(name, network, [Tensor(name="in0", shape=shape)], tmp_path)
    exported = frequency.read(tmp_path)
    assert exported.package.coefficients == total
    assert ("Padding" in {layer.type for layer in exported.graph.layers}) == (shape[1] % 16 != 0 and name == "unet")
    inputs = np.random.default_rng(0).random((2, *shape), np.float32)
    (expected,) = eager.answers(network, [inputs]).values
    for form in (layers.decoded(network), factor.factored(network)):
        (found,) = eager.answers(form, [inputs]).values
        assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
    if name == "unet":
        package, param = ((tmp_path / file).stat().st_size for file in ("weights.frq", "graph.param"))
        assert package <= 1600
        assert package + param <= 4500
