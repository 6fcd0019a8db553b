"""Derived figures of networks under load: for minutes on end, and with others at work beside them.

Like `bench.findings`, computed again from the samples of a run at any time. Intervals are bounds (low, high) at 95 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from bench.records import Subject

Bounds = tuple[float, float]
SLOWER = 0.05
"""By how much more than at first an inference takes when it counts as throttled."""


class Moment(NamedTuple):
    """A value at so many seconds from the start of the load, in its metric's unit."""

    second: float
    value: float


@dataclass(frozen=True)
class Sustained:
    """One launch of a subject under load that goes on.

    `windows` are the medians of its seconds, in ns, and `medians` those of each minute (`unit_s` 60), or of each second
    where the load was shorter than a minute (`unit_s` 1); the second of each is where the unit begins. `cold` is the
    median of the windows of the first minute, or of the first tenth of a shorter load, `steady` that of the last third,
    `ratio` steady ÷ cold: above 1 it became slower. `bounds` are None where there are too few windows for an interval.
    `throttled` is the unit, counted from 0, from which medians are above `cold` by more than SLOWER, all but a few;
    None where there is none, or `steady` is not above it by as much too, or `bounds` do not show that. `doubts` says
    why it should not be compared.
    """

    subject: Subject
    seconds: float
    unit_s: int
    windows: tuple[Moment, ...]
    medians: tuple[Moment, ...]
    cold: float
    steady: float
    ratio: float
    bounds: Bounds | None
    throttled: int | None
    clock: tuple[Moment, ...] = ()
    skin: tuple[Moment, ...] = ()
    status: tuple[Moment, ...] = ()
    virtual: bool = False
    translated: bool = False
    doubts: str = ""


@dataclass(frozen=True)
class Turn:
    """Two variants in one place whose medians change places under load: `early` is faster when cold, `late` when
    steady. `gain` is late ÷ early when cold, `loss` early ÷ late when steady, both above 1. `called`: neither is
    explained by noise."""

    early: Subject
    late: Subject
    gain: float
    loss: float
    called: bool


@dataclass(frozen=True)
class Lead:
    """`ahead` is faster than `behind`, another variant in the same place, beyond what noise explains."""

    when: Literal["cold", "steady", "alone", "contended"]
    ahead: Subject
    behind: Subject


def fastest(among: Sequence[Subject], leads: Sequence[Lead], when: str) -> Subject | None:
    """The one of several that is ahead of each other one; None where it is not shown of any."""
    ahead = {(one.ahead, one.behind) for one in leads if one.when == when}
    return next((a for a in among if all(a == b or (a, b) in ahead for b in among)), None)


@dataclass(frozen=True)
class Contention:
    """A subject with others at work beside it against the same alone, in ns, from so many `launches` of each.

    `alone` and `contended` are medians of means: an inference shorter than a slice of the scheduler is either not
    disturbed at all or waits for a whole slice, which a median of inferences (`medians`) does not see. `ratio` is
    contended ÷ alone: above 1 it suffers. `doubts` says why it should not be used.
    """

    subject: Subject
    alone: float
    contended: float
    medians: tuple[float, float]
    ratio: float
    bounds: Bounds | None
    launches: tuple[int, int]
    copies: int
    load: int
    called: bool
    virtual: bool = False
    translated: bool = False
    doubts: str = ""
