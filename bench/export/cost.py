"""What a graph costs at a size of its input: multiply-adds, weights, and activations that are read and written."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.export import layers
from bench.export.graph import Graph, Layer
from bench.export.rank_pass import LowRankPass, RankPass
from bench.records import Tensor

Shape = tuple[int, int, int]
FLOAT = 4

MACS = {
    "winograd": 0.29,
    "convolution": 0.93,
    "narrow convolution": 2.3,
    "pass": 0.65,
    "core": 1.25,
    "low-rank pass": 0.8,
    "low-rank value": 7.5,
    "wide value": 4.9,
    "norm": 22.0,
    "byte": 1.0,
    "far byte": 2.2,
    "weight byte": 0.2,
    "far weight byte": 2.2,
    "winograd weight byte": 2.0,
    "far winograd weight byte": 12.6,
    "layer": 27_000.0,
    "own layer": 57_000.0,
}
"""What each part of a graph's work takes, in multiply-adds of a large matrix product (50 G/s where this was measured).

Fitted by `python -m benchmarks.resident_cost` to chains of equal layers on one core of an AMD EPYC (Zen 4): ncnn built
with AVX-512; our own layers with AVX-512 and, by another build, with AVX2, which differ by about a tenth. Most fitted
times are within a fifth of the measured ones; the worst are half of them, 3×3 convolutions of 4 channels and on 4×4
pixels. ncnn does a 3×3 convolution of stride 1 by Winograd's method: a quarter of the arithmetic, with weights of seven
times the size. Not fitted: `far byte` and `far weight byte`, since that computer's caches hold a whole chain; both are
at the speed of its memory.
"""
OWN = {"RankPass", "RankCore", "RankUp", "LowRankPass"}
_NEAR_WEIGHTS, _NEAR_BLOBS = 1_000_000, 4_000_000
"""Bytes of weights, and of what is read and written, that a layer finds in the caches of a small processor."""
_FEW = 16
"""Channels from which on ncnn's convolutions fill their vectors."""
_LANES = 16
"""Pixels that our own layers compute at once: of one alone, as behind a linear layer, they compute as many."""


@dataclass(frozen=True)
class Cost:
    """Multiply-adds, and bytes in float32."""

    macs: int = 0
    weights: int = 0
    activations: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.macs + other.macs, self.weights + other.weights, self.activations + other.activations)


def costs(graph: Graph, inputs: Sequence[Tensor]) -> tuple[Cost, ...]:
    """Of every layer, for one sample."""
    return tuple(cost for _, cost, _ in _walk(graph, inputs))


def shapes(graph: Graph, inputs: Sequence[Tensor]) -> dict[str, Shape]:
    """(C, H, W) of every blob. A layer whose arithmetic is not known here is taken to leave the shape as it is."""
    return {blob: after for layer, _, after in _walk(graph, inputs) for blob in layer.outputs}


_KNOWN = {
    "BatchNorm", "BinaryOp", "Clip", "Concat", "Convolution", "ConvolutionDepthWise", "Deconvolution",
    "DeconvolutionDepthWise", "Dropout", "Eltwise", "Flatten", "HardSigmoid", "HardSwish", "InnerProduct", "Input",
    "InstanceNorm", "LowRankPass", "Noop", "PReLU", "Padding", "Pooling", "RankCore", "RankSplit", "ReLU", "Scale",
    "Sigmoid", "Split", "Swish", "TanH",
}  # fmt: skip
"""Layers after which the shape is what `shapes` says."""


def sure_shapes(graph: Graph, inputs: Sequence[Tensor]) -> dict[str, Shape]:
    """The shapes of blobs of one or three axes, as far as they are known for sure."""
    sure = {f"in{number}" for number, tensor in enumerate(inputs) if len(tensor.shape) in (1, 3)}
    found = shapes(graph, inputs)
    for layer in graph.layers:
        alike = layer.type not in ("BinaryOp", "Eltwise") or len({found[blob] for blob in layer.inputs}) == 1
        concat = layer.type != "Concat" or layer.parameters.get("0", "0") == "0"
        if layer.type in _KNOWN and alike and concat and sure.issuperset(layer.inputs):
            sure.update(layer.outputs)
    return {blob: shape for blob, shape in found.items() if blob in sure}


def effort(graph: Graph, inputs: Sequence[Tensor]) -> float:
    """The whole graph as one number, in multiply-adds of a large matrix product; what the choice of forms minimises."""
    return sum(MACS[part] * amount for part, amount in terms(graph, inputs).items())


def terms(graph: Graph, inputs: Sequence[Tensor]) -> Counter[str]:
    """How much there is of each part of the work that `MACS` knows."""
    found: Counter[str] = Counter()
    for layer, cost, after in _walk(graph, inputs):
        if layer.type in _FREE:
            continue
        p = _numbers(layer)
        found[_kind(layer, p)] += _of_whole_vectors(layer, p, cost, after)
        found["byte" if cost.activations <= _NEAR_BLOBS else "far byte"] += cost.activations
        weights = "winograd weight byte" if _kind(layer, p) == "winograd" else "weight byte"
        found[weights if cost.weights <= _NEAR_WEIGHTS else f"far {weights}"] += cost.weights
        found["own layer" if layer.type in OWN else "layer"] += 1
        if layer.type == "LowRankPass":
            found["low-rank value"] += p["0"] * math.prod(after[1:]) * (4 if p.get("6") else 1)
        if layer.type == "RankPass" and (matrices := FLOAT * _of_matrices(p)) > _NEAR_WEIGHTS:
            found["far weight byte"] += matrices  # which are in no file, but every inference reads them
        if layer.type == "RankPass" and p.get("1", 0):
            points = p.get("13") or p["0"]
            found["wide value"] += points * math.prod(after[1:]) * (4 if p.get("8") else 1)
            found["norm"] += points * p["1"] ** 2 if p.get("5") else 0
    return found


def _of_whole_vectors(layer: Layer, p: Mapping[str, int], cost: Cost, after: Shape) -> int:
    """Multiply-adds of a layer, with those that our own layers do beside: a LowRankPass computes whole vectors of
    channels, the others of pixels."""
    if layer.type == "LowRankPass":
        channels, reduced = (-(-p.get(key, 0) // _FEW) * _FEW for key in ("0", "2"))
        return channels * math.prod(after[1:]) * (p["1"] * (4 if p.get("6") else 1) + reduced)
    pixels = math.prod(after[1:])
    return cost.macs * (-(-pixels // _LANES) * _LANES) // pixels if layer.type in OWN else cost.macs


def _of_matrices(p: Mapping[str, int]) -> int:
    """Values of the DCT matrices that a RankPass multiplies by."""
    rank, reduced = p.get("1", 0), p.get("2", 0)
    if rank and reduced and not p.get("7") and not p.get("8"):
        return rank * reduced  # two linear maps are one
    return (p.get("13") or p["0"]) * (rank + reduced)


def _kind(layer: Layer, p: Mapping[str, int]) -> str:
    """Which kind of multiply-adds a layer does."""
    if layer.type == "LowRankPass":
        return "low-rank pass"
    if layer.type in OWN:
        return "pass" if layer.type == "RankPass" else "core"
    if layer.type not in ("Convolution", "Deconvolution"):
        return "convolution"
    outputs, kernel = p["0"], math.prod(_pair(p, "1", "11", 1))
    if min(outputs, p["6"] // (outputs * kernel)) < _FEW:
        return "narrow convolution"
    plain = all(_pair(p, *keys, 1) == (1, 1) for keys in (("2", "12"), ("3", "13"))) and not p.get("31")
    return "winograd" if layer.type == "Convolution" and kernel == 9 and plain else "convolution"


_FREE = {"Input", "Split", "RankSplit", "Dropout", "Noop", "MemoryData", "Reshape", "Flatten"}


def _walk(graph: Graph, inputs: Sequence[Tensor]) -> Iterator[tuple[Layer, Cost, Shape]]:
    given = {f"in{number}": _image(tensor.shape) for number, tensor in enumerate(inputs)}
    known: dict[str, Shape] = {}
    rows: set[str] = set()
    """Blobs that are never whole: they are made row by row, in the cache."""
    for layer in graph.layers:
        before = [known[blob] for blob in layer.inputs]
        after = given[layer.outputs[0]] if layer.type == "Input" else _shape(layer, before)
        known.update(dict.fromkeys(layer.outputs, after))
        if layer.type == "RankCore" and len(layer.outputs) > 1:
            known[layer.outputs[1]] = (1, 1, after[0] * (after[0] + 1) + 1)
        if layer.type == "LowRankPass" and len(layer.outputs) > 1:
            known[layer.outputs[1]] = (int(layer.parameters["0"]), *after[1:])
        if layer.type == "RankUp" or (layer.type == "RankPass" and layer.parameters.get(RankPass.DEFERRED) == "1"):
            rows.update(layer.outputs)
        if layer.type in _FREE:
            yield layer, Cost(), after
            continue
        read = (math.prod(known[blob]) for blob in layer.inputs if blob not in rows)
        made = (math.prod(known[blob]) for blob in dict.fromkeys(layer.outputs) if blob not in rows)
        moved = sum(read) + (sum(made) if layer.type == "LowRankPass" else next(made, 0))
        size = FLOAT // 2 if layer.parameters.get(LowRankPass.HALF) == "1" and layer.type == "LowRankPass" else FLOAT
        weights = sum(count for count, _ in layers.counts(layer.type, layer.parameters, quantised=True))
        yield layer, Cost(_macs(layer, before, after), size * weights, FLOAT * moved), after


def _image(shape: tuple[int, ...]) -> Shape:
    """A shape of any rank as channels, rows and columns."""
    channels, *rest = shape
    return channels, math.prod(rest[:-1]), rest[-1] if rest else 1


def _numbers(layer: Layer) -> Mapping[str, int]:
    return {key: int(text) for key, text in layer.parameters.items() if text.lstrip("-").isdecimal()}


def _shape(layer: Layer, inputs: list[Shape]) -> Shape:
    p = _numbers(layer)
    channels, height, width = inputs[0] if inputs else (p.get("0", 1), 1, 1)
    match layer.type:
        case "Convolution" | "ConvolutionDepthWise" | "RankCore":
            return (p["0"], *_slid(p, height, width))
        case "Deconvolution" | "DeconvolutionDepthWise":
            return (p["0"], *_spread(p, height, width))
        case "RankUp":
            down, across = p.get("11", p["1"]), p["1"]
            rows, columns = p.get("20", 0) + p.get("21", 0), p.get("22", 0) + p.get("23", 0)
            return p["0"], height * down + rows, width * across + columns
        case "Pooling" if p.get("4") == 1:
            return channels, 1, 1
        case "Pooling" if p.get("7") == 1:
            return channels, p.get("18", p.get("8", 1)), p.get("8", 1)
        case "Pooling":
            return (channels, *_slid(p, height, width, pooling=True))
        case "RankPass":
            halved = (height // 2, width // 2) if p.get("8") == 1 else (height, width)
            return (p.get("2", p["0"]), *halved)
        case "LowRankPass":
            halved = (height // 2, width // 2) if p.get("6") == 1 else (height, width)
            return (p.get("2") or p["0"], *halved)
        case "InnerProduct":
            return p["0"], 1, 1
        case "Flatten":
            return channels * height * width, 1, 1
        case "Concat" if p.get("0", 0) == 0:
            return sum(shape[0] for shape in inputs), height, width
        case "Padding":
            return channels, height + p.get("0", 0) + p.get("1", 0), width + p.get("2", 0) + p.get("3", 0)
        case "Reshape" if p.get("2", 0) > 0:
            return p["2"], p.get("1", 1), p.get("0", 1)
    return channels, height, width


def _pair(p: Mapping[str, int], across: str, down: str, default: int) -> tuple[int, int]:
    first = p.get(across, default)
    return p.get(down, first), first


def _pads(p: Mapping[str, int], left: str, others: tuple[str, str, str]) -> tuple[int, int]:
    """Rows and columns that padding adds; `others` are right, top and bottom."""
    first = p.get(left, 0)
    right, top, bottom = (p.get(key, first) for key in others)
    return top + bottom, first + right


def _slid(p: Mapping[str, int], height: int, width: int, *, pooling: bool = False) -> tuple[int, int]:
    ceil = pooling and p.get("5", 0) == 0
    kernel = _pair(p, "1", "11", 1)
    stride = _pair(p, "2", "12", 1) if pooling else _pair(p, "3", "13", 1)
    dilation = (1, 1) if pooling else _pair(p, "2", "12", 1)
    pads = _pads(p, "3", ("14", "13", "15")) if pooling else _pads(p, "4", ("15", "14", "16"))
    reach = (
        size + pad - (d * (k - 1) + 1) for size, pad, k, d in zip((height, width), pads, kernel, dilation, strict=True)
    )
    steps = [(-(-r // s) if ceil else r // s) + 1 for r, s in zip(reach, stride, strict=True)]
    return steps[0], steps[1]


def _spread(p: Mapping[str, int], height: int, width: int) -> tuple[int, int]:
    kernel, stride, dilation = _pair(p, "1", "11", 1), _pair(p, "3", "13", 1), _pair(p, "2", "12", 1)
    pads = _pads(p, "4", ("15", "14", "16"))
    more = _pair(p, "18", "19", 0)
    sizes = [
        (size - 1) * s + d * (k - 1) + 1 + m - pad
        for size, s, k, d, m, pad in zip((height, width), stride, kernel, dilation, more, pads, strict=True)
    ]
    return sizes[0], sizes[1]


def _macs(layer: Layer, inputs: list[Shape], after: Shape) -> int:
    p = _numbers(layer)
    match layer.type:
        case "Convolution" | "ConvolutionDepthWise" | "RankCore":
            return p["6"] * after[1] * after[2]
        case "Deconvolution" | "DeconvolutionDepthWise" | "RankUp":
            return p["6"] * inputs[0][1] * inputs[0][2]
        case "InnerProduct":
            return p["2"]
        case "LowRankPass":
            pixels = inputs[0][1] * inputs[0][2]
            return p["0"] * (pixels * p["1"] + after[1] * after[2] * p.get("2", 0))
        case "RankPass":
            pixels, rank, reduced = inputs[0][1] * inputs[0][2], p.get("1", 0), p.get("2", 0)
            if rank and reduced and not p.get("7") and not p.get("8"):
                return pixels * rank * reduced  # two linear maps are one
            return (p.get("13") or p["0"]) * (pixels * rank + after[1] * after[2] * reduced)
    return 0
