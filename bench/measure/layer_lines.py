"""What a launch printed of a network's layers: what each is, and what it took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.errors import RunnerFailed
from bench.layered import Blob, Layers, LayerTime
from bench.measure.fields import REBUILD, whole, words

__all__ = ["MOST_LAYERS", "Blob", "LayerEvents", "LayerTime", "Layers"]

MOST_LAYERS = 10_000
_MOST_BLOBS = 1_000
"""That one layer reads, or makes."""
_MOST_AXES = 8


@dataclass
class LayerEvents:
    """The events of layers so far."""

    head: Mapping[str, Any] | None = None
    found: list[LayerTime] = field(default_factory=list)

    def begin(self, event: Mapping[str, Any]) -> None:
        """How many there are. Raises RunnerFailed."""
        if not 1 <= whole(event, "count") <= MOST_LAYERS:
            raise RunnerFailed(f"the runner times at most {MOST_LAYERS:,} layers, and printed another number", REBUILD)
        whole(event, "iterations", least=1)
        whole(event, "ns", least=1)
        whole(event, "whole", least=-1)
        self.head = event

    def add(self, event: Mapping[str, Any]) -> None:
        """The next one. Raises RunnerFailed."""
        if self.head is None or whole(event, "i") != len(self.found) or len(self.found) >= self.head["count"]:
            raise RunnerFailed(f"the runner's layer {len(self.found)} is missing: a line was lost", REBUILD)
        weights, read = (whole(event, key, least=-1) for key in ("weights", "read"))
        self.found.append(
            LayerTime(
                name=_text(event, "name"),
                type=_text(event, "type"),
                ns=whole(event, "ns"),
                read=None if read < 0 else read,
                bytes=whole(event, "bytes"),
                weights=None if weights < 0 else weights,
                deferred=bool(whole(event, "deferred")),
                inputs=tuple(_name(one) for one in _list(event, "inputs")),
                outputs=tuple(_blob(one) for one in _list(event, "outputs")),
            )
        )

    def whole(self, counts: tuple[int, ...] | None) -> Layers | None:
        """All of them, of whose values `counts` is what the file of answers has, if there is one; None where no layer
        was timed. Raises RunnerFailed where some are missing."""
        if self.head is None:
            return None
        if len(self.found) != self.head["count"]:
            raise RunnerFailed(
                f"the runner printed {len(self.found)} of {self.head['count']} layers: a line was lost", REBUILD
            )
        if counts is not None and counts != tuple(blob.values for one in self.found for blob in one.outputs):
            raise RunnerFailed("the runner's 'answers' event contradicts its layers", REBUILD)
        plain: int = self.head["whole"]
        return Layers(self.head["iterations"], self.head["ns"], plain if plain > 0 else None, tuple(self.found))


def _text(event: Mapping[str, Any], key: str) -> str:
    value = event.get(key)
    if isinstance(value, str):
        return words(value)
    raise RunnerFailed(f"the runner's 'layer' event has no text {key!r}", REBUILD)


def _list(event: Mapping[str, Any], key: str) -> list[Any]:
    value = event.get(key)
    if isinstance(value, list) and len(value) <= _MOST_BLOBS:
        return value
    raise RunnerFailed(f"the runner's 'layer' event has no list {key!r} of at most {_MOST_BLOBS:,}", REBUILD)


def _name(value: object) -> str:
    return _text({"name": value}, "name")


def _blob(value: object) -> Blob:
    if isinstance(value, dict) and isinstance(value.get("shape"), list) and len(value["shape"]) <= _MOST_AXES:
        extents = tuple(whole({"event": "layer", "shape": one}, "shape", least=1) for one in value["shape"])
        return Blob(_name(value.get("name")), extents)
    raise RunnerFailed("the runner's 'layer' event has an output without a shape", REBUILD)
