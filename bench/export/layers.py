"""ncnn's layer types: the weights that each loads, and what it takes for a parameter that is not written.

From `load_param` and `load_model` in `src/layer/*.cpp` of the pinned ncnn. Weights that are quantised are not counted:
exported weights are float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from bench.errors import ExportRefused

Parameters = Callable[[int, int], int]
"""A whole-number parameter of a layer: its key, and the value where it is not written."""
Count = tuple[int, bool]
"""How many float32 a blob holds, and whether a type word stands before them in the .bin file."""


def _weight_and_bias(p: Parameters) -> list[Count]:
    return [(p(6, 0), True), (p(0, 0) * p(5, 0), False)]


def _dynamic(key: int) -> Callable[[Parameters], list[Count]]:
    """A convolution that gets its weights as an input when the parameter `key` is set."""
    return lambda p: [] if p(key, 0) else _weight_and_bias(p)


def _gemm(p: Parameters) -> list[Count]:
    m, n, k = p(7, 0), p(8, 0), p(9, 0)
    c = {0: 1, 1: m, 2: m, 3: m * n, 4: n}.get(p(10, 0), 0)
    return [(m * k * p(4, 0), True), (n * k * p(5, 0), True), (c * p(6, 0), True)]


def _recurrent(gates: int, biases: int) -> Callable[[Parameters], list[Count]]:
    def counts(p: Parameters) -> list[Count]:
        directions, out, hidden = (2 if p(2, 0) == 2 else 1), p(0, 0), p(3, p(0, 0)) if gates == 4 else p(0, 0)
        projection = directions * hidden * out if out != hidden else 0
        return [
            (p(1, 0), True),
            (directions * hidden * biases, True),
            (directions * hidden * gates * out, True),
            (projection, True),
        ]

    return counts


def _attention(p: Parameters) -> list[Count]:
    embed, query = p(0, 0), p(2, 0) // max(p(0, 0), 1)
    sides = ((query, embed), (p(3, embed), embed), (p(4, embed), embed), (embed, query))
    return [count for inner, outer in sides for count in ((inner * outer, True), (outer, False))]


def _memory(p: Parameters) -> list[Count]:
    sizes = [size for size in (p(0, 0), p(1, 0), p(11, 0), p(2, 0)) if size]
    return [(math.prod(sizes) if sizes else 0, p(21, 1) == 0)]


def _affine(size: int, flag: int, vectors: int = 2) -> Callable[[Parameters], list[Count]]:
    """A norm with `vectors` of parameter `size` values each, if the parameter `flag` is set."""
    return lambda p: [(p(size, 0) * p(flag, 1), False)] * vectors


def _scale(p: Parameters) -> list[Count]:
    size = max(p(0, 0), 0)  # -233: the scale is an input
    return [(size, False), (size * p(1, 0), False)]


PIECE = 1 << 18
"""Values of a matrix of LowRankPass that are loaded at once, about: kPiece in the runner's low_rank_pass.cpp."""


def pieces(rows: int, terms: int) -> list[int]:
    """How many rows there are in each of the blobs in which LowRankPass loads a matrix."""
    most = max(1, PIECE // terms)
    return [min(most, rows - first) for first in range(0, rows, most)]


def _low_rank_pass(p: Parameters) -> list[Count]:
    channels, rank, reduced = p(0, 0), p(1, 0), p(2, 0)

    def matrix(rows: int, terms: int) -> list[Count]:
        return [*((count * terms, True) for count in pieces(rows, max(1, terms))), (rows, False)]

    slopes = [(channels, False)] if p(3, 0) == 7 else []
    return [*matrix(channels, rank), *slopes, *(matrix(reduced, channels) if reduced else [])]


WEIGHTS: Mapping[str, Callable[[Parameters], list[Count]]] = {
    "BatchNorm": lambda p: [(p(0, 0), False)] * 4,
    "Bias": lambda p: [(p(0, 0), False)],
    "Convolution": _dynamic(19),
    "Convolution1D": _dynamic(19),
    "Convolution3D": _weight_and_bias,
    "ConvolutionDepthWise": _dynamic(19),
    "ConvolutionDepthWise1D": _dynamic(19),
    "ConvolutionDepthWise3D": _weight_and_bias,
    "Deconvolution": _dynamic(28),
    "Deconvolution1D": _dynamic(28),
    "Deconvolution3D": _weight_and_bias,
    "DeconvolutionDepthWise": _dynamic(28),
    "DeconvolutionDepthWise1D": _dynamic(28),
    "DeconvolutionDepthWise3D": _weight_and_bias,
    "DeformableConv2D": _weight_and_bias,
    "Embed": lambda p: [(p(3, 0), True), (p(0, 0) * p(2, 0), False)],
    "GRU": _recurrent(3, 4),
    "Gemm": _gemm,
    "GroupNorm": _affine(1, 3),
    "InnerProduct": lambda p: [(p(2, 0), True), (p(0, 0) * p(1, 0), False)],
    "InstanceNorm": _affine(0, 2),
    "LSTM": _recurrent(4, 4),
    "LayerNorm": _affine(0, 2),
    "LowRankPass": _low_rank_pass,
    "MemoryData": _memory,
    "MultiHeadAttention": _attention,
    "Normalize": lambda p: [(p(3, 0), False)],
    "PReLU": lambda p: [(p(0, 0), False)],
    "Padding": lambda p: [(p(6, 0), False)],
    "RMSNorm": _affine(0, 2, vectors=1),
    "RNN": _recurrent(1, 1),
    "RankCore": lambda p: [(p(6, 0), True)],
    "RankPass": lambda p: [(p(11, 0) * p(12, 0), True)],
    "RankUp": lambda p: [(p(6, 0), True)],
    "Scale": _scale,
} | dict.fromkeys(
    [
        "AbsVal",
        "BNLL",
        "BinaryOp",
        "CELU",
        "Clip",
        "Concat",
        "CopyTo",
        "Crop",
        "CumulativeSum",
        "DeepCopy",
        "Diag",
        "Dropout",
        "ELU",
        "Einsum",
        "Eltwise",
        "Erf",
        "Exp",
        "ExpandDims",
        "Flatten",
        "Flip",
        "Fold",
        "GELU",
        "GLU",
        "GridSample",
        "HardSigmoid",
        "HardSwish",
        "Input",
        "Interp",
        "LRN",
        "Log",
        "MVN",
        "MatMul",
        "Mish",
        "Noop",
        "Permute",
        "PixelShuffle",
        "Pooling",
        "Pooling1D",
        "Pooling3D",
        "Power",
        "ReLU",
        "Reduction",
        "RankSplit",
        "Reorg",
        "Reshape",
        "RotaryEmbed",
        "SDPA",
        "SELU",
        "Shrink",
        "ShuffleChannel",
        "Sigmoid",
        "Slice",
        "Softmax",
        "Softplus",
        "Split",
        "Squeeze",
        "Swish",
        "TanH",
        "Threshold",
        "Tile",
        "UnaryOp",
        "Unfold",
    ],
    lambda _: [],
)
"""The blobs that a layer of a type loads, in order. A count of 0 means that the blob is absent."""


def counts(kind: str, parameters: Mapping[str, str], *, quantised: bool = False) -> list[Count]:
    """The blobs that a layer loads, in order; of a `quantised` one those that it would load in float32. Raises
    ExportRefused for a type that is not known, and for quantised weights unless these are meant."""

    def parameter(key: int, default: int) -> int:
        text = parameters.get(str(key), "")
        return int(text) if text.lstrip("-").isdecimal() else default

    if kind not in WEIGHTS:
        raise ExportRefused(f"ncnn's layer type {kind} is not supported")
    if not quantised and any(parameters.get(key, "0") != "0" for key in _QUANTISED.get(kind, ())):
        raise ExportRefused(f"a layer of type {kind} has quantised weights, where float32 is expected")
    return [count for count in WEIGHTS[kind](parameter) if count[0]]


_QUANTISED: Mapping[str, tuple[str, ...]] = {
    kind: keys
    for keys, kinds in (
        (("8",), "Convolution ConvolutionDepthWise InnerProduct LSTM GRU RNN"),
        (("18",), "Embed Gemm MultiHeadAttention"),
    )
    for kind in kinds.split()
}

_SLIDING = {
    "11": "=1", "2": "1", "12": "=2", "3": "1", "13": "=3",
    "4": "0", "15": "=4", "14": "=4", "16": "=14", "5": "0", "9": "0",
}  # fmt: skip
DEFAULTS: Mapping[str, Mapping[str, str]] = {
    "BinaryOp": {"0": "0", "1": "0"},
    "Concat": {"0": "0"},
    "Convolution": _SLIDING | {"18": "0"},
    "ConvolutionDepthWise": _SLIDING | {"18": "0", "7": "1"},
    "Deconvolution": _SLIDING | {"18": "0", "19": "=18"},
    "DeconvolutionDepthWise": _SLIDING | {"18": "0", "19": "=18", "7": "1"},
    "Gemm": {"2": "0", "3": "0", "4": "0", "5": "0", "6": "0", "10": "0", "11": "0", "12": "0", "13": "0", "14": "0"},
    "InnerProduct": {"1": "0", "9": "0"},
    "LayerNorm": {"2": "1"},
    "Padding": {"0": "0", "1": "0", "2": "0", "3": "0", "4": "0", "5": "0.0", "6": "0"},
    "Permute": {"0": "0"},
    "Pooling": {
        "0": "0", "11": "=1", "2": "1", "12": "=2",
        "3": "0", "14": "=3", "13": "=3", "15": "=13", "4": "0", "5": "0", "6": "0", "7": "0",
    },
    "RankCore": _SLIDING,
    "SDPA": {"5": "0", "7": "0"},
    "Slice": {"1": "0"},
}  # fmt: skip
"""What a layer takes for a parameter that is not written: a value, or (`=k`) that of parameter k."""
