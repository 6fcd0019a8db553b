"""Conversion at a small size of what is computed alike at any size.

pnnx computes the network once, which takes minutes and gigabytes for a large UNet at 640×960.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.export.eager import Array
from bench.export.graph import Graph, Layer
from bench.records import Tensor

PERIOD = 64
"""Sizes that differ by multiples of it are halved with the same remainders, six times, and so padded alike."""
_LARGE = 2 * PERIOD
_ANYWHERE = {
    "BatchNorm", "Concat", "Convolution", "ConvolutionDepthWise", "Deconvolution", "DeconvolutionDepthWise", "Dropout",
    "Input", "InstanceNorm", "Noop", "Padding", "PReLU", "ReLU", "Sigmoid", "Split",
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


def is_any(graph: Graph) -> bool:
    """Whether no layer of the graph knows a height or width."""
    return all(layer.type in _ANYWHERE or _slides(layer) for layer in graph.layers)


def _slides(layer: Layer) -> bool:
    value = layer.parameters.get
    return layer.type == "Pooling" and value("4", "0") == "0" and value("7", "0") == "0"
