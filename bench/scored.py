"""What the score of a machine is made of. `bench.analyse.score` computes it and docs/score.md explains it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

Kind = Literal["ordinary", "compressed"]


class Reference(NamedTuple):
    """The machine that has 1000 points in every test: what it is and when it was measured, and at which commit."""

    name: str
    virtual: bool
    measured: str
    commit: str


@dataclass(frozen=True)
class Points:
    """One test of one variant: `measured` against the reference, both in the metric's unit.

    `lost` are points of accuracy lost against the network's own reference score, and `penalty` is what they leave of
    the points; 0 and 1 where the network has no score. `points` is None where there are none, and `why` says why.
    """

    section: str
    network: str
    metric: str
    variant: str
    reference: float
    measured: float | None = None
    lost: float = 0.0
    penalty: float = 1.0
    points: float | None = None
    why: str = ""
    bound: bool = False
    """Whether `measured` is no more than a lower bound, and the points with it."""


@dataclass(frozen=True)
class Section:
    """The tests of one kind: `points` is their geometric mean, None unless all have points."""

    name: str
    tests: tuple[Points, ...]
    points: float | None


@dataclass(frozen=True)
class Score:
    """The score of one machine in one setting: of the ordinary networks, or of each network's best compressed variant.

    `total` is the geometric mean of the sections, None unless all have points; `why` then says what is missing.
    """

    kind: Kind
    device: str
    runtime: str
    threads: int
    precision: str
    virtual: bool
    sections: tuple[Section, ...]
    total: float | None
    why: tuple[str, ...] = ()

    def tests(self) -> Iterator[Points]:
        for section in self.sections:
            yield from section.tests


@dataclass(frozen=True)
class Scores:
    """Every score of a run beside the reference, and what each variant of each network got by itself."""

    reference: Reference
    totals: tuple[Score, ...]
    variants: tuple[Points, ...]
    notes: tuple[str, ...] = ()
