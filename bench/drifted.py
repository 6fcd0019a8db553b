"""Derived figures of networks under drift: how good answers to corrupted samples are, beside those to the same samples
as they are.

Like `bench.findings`, computed again from the stored answers of a run at any time. Intervals are bounds (low, high) at
95 %, over samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from bench.records import Subject

Bounds = tuple[float, float]
LEVEL = 0.05
"""A test calls a difference below this p, which is corrected for the number of tests."""

Score = Literal["top1", "dice", "drift_agreement"]
"""What is right, by labels or masks; where nobody knows that, whether the answer stays that to the sample as it is."""


class Cell(NamedTuple):
    """The score under one corruption in one severity, and how it differs from that of the same samples as they are.

    `p` is that of no difference (McNemar's exact test for right and wrong, else sign flips), by Holm's correction over
    all cells of the network in the place; None where the score is agreement, which is compared with nothing.
    """

    severity: int
    value: float
    bounds: Bounds | None
    difference: float
    difference_bounds: Bounds | None
    p: float | None

    @property
    def called(self) -> bool:
        return self.p is not None and self.p < LEVEL


@dataclass(frozen=True)
class Kind:
    """One corruption: its `cells`, and their mean `value`. A sample counts once, with its mean over the severities.

    `more` is by how much the score falls further than the ordinary network's does, from the samples as they are to this
    mean: above 0 the variant loses more. `p` is that of no difference, by sign flips over samples and Holm's correction
    over all corruptions and variants of the network in the place. None for the ordinary network itself.
    """

    name: str
    text: str
    value: float
    bounds: Bounds | None
    cells: tuple[Cell, ...] = ()
    more: float | None = None
    more_bounds: Bounds | None = None
    p: float | None = None

    @property
    def called(self) -> bool:
        """Whether it may be said that the variant loses more, or less."""
        return self.p is not None and self.p < LEVEL


@dataclass(frozen=True)
class Drift:
    """One subject under all corruptions that it was shown.

    `n` samples had the score `clean` as they were. `overall` is the mean over all corruptions, and `relative` that
    divided by `clean`; None where a corruption is missing. `like` is the first subject of the same variant whose
    answers were the very same, on whichever device. `missing` says what could not be measured, and why.
    """

    subject: Subject
    like: Subject
    score: Score
    n: int
    clean: float
    clean_bounds: Bounds | None
    kinds: tuple[Kind, ...]
    overall: Kind | None
    relative: float | None
    relative_bounds: Bounds | None
    ordinary: bool = False
    missing: tuple[str, ...] = ()

    def kind(self, name: str) -> Kind | None:
        return next((one for one in self.kinds if one.name == name), None)


class Tile(NamedTuple):
    """A sample at one severity, a PNG file; severity 0 is the sample as it is."""

    severity: int
    png: bytes


class Strip(NamedTuple):
    """What a corruption makes of one sample of a network."""

    model: str
    name: str
    text: str
    tiles: tuple[Tile, ...]
