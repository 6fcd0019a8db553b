"""The layers of a run as rows of layers.csv."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.findings import Findings

COLUMNS = (
    "model", "variant", "device", "runtime", "threads", "precision", "place", "layer", "type", "shape", "deferred",
    "ns", "share", "low", "high", "predicted", "surprise", "macs", "moved", "launches", "virtual", "translated",
)  # fmt: skip
"""Of layers.csv: a row for each layer of each subject, in the order of execution. Shares are from 0 to 1, times in ns,
`moved` in bytes."""


def rows(findings: Findings) -> Iterator[dict[str, Any]]:
    """The rows; what is not known is empty."""
    for one in findings.profiles:
        for place, layer in enumerate(one.layers):
            low, high = layer.interval or (None, None)
            yield one.subject.model_dump() | {
                "place": place, "layer": layer.label, "type": layer.type, "shape": "x".join(map(str, layer.shape)),
                "deferred": layer.deferred, "ns": layer.ns, "share": layer.share, "low": low, "high": high,
                "predicted": layer.predicted, "surprise": None if layer.predicted is None else layer.surprise,
                "macs": layer.macs, "moved": layer.moved, "launches": one.launches, "virtual": one.virtual,
                "translated": one.translated,
            }  # fmt: skip
