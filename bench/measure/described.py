"""What each layer of a launch had to do, from the files that it was made of: for predictions, and for its name."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from bench import runtimes
from bench.layered import LayerCost, LayerRecord, Layers, LayerTime
from bench.records import Artifact

_FLOAT = 4
_FREE = frozenset({"Split", "Reshape", "Flatten", "Dropout", "Noop", "Identity", "Squeeze", "Unsqueeze"})
"""Layers that only name what is there already."""


def records(artifact: Artifact, found: Layers) -> tuple[LayerRecord, ...]:
    """The layers as they are stored. What a deferred layer has to do is added to the layer that reads it."""
    costs: Callable[[Artifact, Layers], Mapping[int, LayerCost]] | None = getattr(
        runtimes.runtime(artifact.runtime), "layer_costs", None
    )
    known = costs(artifact, found) if costs else _generic(found)
    return tuple(_record(layer, known.get(place)) for place, layer in enumerate(found.layers))


def _record(layer: LayerTime, cost: LayerCost | None) -> LayerRecord:
    return LayerRecord(
        name=layer.name, type=layer.type, module=cost.module if cost else "", ns=layer.ns, bytes=layer.bytes,
        macs=cost.macs if cost else None, moved=cost.moved if cost else None, deferred=layer.deferred,
        shape=layer.outputs[0].shape if layer.outputs else (),
    )  # fmt: skip


def _generic(found: Layers) -> dict[int, LayerCost]:
    """Of layers whose runtime says how many weights they have: each weight is used once for every pixel of the output,
    as in a convolution and in a matrix product. (A transposed convolution uses it for every pixel of its input.)"""
    costs = {}
    for place, layer in enumerate(found.layers):
        if layer.type in _FREE:
            costs[place] = LayerCost(0, 0)
        elif layer.weights is not None and layer.outputs:
            made = layer.outputs[0]
            pixels = math.prod(made.shape[1:]) if len(made.shape) > 2 else 1
            moved = (layer.read or 0) + layer.bytes + _FLOAT * layer.weights
            costs[place] = LayerCost(layer.weights * pixels, moved)
    return costs
