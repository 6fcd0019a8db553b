"""What was answered under drift, as rows of drift.csv."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.drifted import Bounds
from bench.findings import Findings
from bench.records import RunRecord

COLUMNS = (
    "model", "variant", "device", "runtime", "threads", "precision", "corruption", "severity", "score", "samples",
    "value", "low", "high", "clean", "difference", "difference_low", "difference_high", "more", "more_low", "more_high",
    "p", "virtual",
)  # fmt: skip
"""Of drift.csv: for each subject a row for each severity of each corruption, one for the mean of these (`severity` is
empty), and one for the mean of all (`corruption` all). Values are from 0 to 1. `p` of a severity is that of the
difference to the samples as they are, of a mean that of losing more than the ordinary network; both corrected."""


def rows(findings: Findings, run: RunRecord) -> Iterator[dict[str, Any]]:
    """The rows; what is not known is empty."""
    virtual = {device.serial: device.virtual for device in run.devices}
    for one in findings.drift:
        same = one.subject.model_dump() | {
            "score": one.score, "samples": one.n, "clean": one.clean, "virtual": virtual.get(one.subject.device),
        }  # fmt: skip
        for kind in (*one.kinds, *([one.overall] if one.overall else [])):
            name = kind.name or "all"
            for cell in kind.cells:
                yield same | {
                    "corruption": name, "severity": cell.severity, "value": cell.value, "difference": cell.difference,
                    "p": cell.p, **_bounds("", cell.bounds), **_bounds("difference_", cell.difference_bounds),
                }  # fmt: skip
            yield same | {
                "corruption": name, "value": kind.value, "difference": kind.value - one.clean, "more": kind.more,
                "p": kind.p, **_bounds("", kind.bounds), **_bounds("more_", kind.more_bounds),
            }  # fmt: skip


def _bounds(prefix: str, found: Bounds | None) -> dict[str, float | None]:
    low, high = found or (None, None)
    return {f"{prefix}low": low, f"{prefix}high": high}
