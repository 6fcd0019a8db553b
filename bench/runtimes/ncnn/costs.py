"""What each layer of an ncnn graph has to do, matched with the layers that a launch reports."""

from __future__ import annotations

import json

from bench.errors import BenchError
from bench.export import cost, graph
from bench.export.graph import Layer
from bench.files import read_bounded
from bench.layered import LayerCost, Layers, LayerTime
from bench.records import Artifact

NAMES = "modules"
"""The role of the file that says where each layer is in the author's network: a JSON list, a name a layer."""
_LARGEST = 2**24
_UNCOUNTED = frozenset(
    {"Convolution1D", "Convolution3D", "ConvolutionDepthWise1D", "ConvolutionDepthWise3D", "Deconvolution1D",
     "Deconvolution3D", "DeconvolutionDepthWise1D", "DeconvolutionDepthWise3D", "DeformableConv2D", "Einsum", "GRU",
     "Gemm", "InverseSpectrogram", "LSTM", "MatMul", "MultiHeadAttention", "RNN", "SDPA", "Spectrogram"}
)  # fmt: skip
"""Types that multiply, and whose multiply-adds `bench.export.cost` does not count."""

_Key = tuple[str, ...]


def costs(artifact: Artifact, found: Layers) -> dict[int, LayerCost]:
    """By the place of the layer. What a deferred layer has to do is added to the one that reads it; a layer that is not
    in the graph (the runner replaces some when it loads them factored) is left out, and so is one whose multiply-adds
    nobody here counts."""
    try:
        text = read_bounded(artifact.file("graph").path, _LARGEST).decode("ascii")
        parsed = graph.parse(text)
        each = cost.costs(parsed, artifact.inputs)
    except (BenchError, OSError, ValueError, LookupError, ArithmeticError):
        return {}  # of a graph that was given ready, with layers whose arithmetic nobody here knows
    names = _names(artifact, len(parsed.layers))
    by_key = {_key(layer): place for place, layer in enumerate(parsed.layers)}
    producers = {blob: place for place, layer in enumerate(parsed.layers) for blob in layer.outputs}
    places = {number: by_key.get(_key_of(layer)) for number, layer in enumerate(found.layers)}
    deferred = {places[number] for number, layer in enumerate(found.layers) if layer.deferred}

    def due(place: int) -> LayerCost:
        """Of a layer, and of those whose rows it makes."""
        own = each[place]
        macs, moved = own.macs, own.weights + own.activations
        for blob in parsed.layers[place].inputs:
            if (before := producers.get(blob)) in deferred and before is not None:
                more = due(before)
                macs, moved = macs + more.macs, moved + more.moved
        return LayerCost(macs, moved, names[place])

    made = {}
    for number, layer in enumerate(found.layers):
        place = places[number]
        if place is not None and _counted(layer):
            made[number] = LayerCost(0, 0, names[place]) if layer.deferred else due(place)
    return made


def _counted(layer: LayerTime) -> bool:
    """Matrix products of several rows are counted as of one."""
    rows = layer.outputs[0].shape[:-1] if layer.outputs else ()
    return layer.type not in _UNCOUNTED and not (layer.type == "InnerProduct" and rows not in ((), (1,), (1, 1)))


def _key(layer: Layer) -> _Key:
    return (layer.type, *layer.inputs)


def _key_of(layer: LayerTime) -> _Key:
    return (layer.type, *layer.inputs)


def _names(artifact: Artifact, count: int) -> list[str]:
    file = next((file for file in artifact.files if file.role == NAMES), None)
    if file is None:
        return [""] * count
    try:
        listed: object = json.loads(read_bounded(file.path, _LARGEST))
    except (OSError, ValueError, RecursionError):
        return [""] * count
    if not isinstance(listed, list) or len(listed) != count or not all(isinstance(one, str) for one in listed):
        return [""] * count
    return [one[:200] for one in listed]
