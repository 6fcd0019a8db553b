"""An exported graph whose weights are made of a package's tensors, proved blob by blob."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from bench.errors import ExportRefused
from bench.export import graph, ncnn
from bench.export.proof import Floats
from bench.records import Tensor

TOLERANCE = 1e-5
"""Of the largest |value| in a blob: how far a decoded weight may be from torch's, both computed in floating point."""


@dataclass(frozen=True)
class Recipe:
    """What a runtime will make of one tensor of a package, executed dense.

    `typed` as in ncnn; None for values that are stored as they are, which a layer may load either way.
    """

    blob: Floats
    typed: bool | None


@dataclass(frozen=True)
class Loaded:
    """The place of a recipe in the list, and whether the graph loads its blob with a type word before it."""

    index: int
    typed: bool


def export(network: nn.Module, inputs: Sequence[Tensor], recipes: Sequence[Recipe], folder: Path) -> tuple[Loaded, ...]:
    """Write graph.param of a network with decoded weights, and return the order in which the graph loads `recipes`, and
    how.

    Raises ToolMissing, and ExportRefused unless the recipes, in that order, make exactly the weights of `network`.
    """
    converted, values = ncnn.convert(network, inputs, [_any(tensor) for tensor in inputs])
    graph.write(converted, folder / "graph.param")
    return load_order(recipes, converted.blobs(), values)


def _any(tensor: Tensor) -> Floats:
    return np.random.default_rng(0).random((1, *tensor.shape), np.float32)


def load_order(recipes: Sequence[Recipe], blobs: Sequence[graph.Blob], values: Sequence[Floats]) -> tuple[Loaded, ...]:
    """Which recipe makes the next blob, again and again to the end. Raises ExportRefused for a blob that none makes,
    and for a recipe that is left over."""
    order: list[Loaded] = []
    left = list(range(len(recipes)))
    for blob, value in zip(blobs, values, strict=True):
        index = next((index for index in left if _makes(recipes[index], blob, value)), None)
        if index is None:
            raise ExportRefused(
                f"no tensor of the package makes the {blob.count} weights that {blob.layer} loads",
                "The converter changed them; this network cannot be shipped as coefficients.",
            )
        order.append(Loaded(index, blob.typed))
        left.remove(index)
    if left:
        raise ExportRefused(f"{len(left)} tensors of the package are loaded by no layer")
    return tuple(order)


def _makes(recipe: Recipe, blob: graph.Blob, value: Floats) -> bool:
    if recipe.typed not in (None, blob.typed) or recipe.blob.size != value.size:
        return False
    return bool(np.abs(recipe.blob.reshape(-1) - value).max() <= TOLERANCE * np.abs(value).max())
