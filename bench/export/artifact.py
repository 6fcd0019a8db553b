"""The files of one variant, and the two proofs that they are right: blob by blob, and output by output."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bench.errors import ExportRefused
from bench.export import graph, pnnx
from bench.records import Execution, WeightsFormat

Array = NDArray[np.float32]

RunNative = Callable[[Mapping[str, Path], WeightsFormat, Execution, Array], Array]
"""Runs the native runner here: files by role ("graph", "weights"), inputs (N, C, H, W) → outputs, flat or (N, …)."""

TOLERANCE = 1e-3
"""Of the largest |output|: how far the native runner may be from torch in float32."""
BLOB_TOLERANCE = 1e-5
"""Of the largest |value| in a blob: how far a decoded weight may be from torch's, both computed in floating point."""


@dataclass(frozen=True)
class Recipe:
    """What a runtime will make of one tensor of a package, executed dense.

    `typed` as in ncnn; None for values that are stored as they are, which a layer may load either way.
    """

    blob: Array
    typed: bool | None


@dataclass(frozen=True)
class Loaded:
    """The place of a recipe in the list, and whether the graph loads its blob with a type word before it."""

    index: int
    typed: bool


@dataclass(frozen=True)
class Verified:
    """Largest |native - torch| and largest |torch| over all outputs, and what the first was allowed to be."""

    max_abs_delta: float
    max_abs_reference: float
    tolerance: float


def export_ordinary(network: nn.Module, shape: tuple[int, int, int], folder: Path) -> None:
    """Write graph.param, weights.bin and network.pt. Raises ToolMissing and ExportRefused (a norm is left, for one)."""
    converted, parsed = _convert(network, shape, folder)
    graph.split(converted.weights, parsed.blobs())
    (folder / "weights.bin").write_bytes(converted.weights)


def export_recipes(
    network: nn.Module, shape: tuple[int, int, int], recipes: Sequence[Recipe], folder: Path
) -> tuple[Loaded, ...]:
    """Write graph.param and network.pt of a network with decoded weights, and return the order in which the graph
    loads `recipes`, and how.

    Raises ToolMissing, and ExportRefused unless the recipes, in that order, make exactly the weights of `network`.
    """
    converted, parsed = _convert(network, shape, folder)
    blobs = parsed.blobs()
    return load_order(recipes, blobs, graph.split(converted.weights, blobs))


def _convert(network: nn.Module, shape: tuple[int, int, int], folder: Path) -> tuple[pnnx.Converted, graph.Graph]:
    pnnx.trace(network, shape, folder / "network.pt")
    converted = pnnx.convert(folder / "network.pt", shape)
    parsed = graph.parse(converted.param)
    names = {name for layer in parsed.layers for name in layer.outputs}
    if not {graph.INPUT, graph.OUTPUT} <= names or f"{graph.OUTPUT[:-1]}1" in names:
        raise ExportRefused("the converted network does not have one input and one output")
    graph.write(parsed, folder / "graph.param")
    return converted, parsed


def load_order(recipes: Sequence[Recipe], blobs: Sequence[graph.Blob], values: Sequence[Array]) -> tuple[Loaded, ...]:
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


def _makes(recipe: Recipe, blob: graph.Blob, value: Array) -> bool:
    if recipe.typed not in (None, blob.typed) or recipe.blob.size != value.size:
        return False
    return bool(np.abs(recipe.blob.reshape(-1) - value).max() <= BLOB_TOLERANCE * np.abs(value).max())


def reference(torchscript: Path, inputs: Array) -> Array:
    """What the traced network computes in float32 for inputs (N, C, H, W), one by one: (N, …)."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", DeprecationWarning)  # TorchScript is old but what pnnx reads
        network = torch.jit.load(str(torchscript))  # type: ignore[no-untyped-call]
        outputs = [network(torch.from_numpy(inputs[i : i + 1])) for i in range(len(inputs))]
    return np.ascontiguousarray(torch.cat(outputs).numpy())


def verify(
    run_native: RunNative,
    files: Mapping[str, Path],
    form: tuple[WeightsFormat, Execution],
    inputs: Array,
    expected: Array,
) -> Verified:
    """Compare the native runner with torch on `inputs`. Raises ExportRefused when they differ more than TOLERANCE."""
    outputs = run_native(files, *form, inputs)
    if outputs.size != expected.size:
        raise ExportRefused(f"the native runner gave {outputs.size} values where torch gives {expected.size}")
    delta = float(np.abs(outputs.reshape(expected.shape) - expected).max())
    largest = float(np.abs(expected).max())
    # Written so that not-a-number is refused too.
    if not delta <= TOLERANCE * largest:
        raise ExportRefused(
            f"the exported network's outputs differ from torch's by up to {delta:.3g}, where {TOLERANCE * largest:.3g} "
            f"({TOLERANCE:g} of the largest) is allowed",
            "The exported files do not compute what the network does; they are not used.",
        )
    return Verified(delta, largest, TOLERANCE * largest)
