"""What a cascade is asked for: its small network, and the accuracy that is to be kept."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bench.errors import UsageError

DEFAULT = "dense-small:20x"
GOAL = "-0.5pt"
_GOALS = re.compile(r"(?:-(?P<points>\d{1,3}(?:\.\d{1,6})?)pt|(?P<percent>\d{1,3}(?:\.\d{1,6})?)%)", re.ASCII)
FORMS = (
    "Say the small network as a variant of this one, and what accuracy is to be kept: dense-small:20x (at most half a "
    "point less than the ordinary one's), dense-small:20x:-1pt, distil:50x:97%."
)


@dataclass(frozen=True)
class Asked:
    """The `method` that makes the small network of the ordinary one, to its `target`; `points` of accuracy that may be
    lost against the ordinary network, or the `least` accuracy, 0 to 1; `goal` is that in the user's words."""

    method: str
    target: str | None
    goal: str
    points: float | None = None
    least: float | None = None

    @property
    def small(self) -> str:
        return f"{self.method}:{self.target}" if self.target else self.method

    def accuracy(self, robust: float) -> float:
        """The accuracy to keep, where the ordinary network has `robust`; both 0 to 1."""
        return robust - self.points / 100 if self.points is not None else self.least or 0.0


def parsed(text: str) -> Asked:
    """`METHOD[:TARGET][:GOAL]`. Raises UsageError."""
    rest, colon, last = text.rpartition(":")
    found = _GOALS.fullmatch(last) if colon else None
    small, goal = (rest, last) if found else (text, GOAL)
    found = found or _GOALS.fullmatch(GOAL)
    assert found is not None
    method, colon, target = small.partition(":")
    if not method or (colon and not target):
        raise UsageError(f"{text[:80]!r} does not say what a cascade is made of", FORMS)
    points, percent = found["points"], found["percent"]
    if (points and float(points) >= 100) or (percent and not 0 < float(percent) <= 100):
        raise UsageError(f"{goal} is not an accuracy that could be kept", FORMS)
    return Asked(
        method, target or None, goal, float(points) if points else None, float(percent) / 100 if percent else None
    )
