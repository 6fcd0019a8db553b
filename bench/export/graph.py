"""ncnn's param file: the graph as text. Read, made small, written; and which weight blobs its layers load, in order.

Format: https://github.com/Tencent/ncnn/wiki/param-and-model-file-structure; defaults as in `src/layer/*.cpp`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.errors import ExportRefused

MAGIC = "7767517"
INPUT, OUTPUT = "in0", "out0"

_CONVOLUTION = {
    "11": "=1", "2": "1", "12": "=2", "3": "1", "13": "=3",
    "4": "0", "15": "=4", "14": "=4", "16": "=14", "5": "0", "9": "0",
}  # fmt: skip
_DEFAULTS: Mapping[str, Mapping[str, str]] = {
    "Convolution": _CONVOLUTION | {"18": "0"},
    "RankCore": _CONVOLUTION,
    "ConvolutionDepthWise": _CONVOLUTION | {"18": "0", "7": "1"},
    "Deconvolution": _CONVOLUTION | {"18": "0", "19": "=18"},
    "DeconvolutionDepthWise": _CONVOLUTION | {"18": "0", "19": "=18", "7": "1"},
    "InnerProduct": {"1": "0", "9": "0"},
    "Pooling": {
        "0": "0", "11": "=1", "2": "1", "12": "=2",
        "3": "0", "14": "=3", "13": "=3", "15": "=13", "4": "0", "5": "0", "6": "0", "7": "0",
    },
    "BinaryOp": {"0": "0", "1": "0"},
    "Concat": {"0": "0"},
    "Gemm": {"2": "0", "3": "0", "4": "0", "5": "0", "6": "0", "10": "0", "11": "0", "12": "0", "13": "0", "14": "0"},
    "LayerNorm": {"2": "1"},
    "Permute": {"0": "0"},
    "SDPA": {"5": "0", "7": "0"},
    "Slice": {"1": "0"},
    "Padding": {"0": "0", "1": "0", "2": "0", "3": "0", "4": "0", "5": "0.0", "6": "0"},
}  # fmt: skip
"""What a layer takes for a parameter that is not written: a value, or (`=k`) that of parameter k."""

_WEIGHTLESS = {
    "BinaryOp", "Clip", "Concat", "Crop", "Dropout", "ELU", "Eltwise", "ExpandDims", "Flatten", "GELU", "HardSigmoid",
    "HardSwish", "Input", "Interp", "MatMul", "Mish", "Padding", "Permute", "PixelShuffle", "Pooling", "ReLU",
    "Reduction", "Reshape", "SDPA", "ShuffleChannel", "Sigmoid", "Slice", "Softmax", "Softplus", "Split", "Squeeze",
    "Swish", "TanH", "UnaryOp",
}  # fmt: skip


@dataclass(frozen=True)
class Blob:
    """Weights that a layer loads: `count` float32; `typed` when a type word stands before them in the .bin file."""

    layer: str
    count: int
    typed: bool


@dataclass(frozen=True)
class Layer:
    """One line of the file. `parameters` are as written, key to value."""

    type: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parameters: Mapping[str, str]

    def blobs(self) -> tuple[Blob, ...]:
        """The weights it loads, in order. Raises ExportRefused for a type that is not known here."""
        number = {key: int(value) for key, value in self.parameters.items() if value.isdecimal()}

        def blobs(*counts: tuple[int, bool]) -> tuple[Blob, ...]:
            return tuple(Blob(self.name, count, typed) for count, typed in counts if count)

        match self.type:
            case "Convolution" | "ConvolutionDepthWise" | "Deconvolution" | "DeconvolutionDepthWise":
                return blobs((number["6"], True), (number["0"] * number.get("5", 0), False))
            case "InnerProduct":
                return blobs((number["2"], True), (number["0"] * number.get("1", 0), False))
            case "Gemm" if number.get("4", 0) == 0 and self.parameters.get("10") in ("-1", "4"):
                # The second matrix is the weight; a bias, one value a column (10=4), is loaded like a matrix too.
                weights = number["8"] * number["9"] if number.get("5", 0) else 0
                return blobs((weights, True), (number["8"] if number.get("10", 0) and number.get("6", 0) else 0, True))
            case "LayerNorm":
                return blobs(*((number["0"], False),) * 2 * number.get("2", 1))
            case "MemoryData":
                sizes = [number[key] for key in ("0", "1", "11", "2") if number.get(key, 0)]
                return blobs((math.prod(sizes) if sizes else 0, number.get("21", 1) == 0))
            case "RankCore":
                return blobs((number["6"], True))
            case "RankPass":
                return blobs((number["0"] * number.get("2", 0) * number.get("11", 0), True))
            case "InstanceNorm" if number.get("2", 1) == 0:
                return ()
            case _ if self.type in _WEIGHTLESS:
                return ()
        raise ExportRefused(
            f"the converted network has a layer {self.name!r} of type {self.type}, whose weights are not known",
            "A norm that is left could not be folded; another type must be added to bench/export/graph.py.",
        )

    def short(self) -> Layer:
        """The same layer without the parameters that say what is the default anyway."""
        defaults = _DEFAULTS.get(self.type, {})

        def default(key: str) -> str | None:
            fallback = defaults.get(key)
            if fallback is None or fallback[0] != "=":
                return fallback
            return self.parameters.get(fallback[1:], default(fallback[1:]))

        return replace(self, parameters={k: text for k, text in self.parameters.items() if text != default(k)})

    def __str__(self) -> str:
        counts = (str(len(self.inputs)), str(len(self.outputs)))
        parameters = (f"{key}={value}" for key, value in self.parameters.items())
        return " ".join((self.type, self.name, *counts, *self.inputs, *self.outputs, *parameters))


@dataclass(frozen=True)
class Graph:
    """The layers in the order in which they are written, loaded and run."""

    layers: tuple[Layer, ...]

    def __str__(self) -> str:
        blobs = len({blob for layer in self.layers for blob in layer.outputs})
        return "\n".join((MAGIC, f"{len(self.layers)} {blobs}", *map(str, self.layers), ""))

    def blobs(self) -> tuple[Blob, ...]:
        """Every weight blob in load order. Raises ExportRefused."""
        return tuple(blob for layer in self.layers for blob in layer.blobs())

    def small(self, kept_names: Collection[str]) -> Graph:
        """The same graph in fewer bytes: no default parameters, no layer names, short names for all other blobs."""
        names: dict[str, str] = {name: name for name in kept_names}

        def short(name: str) -> str:
            return names.setdefault(name, np.base_repr(len(names), 36).lower())

        return Graph(
            tuple(
                replace(layer.short(), name="-", inputs=tuple(map(short, layer.inputs)),
                        outputs=tuple(map(short, layer.outputs)))
                for layer in self.layers
            )
        )  # fmt: skip


def write(graph: Graph, path: Path) -> None:
    """Write a param file in few bytes. The blobs INPUT and OUTPUT keep their names."""
    path.write_text(str(graph.small((INPUT, OUTPUT))), encoding="ascii", newline="\n")


def parse(text: str) -> Graph:
    """The graph in a param file. Raises ExportRefused when the text is not one."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    try:
        (magic,), (layer_count, _), *rest = lines
        layers = tuple(_layer(words) for words in rest)
        if magic != MAGIC or len(layers) != int(layer_count):
            raise ValueError(f"{len(layers)} layers, magic {magic}")
    except (ValueError, IndexError) as error:
        raise ExportRefused(f"the converted network is not an ncnn param file: {error}") from error
    return Graph(layers)


def _layer(words: list[str]) -> Layer:
    inputs, outputs = int(words[2]), int(words[3])
    first = 4 + inputs
    parameters = dict(word.split("=", 1) for word in words[first + outputs :])
    return Layer(words[0], words[1], tuple(words[4:first]), tuple(words[first : first + outputs]), parameters)


def split(weights: bytes, blobs: Collection[Blob]) -> tuple[NDArray[np.float32], ...]:
    """The values of each blob in a .bin file of float32. Raises ExportRefused unless it holds exactly these."""
    at, values = 0, []
    for blob in blobs:
        if blob.typed:
            if weights[at : at + 4] != bytes(4):
                raise ExportRefused(f"the converted network's {blob.layer} is not stored as float32")
            at += 4
        if at + 4 * blob.count > len(weights):
            raise ExportRefused(f"the converted network's weights end inside {blob.layer}")
        values.append(np.frombuffer(weights, "<f4", blob.count, at))
        at += 4 * blob.count
    if at != len(weights):
        raise ExportRefused(f"the converted network has {len(weights) - at} bytes of weights too many")
    return tuple(values)
