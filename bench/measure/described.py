"""What each layer of a launch had to do, from the files that it was made of: for predictions, and for its name."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from bench import runtimes
from bench.layered import LayerCost, LayerRecord, Layers, LayerTime
from bench.records import Artifact

_FLOAT = 4
_SLIDING = ("Conv", "FusedConv", "NhwcConv", "DepthwiseConv")
"""Types whose weights are each used once for every pixel of the output."""
_PRODUCTS = ("Gemm", "MatMul", "FusedGemm", "FusedMatMul", "FullyConnected", "Linear")
"""Types whose weights are each used once for every row of the output."""
_OTHERWISE = ("ConvTranspose", "LSTM", "GRU", "RNN", "Attention", "MultiHeadAttention", "If", "Loop", "Scan")
"""Types that do more with their weights than can be told from the shape of what they make."""


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
    """Of layers whose runtime says how many weights they have. Kernels that are said to have no more than a bias are
    left out: their weights were packed away, and what is done with them is not known."""
    costs = {}
    for place, layer in enumerate(found.layers):
        if layer.weights is None or not layer.outputs or not layer.outputs[0].shape or layer.type in _OTHERWISE:
            continue
        shape, times = layer.outputs[0].shape, 0
        if layer.type in (*_SLIDING, *_PRODUCTS):
            bias, times = (
                (shape[0], math.prod(shape[1:])) if layer.type in _SLIDING else (shape[-1], math.prod(shape[:-1]))
            )
            if layer.weights <= bias:
                continue
        costs[place] = LayerCost(layer.weights * times, (layer.read or 0) + layer.bytes + _FLOAT * layer.weights)
    return costs
