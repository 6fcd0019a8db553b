"""ncnn's two files of a quantised network: the float graph that pnnx makes, its layers told of their scales.

A quantised layer loads int8 weights (type word, padded to 4 bytes), its float32 bias, the scales of its weights and
that of its input: `load_model` in `src/layer/convolution.cpp` and its like. With float arithmetic the graph stays as it
is, and weights are blobs that our runner alone widens (docs/formats/int8.md).
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from bench.cache import file_of
from bench.errors import ExportRefused
from bench.export import graph, ncnn

if TYPE_CHECKING:
    from torch import nn

    from bench.compress.method import Destination
    from bench.records import ArtifactFile

INT8 = (0x000D4B38).to_bytes(4, "little")
"""The type word of int8 in `src/modelbin.cpp`."""
WIDENED = (0x7FC8B175).to_bytes(4, "little")
"""The type word of int8 weights that our runner widens; as float32 it is not a number, which no weight is."""
_TERMS = {"Convolution": 2, "ConvolutionDepthWise": 1, "InnerProduct": 2}
"""The parameter 8 of the layers with integer kernels: which scales they load."""
_TERM = "8"
_REQUANTISED = 100
"""Added to it where the output is int8 too, by a scale that is loaded last."""

Floats = NDArray[np.float32]


class Quantised(Protocol):
    """`bench.compress.int8.layers.Quantised`."""

    @property
    def codes(self) -> NDArray[np.int8]: ...
    @property
    def scales(self) -> Floats: ...
    @property
    def input(self) -> float | None: ...
    def weight(self) -> torch.Tensor: ...


@dataclass(frozen=True, eq=False)
class _Loaded:
    """A layer of the graph, the values of its blobs, and what is quantised of it."""

    layer: graph.Layer
    values: Sequence[Floats]
    made: Quantised | None


def export(
    network: nn.Module, made: Mapping[str, Quantised], integer: bool, to: Destination
) -> tuple[ArtifactFile, ...]:
    """Write graph.param and weights.bin. `network` has the weights that `made`, by its layers' names, stand for;
    `integer` is whether these compute in int8. Raises ToolMissing, and ExportRefused as `ncnn.export` does and where
    the converter left nothing that such a layer could be told by."""
    parsed, values = ncnn.convert(network, to.inputs, to.samples.samples)
    loaded = _matched(parsed, values, made, integer)
    if integer:
        loaded, tops = _terms(loaded)
    else:
        tops = [None] * len(loaded)
    graph.write(graph.Graph(tuple(one.layer for one in loaded)), to.folder / "graph.param")
    parts = [
        _stored(one, parsed_one, top, integer) for one, parsed_one, top in zip(loaded, parsed.layers, tops, strict=True)
    ]
    (to.folder / "weights.bin").write_bytes(b"".join(parts))
    return file_of(to.folder / "graph.param", "graph"), file_of(to.folder / "weights.bin", "weights")


def _matched(
    parsed: graph.Graph, values: Sequence[Floats], made: Mapping[str, Quantised], integer: bool
) -> list[_Loaded]:
    """Which layer of the graph is which of `made`, by its weight: the converter has names of its own."""
    waiting: dict[bytes, list[str]] = {}
    for name, one in made.items():
        waiting.setdefault(one.weight().numpy().tobytes(), []).append(name)
    left, seen, found = iter(values), set(), []
    for layer in parsed.layers:
        own = [next(left) for _ in layer.blobs()]
        names = waiting.get(own[0].tobytes(), []) if own and layer.blobs()[0].typed else []
        if not names or (integer and layer.type not in _TERMS):
            found.append(_Loaded(layer, own, None))
            continue
        name = names.pop(0) if len(names) > 1 else names[0]  # a layer that is called twice is two in the graph
        seen.add(name)
        found.append(_Loaded(layer, own, made[name]))
    if missing := [name for name in made if name not in seen]:
        raise ExportRefused(
            f"the converted network has no layer with the int8 weights of {missing[0]}",
            "The converter changed them: a norm behind the layer, perhaps, that bench could not fold before.",
        )
    return found


def _terms(loaded: Sequence[_Loaded]) -> tuple[list[_Loaded], list[float | None]]:
    """The layers with their parameter 8, and the scale of each output that is int8: one that only goes into a
    quantised layer is rounded by the layer that makes it, which is the same rounding with fewer passes over memory."""
    readers = Counter(blob for one in loaded for blob in one.layer.inputs)
    into = {one.layer.inputs[0]: one.made.input for one in loaded if one.made is not None}
    told: list[_Loaded] = []
    tops: list[float | None] = []
    for one in loaded:
        top = None
        if one.made is not None:
            term = _TERMS[one.layer.type]
            output = one.layer.outputs[0]
            if one.layer.type != "InnerProduct" and readers[output] == 1:
                top = into.get(output)
            term += _REQUANTISED * (top is not None)
            layer = replace(one.layer, parameters={**one.layer.parameters, _TERM: str(term)})
            one = replace(one, layer=layer)
        told.append(one)
        tops.append(top)
    return told, tops


def _stored(one: _Loaded, parsed: graph.Layer, top: float | None, integer: bool) -> bytes:
    """The blobs of a layer, of which `parsed` is without scales."""
    blobs = parsed.blobs()
    if one.made is None:
        return graph.joined(blobs, one.values)
    weight, others = one.made.codes.tobytes(), graph.joined(blobs[1:], one.values[1:])
    padded = weight + bytes(-len(weight) % 4)
    scales = one.made.scales.astype("<f4").tobytes()
    if not integer:
        return WIDENED + struct.pack("<I", len(one.made.scales)) + scales + padded + others
    assert one.made.input is not None
    last = [one.made.input] + ([] if top is None else [top])
    return INT8 + padded + others + scales + np.array(last, "<f4").tobytes()
