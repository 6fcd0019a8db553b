"""Rows of the history as series: what one side of a comparison has of one subject and metric."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.findings import Interval
from bench.records import Subject

CONDITIONS = {
    "inputs": "other input shapes", "samples": "other samples", "protocol": "another protocol", "cores": "other cores",
    "os": "another system", "device_name": "another device", "program": "another build of the runtime",
    "artifact": "another artifact",
}  # fmt: skip
"""What may differ between two series, and how a tag says so."""


@dataclass(frozen=True)
class Series:
    """Per-launch medians of one subject in one metric, of one or several runs.

    `launches` has those under good conditions, by number; `left_out` is how many others there are, `why` they are left
    out; `unusable` why none of them counts. `conditions` has what is listed in CONDITIONS.
    """

    subject: Subject
    metric: str
    runs: tuple[str, ...]
    folders: tuple[str, ...]
    launches: dict[int, float]
    left_out: int
    why: str
    unusable: str
    virtual: bool
    translated: bool
    ordinary: bool
    conditions: dict[str, str] = field(default_factory=dict)
    interval: Interval | None = None
    tagged: tuple[float, ...] = ()
    """The medians of the launches that are left out."""
    bound: str = ""
    """Why the figure is no more than a lower bound, where it is."""

    @property
    def median(self) -> float | None:
        return float(np.median(list(self.launches.values()))) if self.launches else None


def series(rows: Sequence[dict[str, Any]]) -> Iterator[Series]:
    """The series in rows of `bench.results.history.LAUNCHES`, in their order."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((*(row[name] for name in Subject.model_fields), row["metric"]), []).append(row)
    for mine in groups.values():
        yield _one(mine)


def _one(rows: Sequence[dict[str, Any]]) -> Series:
    newest = rows[-1]
    runs = tuple(dict.fromkeys(row["key"] for row in rows))
    good = [row for row in rows if row["status"] == "ok"]
    bad = [row for row in rows if row["status"] != "ok"]
    launches = {
        row["launch"] if len(runs) == 1 else runs.index(row["key"]) * 1_000_000 + row["launch"]: row["value"]
        for row in good
    }
    told = [row["reason"] for row in good if row["reason"]]
    bound = "; ".join(dict.fromkeys(told)) if newest["metric"] == "largest_picture" else ""
    low, high = newest["low"], newest["high"]
    return Series(
        Subject.model_validate({name: newest[name] for name in Subject.model_fields}),
        newest["metric"], runs, tuple(dict.fromkeys(row["folder"] for row in rows)), launches, len(bad),
        "; ".join(dict.fromkeys(row["reason"] for row in bad)), newest["unusable"], newest["virtual"],
        newest["translated"], newest["ordinary"], {name: newest[name] for name in CONDITIONS},
        Interval(low, high, "stored") if low is not None and high is not None else None,
        tuple(row["value"] for row in bad),
        bound,
    )  # fmt: skip
