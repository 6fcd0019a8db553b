"""The wide spaces between resident layers, and with how many points each is computed (docs/resident.md)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

Widths = Callable[[int], Fraction]
"""With what part of its channels, above 0 and at most 1, the output of the layer of that number is to be computed."""


@dataclass(frozen=True)
class Source:
    """Neighbouring channels of an input: the output of the layer `maker`, or (None) of no resident layer."""

    maker: int | None
    channels: int


@dataclass
class Space:
    """What a resident layer writes, so many `channels` that others reduce again.

    `least` is how many columns those on both sides keep of it: at fewer points one cosine looks like another, and the
    network would be a different one. `whole` says why it has to have all its channels, if it does.
    """

    channels: int
    least: int
    whole: str | None = None

    def needs(self, columns: int) -> None:
        """A layer that reads it keeps so many columns of it."""
        self.least = max(self.least, columns)

    def keep_all(self, why: str) -> None:
        self.whole = self.whole or why

    def points(self, width: Fraction) -> int:
        """With how many points it is computed where a part of its channels is asked for."""
        if self.whole:
            return self.channels
        return min(self.channels, max(math.ceil(self.channels * width), self.least))
