"""From a network of Frequency Regularization to what a phone runs: a graph and a package; and why it is so."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
from numpy.typing import NDArray

from bench.compress.frequency import package
from bench.errors import ExportRefused
from bench.export import graph, resident
from bench.export.spaces import Widths
from bench.records import Tensor

if TYPE_CHECKING:
    from torch import nn

BLOB_TOLERANCE = 1e-5
"""Of the largest |value| in a blob: how far a decoded weight may be from torch's, both computed in floating point."""
Choice = Literal["all", "cheapest"]
"""Of a resident graph: whether every layer that can be resident is, or each layer has the form that costs least."""


@dataclass(frozen=True, eq=False)
class Exported:
    """A compressed network in `graph`, of ordinary layers, with the tensors of `package` in its load order.

    `names` are the tensors' names in the network, in the same order.
    """

    graph: graph.Graph
    package: package.Package
    names: tuple[str, ...]

    def weight_names(self) -> dict[int, str]:
        """Of each layer that loads tensors, the first one's name, which is its weight: by the layer's number."""
        found, place = {}, 0
        for number, layer in enumerate(self.graph.layers):
            if blobs := layer.blobs():
                found[number] = self.names[place]
                place += len(blobs)
        return found


def as_shipped(network: nn.Module) -> nn.Module:
    """A copy of a compressed network that computes with what its package holds: norms folded, values of float16."""
    from bench.compress.frequency import layers, norms

    network = norms.folded(network)
    layers.round_to_half(network)
    return network


def export_fr(name: str, network: nn.Module, inputs: Sequence[Tensor], folder: Path) -> None:
    """Write graph.param, weights.frq and names.json of a compressed network for these inputs.

    The graph is that of dense and factored execution; the runner factors it by itself. Raises ToolMissing and
    ExportRefused: for one, unless the package's tensors make exactly the weights that the graph loads.
    """
    from bench.compress.frequency import layers, norms
    from bench.export import ncnn

    network = as_shipped(network)
    shipped = layers.shipped(name, network)
    names = [part for part, _ in layers.parts(network)]
    dense = norms.convolved(layers.decoded(network))
    random = np.random.default_rng(1)
    sample = [random.uniform(size=(1, *tensor.shape)).astype(np.float32) for tensor in inputs]
    parsed, values = ncnn.convert(dense, inputs, sample)
    order = load_order([_recipe(tensor) for tensor in shipped.tensors], parsed.blobs(), values)
    graph.write(parsed, folder / "graph.param")
    tensors = tuple(replace(shipped.tensors[loaded.index], vector=not loaded.typed) for loaded in order)
    (folder / "weights.frq").write_bytes(package.write(package.Package(shipped.name, tensors)))
    (folder / "names.json").write_text(json.dumps([names[loaded.index] for loaded in order]), encoding="utf-8")


@dataclass(frozen=True)
class Recipe:
    """What a runtime will make of one tensor of a package, executed dense.

    `typed` as in ncnn; None for values that are stored as they are, which a layer may load either way.
    """

    blob: NDArray[np.float32]
    typed: bool | None


@dataclass(frozen=True)
class Loaded:
    """The place of a recipe in the list, and whether the graph loads its blob with a type word before it."""

    index: int
    typed: bool


def _recipe(tensor: package.Tensor) -> Recipe:
    return Recipe(package.blob(tensor), None if tensor.kind == "raw" else True)


def load_order(
    recipes: Sequence[Recipe], blobs: Sequence[graph.Blob], values: Sequence[NDArray[np.float32]]
) -> tuple[Loaded, ...]:
    """Which recipe makes the next blob, again and again to the end. Raises ExportRefused for a blob that none makes,
    and for a recipe that is left over, unless it is of ones or zeros: a factor or term that does nothing, which the
    converter drops."""
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
    left = [index for index in left if not _is_neutral(recipes[index].blob)]
    if left:
        raise ExportRefused(f"{len(left)} tensors of the package are loaded by no layer")
    return tuple(order)


def _is_neutral(values: NDArray[np.float32]) -> bool:
    return bool((values == 0).all() or (values == 1).all())


def _makes(recipe: Recipe, blob: graph.Blob, value: NDArray[np.float32]) -> bool:
    if recipe.typed not in (None, blob.typed) or recipe.blob.size != value.size:
        return False
    return bool(np.abs(recipe.blob.reshape(-1) - value).max() <= BLOB_TOLERANCE * np.abs(value).max())


def read(folder: Path) -> Exported:
    """What `export_fr` wrote into `folder`."""
    parsed = graph.parse((folder / "graph.param").read_text(encoding="ascii"))
    names = json.loads((folder / "names.json").read_bytes())
    return Exported(parsed, package.read((folder / "weights.frq").read_bytes()), tuple(names))


def rewrite(
    exported: Exported, inputs: Sequence[Tensor], choice: Choice, widths: Widths | None = None
) -> resident.Rewritten:
    """The graph for resident execution of the same package, its wide spaces at these widths."""
    weights = [weight_of(tensor) for tensor in exported.package.tensors]
    if choice == "all":
        return resident.rewrite(exported.graph, weights, widths=widths)
    return resident.cheapest(exported.graph, weights, inputs, widths)


def at_points(exported: Exported, forms: Mapping[str, str], points: Mapping[str, int]) -> graph.Graph:
    """The graph with each layer in its form, and its output computed at so many points; by the names of weights."""
    names = exported.weight_names()
    weights = [weight_of(tensor) for tensor in exported.package.tensors]
    eligible = resident.weights_of(exported.graph, weights)
    kept = {number: cast(resident.Form, forms[names[number]]) for number in eligible}

    def width(number: int) -> Fraction:
        return Fraction(points[names[number]], eligible[number].shape[0]) if names[number] in points else Fraction(1)

    return resident.rewrite(exported.graph, weights, kept, width).graph


def weight_of(tensor: package.Tensor) -> resident.Weight | None:
    """What a graph has to know of a tensor to run it on its core alone; None where that cannot be."""
    shape = tensor.shape
    if tensor.kind == "raw" or len(shape) < 2:
        return None
    used = [np.unique(axis) for axis in tensor.coordinates().T]
    # Our own layers make the first columns of the DCT basis, so those have to be the ones that are used.
    if any(axis[-1] != len(axis) - 1 for axis in used):
        return None
    box = tuple(map(len, used))
    if tensor.transposed:
        return resident.Weight((shape[1], shape[0], *shape[2:]), (box[1], box[0], *box[2:]))
    return resident.Weight(shape, box)
