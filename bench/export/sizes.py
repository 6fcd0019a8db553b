"""Conversion at a small size of what is computed alike at any size.

pnnx computes the network once, which takes minutes and gigabytes for a large UNet at 640×960.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from bench.export import cost
from bench.export.eager import Array
from bench.export.graph import Graph, Layer
from bench.records import Tensor

PERIOD = 64
"""Sizes that differ by multiples of it are halved with the same remainders, six times, and so padded alike."""
_LARGE = 2 * PERIOD
_ANYWHERE = {
    "BatchNorm", "BinaryOp", "Concat", "Convolution", "ConvolutionDepthWise", "Deconvolution", "DeconvolutionDepthWise",
    "Dropout", "Input", "InstanceNorm", "LowRankPass", "Noop", "Padding", "PReLU", "RankCore", "RankPass", "RankSplit",
    "RankUp", "ReLU", "Sigmoid", "Split",
}  # fmt: skip


def smaller(inputs: Sequence[Tensor]) -> tuple[Tensor, ...] | None:
    """The inputs as smaller pictures, for which layers without a size of their own are the same; None if not large."""
    if not all(len(tensor.shape) == 3 and min(tensor.shape[1:]) > _LARGE for tensor in inputs):
        return None
    return tuple(
        tensor.model_copy(update={"shape": (tensor.shape[0], *(PERIOD + side % PERIOD for side in tensor.shape[1:]))})
        for tensor in inputs
    )


def cut(samples: Sequence[Array], inputs: Sequence[Tensor]) -> list[Array]:
    """The first of the samples, (N, *shape) for each input, cut to the size of `inputs`."""
    sides = [tensor.shape[1:] for tensor in inputs]
    return [array[:1, :, :height, :width] for array, (height, width) in zip(samples, sides, strict=True)]


def is_any(graph: Graph, inputs: Sequence[Tensor]) -> bool:
    """Whether no layer of a graph that was made for `inputs` knows a height or width."""
    known = cost.shapes(graph, inputs)
    return all(layer.type in _ANYWHERE or _slides(layer, known) for layer in graph.layers)


def step(graph: Graph, inputs: Sequence[Tensor]) -> int | None:
    """A graph that was made for one picture takes any other whose sides differ by multiples of this; None where it is
    for that size alone.

    It is by how much the picture is made smaller at most, and known where nothing is rounded on the way: what is padded
    for one size would be wrong for another.
    """
    if len(inputs) != 1 or len(inputs[0].shape) != 3 or not is_any(graph, inputs):
        return None
    _, height, width = inputs[0].shape
    known, found = cost.shapes(graph, inputs), 1
    moments: set[str] = set()
    """Blobs that are no pictures: what RankCore sums over all pixels of one."""
    for layer in graph.layers:
        if layer.type == "RankCore":
            moments.update(layer.outputs[1:])
        elif not moments.isdisjoint(layer.inputs[:1]):
            moments.update(layer.outputs)
            continue
        _, rows, columns = known[layer.outputs[0]]
        if rows % height == 0 and rows * width == columns * height:
            continue  # made larger, which needs no room below
        if height % rows or height * columns != width * rows:
            return None
        found = math.lcm(found, height // rows)
    return found


def _slides(layer: Layer, known: Mapping[str, cost.Shape]) -> bool:
    """Whether it is a pooling by a window of its own; one that leaves a pixel may have been told the whole size."""
    value = layer.parameters.get
    bounded = layer.type == "Pooling" and value("4", "0") == "0" and value("7", "0") == "0"
    return bounded and known[layer.outputs[0]][1:] != (1, 1)
