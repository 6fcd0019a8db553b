"""ncnn's param file: the graph as text. Read, made small, written; and the .bin file of weights that goes with it.

Format: https://github.com/Tencent/ncnn/wiki/param-and-model-file-structure
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import ExportRefused
from bench.export import layers

MAGIC = "7767517"
HALF = (0x01306B47).to_bytes(4, "little")
"""The type word of float16 in `src/modelbin.cpp`."""
_PORT = re.compile(r"(in|out)\d+")


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
        return tuple(Blob(self.name, count, typed) for count, typed in layers.counts(self.type, self.parameters))

    def short(self) -> Layer:
        """The same layer without the parameters that say what is the default anyway."""
        defaults = layers.DEFAULTS.get(self.type, {})

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

    def outputs(self) -> tuple[str, ...]:
        """The network's outputs: out0, out1, …"""
        names = [blob for layer in self.layers for blob in layer.outputs if blob.startswith("out")]
        return tuple(sorted((name for name in names if _PORT.fullmatch(name)), key=lambda name: int(name[3:])))

    def without(self, layers: Collection[Layer]) -> Graph:
        """The same graph without these layers of one input and one output, which do nothing."""
        names = {layer.outputs[0]: layer.inputs[0] for layer in layers}

        def left(layer: Layer) -> Layer:
            return replace(layer, inputs=tuple(names.get(blob, blob) for blob in layer.inputs))

        return Graph(tuple(left(layer) for layer in self.layers if layer not in layers))

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
    """Write a param file in few bytes. Its inputs in0, in1, … and outputs out0, out1, … keep their names."""
    names = {blob for layer in graph.layers for blob in layer.outputs}
    path.write_text(str(graph.small([name for name in names if _PORT.fullmatch(name)])), encoding="ascii", newline="\n")


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


def joined(blobs: Collection[Blob], values: Collection[NDArray[np.float32]]) -> bytes:
    """The .bin file of these blobs."""
    return b"".join(
        bytes(4 * blob.typed) + value.astype("<f4").tobytes() for blob, value in zip(blobs, values, strict=True)
    )


def has_half(weights: bytes, blobs: Collection[Blob]) -> bool:
    """Whether any blob in a .bin file, which holds exactly these, is stored as float16."""
    at = 0
    for blob in blobs:
        if blob.typed and weights[at : at + 4] == HALF:
            return True
        at += 4 * blob.typed + 4 * blob.count
    return False


def split(weights: bytes, blobs: Collection[Blob]) -> tuple[NDArray[np.float32], ...]:
    """The values of each blob in a .bin file of float32 and float16. Raises ExportRefused unless it holds exactly
    these."""
    at, values = 0, []
    for blob in blobs:
        kind: np.dtype[Any] = np.dtype("<f4")
        if blob.typed:
            tag = weights[at : at + 4]
            if tag not in (bytes(4), HALF):
                raise ExportRefused(f"the weights of {blob.layer} are stored neither as float32 nor as float16")
            kind = np.dtype("<f2") if tag == HALF else kind
            at += 4
        size = kind.itemsize * blob.count
        if at + size > len(weights):
            raise ExportRefused(f"the graph's weights end inside {blob.layer}")
        values.append(np.frombuffer(weights, kind, blob.count, at).astype(np.float32))
        at += size + -size % 4
    if at != len(weights):
        raise ExportRefused(f"the graph has {len(weights) - at} bytes of weights too many")
    return tuple(values)
