"""The weights of an exported graph, made of a package's tensors."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bench.compress.frequency import factor, layers, package, train
from bench.compress.frequency.package import Package
from bench.errors import ExportRefused
from bench.export import eager, graph, recipes
from bench.export.recipes import Recipe
from bench.models import model
from bench.records import Tensor


def compressed(name: str, total: int) -> nn.Module:
    torch.manual_seed(0)
    network = model(name).build("frequency").eval()
    layers.compress(network, train.targets(network, total))
    train.seed_coefficients(network, seed=0, energy=1.0)
    layers.round_to_half(network)
    return network


def test_the_order_of_recipes_is_found_by_value() -> None:
    one, two, three = (np.full(n, n, np.float32) for n in (1, 2, 3))
    blobs = [graph.Blob("x", n, typed=True) for n in (2, 3, 1)]
    known = [Recipe(one, typed=True), Recipe(two, typed=None), Recipe(three, typed=True)]
    order = recipes.load_order(known, blobs, [two, three, one])
    assert [(loaded.index, loaded.typed) for loaded in order] == [(1, True), (2, True), (0, True)]
    with pytest.raises(ExportRefused, match="no tensor of the package makes"):
        recipes.load_order(known, blobs, [two, three + 1, one])
    with pytest.raises(ExportRefused, match="loaded by no layer"):
        recipes.load_order([*known, Recipe(one, typed=True)], blobs, [two, three, one])


@pytest.mark.parametrize(
    ("name", "shape", "total"), [("lenet5", (1, 28, 28), 776), ("unet", (3, 32, 48), 759), ("unet", (3, 40, 59), 759)]
)
def test_fr_networks_export_one_graph_and_one_package(
    tmp_path: Path, name: str, shape: tuple[int, int, int], total: int
) -> None:
    network = compressed(name, total)
    shipped = layers.shipped(name, network)
    assert shipped.coefficients == total
    blobs = [Recipe(package.blob(t), not t.vector) for t in shipped.tensors]
    order = recipes.export(layers.decoded(network), [Tensor(name="in0", shape=shape)], blobs, tmp_path)
    layer_types = {layer.type for layer in graph.parse((tmp_path / "graph.param").read_text()).layers}
    assert ("Padding" in layer_types) == (shape[1] % 16 != 0 and name == "unet")
    inputs = np.random.default_rng(0).random((2, *shape), np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(inputs)).numpy()
    for form in (layers.decoded(network), factor.factored(network)):
        (found,) = eager.answers(form, [inputs]).values
        assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
    data = package.write(Package(name, tuple(shipped.tensors[loaded.index] for loaded in order)))
    if name == "unet":
        assert len(data) <= 1600
        assert len(data) + (tmp_path / "graph.param").stat().st_size <= 4500


def test_weights_that_the_package_does_not_hold_are_refused(tmp_path: Path) -> None:
    network = compressed("lenet5", 776)
    shipped = layers.shipped("lenet5", network)
    blobs = [Recipe(package.blob(t), not t.vector) for t in shipped.tensors]
    changed = copy.deepcopy(layers.decoded(network))
    changed.fc2.weight.data[3, 7] += 0.01  # type: ignore[union-attr,index,operator]
    with pytest.raises(ExportRefused, match="no tensor of the package makes the 5000 weights"):
        recipes.export(changed, [Tensor(name="in0", shape=(1, 28, 28))], blobs, tmp_path)
