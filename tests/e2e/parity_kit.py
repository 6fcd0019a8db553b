"""Faults, seeded where people have them: in files of weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bench.cache import sha256_file
from bench.campaign.parity import Parity, Scene, compared
from bench.measure import station

_WEIGHTED = {
    "Convolution": 5,
    "ConvolutionDepthWise": 5,
    "Deconvolution": 5,
    "DeconvolutionDepthWise": 5,
    "InnerProduct": 1,
}
"""Types of ncnn's layers that begin with a flag and their weights, and the key that says whether a bias follows."""


@dataclass(frozen=True)
class Weighted:
    """A layer of a graph: where its float32 weights begin in the file; so many filters of so many values each."""

    name: str
    type: str
    offset: int
    filters: int
    each: int


def weighted(param: Path) -> list[Weighted]:
    """The layers with weights in ncnn's own format, in the order of the file."""
    found, at = [], 0
    for line in param.read_text().splitlines()[2:]:
        kind, name, bottoms, tops, *rest = line.split()
        keys = dict(one.split("=", 1) for one in rest[int(bottoms) + int(tops) :] if "=" in one)
        if kind not in _WEIGHTED:
            continue
        size = int(keys["2" if kind == "InnerProduct" else "6"])
        filters = int(keys["0"])
        found.append(Weighted(name, kind, at + 4, filters, size // filters))
        at += 4 + 4 * size + (4 * filters if keys.get(str(_WEIGHTED[kind]), "0") == "1" else 0)
    return found


def one_weight(layer: Weighted, number: int) -> Callable[[np.ndarray], None]:
    """The largest weight of a filter, negated."""

    def spoil(weights: np.ndarray) -> None:
        own = weights[number * layer.each : (number + 1) * layer.each]
        at = int(np.abs(own).argmax())
        own[at] = -own[at]

    return spoil


def one_filter(layer: Weighted, number: int) -> Callable[[np.ndarray], None]:
    """A whole filter, zeroed."""

    def spoil(weights: np.ndarray) -> None:
        weights[number * layer.each : (number + 1) * layer.each] = 0

    return spoil


def spoilt(source: Path, to: Path, layer: Weighted, spoil: Callable[[np.ndarray], None]) -> None:
    """Copy a file of weights with a fault in one layer."""
    data = bytearray(source.read_bytes())
    weights = np.frombuffer(data, "<f4", layer.filters * layer.each, layer.offset)
    spoil(weights)
    to.write_bytes(data)


def with_weights(scene: Scene, folder: Path, layer: Weighted, spoil: Callable[[np.ndarray], None]) -> Parity:
    """What is found where an app has files whose weights are spoilt."""
    path = folder / "weights.bin"
    spoilt(scene.ours.file("weights").path, path, layer, spoil)
    other = scene.ours.file("weights").model_copy(update={"path": path, "sha256": sha256_file(path)})
    theirs = scene.ours.model_copy(update={"files": (scene.ours.file("graph"), other)})
    for machine in (scene.there, scene.here):
        station.bring(machine, [*theirs.needed, scene.picture, scene.looked.samples], lambda sentence: None)
    return compared(replace(scene, theirs=theirs, notes=[]))
