"""Which layers of a resident graph hand their output on row by row, and which hand on moments (`docs/resident.md`).

A blob that one small convolution alone reads need never be whole, and the mean and covariance that a norm needs are
summed where its input is made. Both are flags on layers that are there already: no layer moves, so weights load in the
same order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from bench.export.channelwise import zero
from bench.export.graph import Graph, Layer
from bench.export.rank_pass import RankPass

MEASURES = "20"
"""The parameter of RankCore that gives it a second output, with the moments of its first."""
ROOM = "21"
"""The parameter of RankCore for how many channels its output has memory."""
BORDERS = ("20", "21", "22", "23")
"""The parameters of RankUp for the zeros around it: above, below, left, right."""
NESTED = 63
"""How many deferred passes are made of each other at most: the runner takes 64, of which the last may be a RankUp."""


def in_strips(layers: Sequence[Layer]) -> list[Layer]:
    """The same layers, before there are Splits, so that strips of rows go through several of them at a time."""
    layers = list(_raised(layers))
    return list(_with_room(list(_deferred(_measured(layers)))))


def _readers(layers: Sequence[Layer]) -> Mapping[str, list[Layer]]:
    """Which layers read each blob, as often as they do. Who asks for the network's outputs is one more."""
    found = {blob: [Layer("Output", blob, (blob,), (), {})] for blob in Graph(tuple(layers)).outputs()}
    for layer in layers:
        for blob in layer.inputs:
            found.setdefault(blob, []).append(layer)
    return found


def _flag(layer: Layer, key: str) -> bool:
    return layer.parameters.get(key, "0") != "0"


def _raised(layers: Sequence[Layer]) -> Iterable[Layer]:
    """Transposed convolutions that a pass alone reads, with the zeros around them, as RankUp."""
    readers = _readers(layers)
    moved: dict[str, Layer] = {}
    for layer in layers:
        if layer.type == "Deconvolution" and _tiles(layer):
            after = _only(readers, layer.outputs[0])
            last = after if after and _adds_zeros(after) else layer
            reader = _only(readers, last.outputs[0])
            if reader and _goes_through(reader, last.outputs[0]):
                own = {key: layer.parameters[key] for key in ("0", "1", "11", "6") if key in layer.parameters}
                if last is not layer:
                    moved[last.outputs[0]] = last
                    sides = (last.parameters.get(str(side), "0") for side in range(4))
                    own |= {key: text for key, text in zip(BORDERS, sides, strict=True) if text != "0"}
                yield Layer("RankUp", layer.name, layer.inputs, last.outputs, own)
                continue
        if layer.outputs and moved.get(layer.outputs[0]) is layer:
            continue
        yield layer


def _adds_zeros(layer: Layer) -> bool:
    p = layer.parameters.get
    if layer.type != "Padding" or any(p(key, "0") != "0" for key in ("4", "6", "7", "8")):
        return False
    return zero(p("5", "0")) and all(int(p(str(side), "0")) >= 0 for side in range(4))


def _goes_through(reader: Layer, blob: str) -> bool:
    """Whether the blob is what a pass expands or reduces, not numbers for its channels, and needed once only."""
    return reader.type == "RankPass" and reader.inputs[0] == blob and not _flag(reader, RankPass.NORMALISED)


def _only(readers: Mapping[str, list[Layer]], blob: str) -> Layer | None:
    found = readers.get(blob, [])
    return found[0] if len(found) == 1 else None


def _tiles(layer: Layer) -> bool:
    """Whether its kernel is its stride, with nothing around: each pixel makes its own block of pixels."""
    p = layer.parameters.get
    kernel, stride = (p("1", "0"), p("11", p("1", "0"))), (p("3", "1"), p("13", p("3", "1")))
    rest = all(p(key, "0") == "0" for key in ("4", "14", "15", "16", "18", "19", "20", "21", "5", "9"))
    return kernel == stride and rest and p("2", "1") == "1" and p("12", "1") == "1"


def _measured(layers: Sequence[Layer]) -> Sequence[Layer]:
    """Norms with the moments that come with their input."""
    made = {blob: layer for layer in layers for blob in layer.outputs}
    wanted = {
        layer.inputs[0]
        for layer in layers
        if layer.type == "RankPass" and _flag(layer, RankPass.NORMALISED) and made[layer.inputs[0]].type == "RankCore"
    }

    def with_moments(layer: Layer) -> Layer:
        if layer.type == "RankCore" and layer.outputs[0] in wanted:
            outputs = (layer.outputs[0], _moments(layer.outputs[0]))
            return replace(layer, outputs=outputs, parameters={**layer.parameters, MEASURES: "1"})
        if layer.type == "RankPass" and _flag(layer, RankPass.NORMALISED) and layer.inputs[0] in wanted:
            z, *others = layer.inputs
            parameters = {**layer.parameters, str(RankPass.MEASURED): "1"}
            return replace(layer, inputs=(z, _moments(z), *others), parameters=parameters)
        return layer

    return [with_moments(layer) for layer in layers]


def _moments(blob: str) -> str:
    return f"{blob}''"


def _deferred(layers: Sequence[Layer]) -> Iterable[Layer]:
    """Passes that a core alone reads, or a deferred pass that adds to them."""
    readers = _readers(layers)
    depths: dict[str, int] = {}
    """Of blobs that their only reader takes row by row: how many deferred ones that makes, down to the core."""
    found: list[Layer] = []
    for layer in reversed(layers):
        depth = depths.get(layer.outputs[0], 0) if layer.type == "RankPass" else 0
        if depth:
            layer = replace(layer, parameters={**layer.parameters, str(RankPass.DEFERRED): "1"})
        taken: Sequence[str] = ()
        if layer.type == "RankCore":
            taken = layer.inputs
        elif 0 < depth < NESTED and _flag(layer, RankPass.ADDED):
            taken = layer.inputs[-1:]
        depths.update((blob, depth + 1) for blob in taken if _only(readers, blob))
        found.append(layer)
    return reversed(found)


def _with_room(layers: Sequence[Layer]) -> Iterable[Layer]:
    """Cores whose output has room for that of the core which will be written over it, and so on."""
    readers = _readers(layers)
    room: dict[str, int] = {}
    found: list[Layer] = []
    for layer in reversed(layers):
        if layer.type == "RankCore":
            own = int(layer.parameters["0"])
            later = (_core_after(readers, one) for one in readers.get(layer.outputs[0], ()))
            needed = max((room.get(blob, 0) for blob in later), default=0)
            room[layer.outputs[0]] = max(own, needed)
            if needed > own:
                layer = replace(layer, parameters={**layer.parameters, ROOM: str(needed)})
        found.append(layer)
    return reversed(found)


def _core_after(readers: Mapping[str, list[Layer]], layer: Layer) -> str:
    """The output of the core that deferred passes of the same size lead to from this one; empty where there is none."""
    while layer.type == "RankPass" and _flag(layer, RankPass.DEFERRED) and not _flag(layer, RankPass.POOLED):
        layer = readers[layer.outputs[0]][0]
    return layer.outputs[0] if layer.type == "RankCore" else ""
