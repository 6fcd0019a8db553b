"""Whole numbers drawn from a seed, the same on every machine and with every version of numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Mask = NDArray[np.integer[Any]]

NORMAL = 16
"""Bits of a deviation in what `Draw.normal` gives."""


class Draw:
    """Raw bits of PCG64, whose stream numpy keeps for ever; its distributions it does not."""

    def __init__(self, seed: bytes) -> None:
        self._bits = np.random.PCG64(int.from_bytes(seed, "big"))

    def words(self, count: int) -> NDArray[np.int64]:
        """So many numbers of 0..65535, all alike."""
        raw = np.asarray(self._bits.random_raw(-(-count // 4)), "<u8")
        return raw.view("<u2")[:count].astype(np.int64)

    def below(self, most: int) -> int:
        """One of 0..most−1, where `most` is a power of two."""
        return int(self.words(1)[0]) & (most - 1)

    def normal(self, shape: tuple[int, ...]) -> NDArray[np.int64]:
        """Nearly normal numbers of mean 0; their standard deviation is 2^NORMAL. Each is a sum of twelve uniform ones
        (Irwin–Hall), so that none is beyond six deviations."""
        count = int(np.prod(shape))
        summed: NDArray[np.int64] = self.words(12 * count).reshape(12, count).sum(axis=0)
        return (summed - 12 * 65_535 // 2).reshape(shape)


def in_pixels(picture: NDArray[Any], of_32: int, severity: int) -> int:
    """A length that is `of_32` pixels where the shorter side has 32: it grows with the side, and with each severity by
    one pixel at least."""
    side = int(min(picture.shape[:2]))
    return max(severity, (side * of_32 + 16) // 32)
