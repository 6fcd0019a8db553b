"""Which variants of a run meet a budget, and which of them to take. `bench.analyse.choose` decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.contest import Contest
from bench.findings import Interval
from bench.records import Subject

Axis = Literal["latency", "memory", "bytes", "download", "accuracy"]
METRIC_OF: dict[str, str] = {"latency": "latency", "memory": "vm_hwm", "bytes": "deployed", "download": "downloaded"}
"""The metric of each axis but accuracy, whose is the network's main score."""
Met = Literal["yes", "perhaps", "no", "unknown"]


@dataclass(frozen=True)
class Limit:
    """What a figure may be: at most `value` in the metric's unit; of accuracy at least. `relative`: the score may be
    `value` (negative: less) away from the ordinary network's."""

    axis: Axis
    value: float
    text: str
    relative: bool = False


@dataclass(frozen=True)
class Held:
    """One limit held against one variant: its figure and interval, or with `relative` limits the difference to the
    ordinary network and its interval.

    `met`: yes where the figure and all of its interval meet the limit, perhaps where the figure does but not all of the
    interval, or there is none, no where the figure does not. Bytes are exact, and need no interval. `unknown`: there is
    no figure that may be used, and `why`. `margin` is by what part of the limit the figure is within it, of accuracy by
    how much; negative where it is not.
    """

    limit: Limit
    metric: str
    met: Met
    value: float | None = None
    interval: Interval | None = None
    margin: float | None = None
    why: str = ""


@dataclass(frozen=True)
class Candidate:
    """A variant in one place with every limit held against it, and the `remarks` that its figures come with. `figures`
    are those that may be used, by metric; it is `doubtful` where one that was measured may not."""

    subject: Subject
    ordinary: bool
    virtual: bool
    held: tuple[Held, ...]
    figures: dict[str, float]
    doubtful: bool = False
    remarks: tuple[str, ...] = ()

    @property
    def met(self) -> Met:
        """The worst of its limits."""
        order: tuple[Met, ...] = ("unknown", "no", "perhaps", "yes")
        return min((one.met for one in self.held), key=order.index, default="yes")


@dataclass(frozen=True)
class Exclusion:
    """One limit that excludes: how many variants meet it at all, and the nearest of those that do not."""

    limit: Limit
    meeting: int
    nearest: Candidate | None


@dataclass(frozen=True)
class Choice:
    """`chosen` is the best by `best` of what meets all limits for sure, else of what perhaps does; None where nothing
    does. `near` are those that are not clearly behind it. `exclusions` are the limits that exclude everything, or where
    each alone is met by something, all of them. `without` says what would be chosen if one limit were dropped."""

    contest: Contest
    best: Axis
    reason: str
    candidates: tuple[Candidate, ...]
    chosen: Candidate | None = None
    near: tuple[Candidate, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    without: tuple[tuple[Limit, Candidate], ...] = ()
