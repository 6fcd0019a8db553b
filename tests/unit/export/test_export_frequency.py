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
        frequency.load_order([*recipes, Recipe(two, typed=True)], blobs, [two, three, one])


def test_a_factor_of_ones_and_a_term_of_zeros_may_be_dropped() -> None:
    one, neutral = np.full(1, 5, np.float32), [np.ones(4, np.float32), np.zeros(4, np.float32)]
    recipes = [Recipe(one, typed=True), *(Recipe(values, typed=None) for values in neutral)]
    assert len(frequency.load_order(recipes, [graph.Blob("x", 1, typed=True)], [one])) == 1


@pytest.mark.parametrize(
    ("network", "shape"),
    [
        (nn.Conv2d(3, 8, 3), (3, 8, 8)),
        (nn.Linear(12, 7), (12,)),
        (nn.Sequential(nn.Linear(12, 9), nn.BatchNorm1d(9)), (12,)),
        (nn.Sequential(nn.Conv1d(3, 8, 3), nn.BatchNorm1d(8)), (3, 12)),
        (nn.Sequential(nn.Conv2d(3, 8, 3), nn.ConvTranspose2d(8, 8, 2, stride=2, groups=2)), (3, 8, 8)),
        (nn.Sequential(nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.PReLU(8), nn.Conv2d(8, 4, 3)), (3, 8, 8)),
    ],
)
def test_small_networks_export_too(tmp_path: Path, network: nn.Module, shape: tuple[int, ...]) -> None:
    network.eval()
    layers.compress(network, train.targets(network, sum(p.numel() for p in network.parameters()) // 2))
    train.seed_coefficients(network, seed=0, energy=1.0)
    frequency.export_fr("small", network, [Tensor(name="in0", shape=shape)], tmp_path)
    assert frequency.read(tmp_path).package.coefficients


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
