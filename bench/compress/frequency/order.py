"""The order of DCT coefficients: by L1 level i1 + … + iN, then lexicographic. Integers only, the same everywhere.

Nothing here enumerates a tensor: positions are turned into coordinates, and back, by counting how many
coordinates of the axes still to come have a given sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


@lru_cache(maxsize=256)
def _counts(shape: tuple[int, ...]) -> tuple[Integers, ...]:
    """Per axis a: for every s, how many coordinates of the axes a, a+1, … sum to less than s; length max + 2."""
    ways, cumulative = np.ones(1, np.int64), []
    for n in reversed(shape):
        below = np.cumsum(ways)
        ways = np.concatenate((below, np.full(n - 1, below[-1])))
        ways[n:] -= below[:-1]
        cumulative.append(np.concatenate(([0], np.cumsum(ways))))
    return tuple(reversed(cumulative))


def coordinates(shape: Sequence[int], positions: Integers) -> Integers:
    """Coordinates (len(positions), N) of the coefficients at `positions`, each 0 ≤ position < product of shape."""
    result = np.zeros((len(positions), len(shape)), np.int64)
    long = [axis for axis, n in enumerate(shape) if n > 1]
    if len(positions) == 0 or len(long) < 2:
        result[:, long] = positions[:, None]
        return result
    # No level is empty, so what comes before a position has no larger index: a file may name an axis of any length.
    reach = int(positions.max()) + 1
    counts = _counts(tuple(min(n, reach) for n in shape))
    # `left` is the sum of the axes still to come; `rest` how many coordinates with that sum come before ours.
    left = np.searchsorted(counts[0], positions, side="right") - 1
    rest = positions - counts[0][left]
    for axis in range(len(shape) - 1):
        below = counts[axis + 1]
        # Taking index i leaves left - i; indices before i account for below[left + 1] - below[left + 1 - i].
        top = below[np.minimum(left + 1, len(below) - 1)]
        remaining = np.searchsorted(below, top - rest, side="left") - 1
        result[:, axis] = left - remaining
        rest -= top - below[remaining + 1]
        left = remaining
    result[:, -1] = left
    return result


def prefix(shape: Sequence[int], kept: int) -> Integers:
    """Coordinates (kept, N) of the first `kept` coefficients."""
    return coordinates(shape, np.arange(kept, dtype=np.int64))


def positions(shape: Sequence[int], coords: Integers) -> Integers:
    """Where the coefficients at `coords` (M, N) stand in the order: the inverse of `coordinates`."""
    counts = _counts(tuple(shape))
    left = coords.sum(axis=1)
    result: Integers = counts[0][left]
    for axis in range(len(shape) - 1):
        below, index = counts[axis + 1], coords[:, axis]
        last = len(below) - 1
        result = result + below[np.minimum(left + 1, last)] - below[np.minimum(left + 1 - index, last)]
        left = left - index
    return result


@lru_cache(maxsize=256)
def _firsts(shape: tuple[int, ...]) -> tuple[Integers, ...]:
    """Per axis, for each of its indices, the position of the first coefficient that has it: all its others are 0."""
    return tuple(
        positions(shape, np.outer(np.arange(n), np.eye(len(shape), dtype=np.int64)[axis]))
        for axis, n in enumerate(shape)
    )


def prefix_box(shape: Sequence[int], kept: int) -> tuple[int, ...]:
    """`box(prefix(shape, kept))`, in no time."""
    return tuple(int(np.searchsorted(firsts, kept)) for firsts in _firsts(tuple(shape)))


def box(coords: Integers) -> tuple[int, ...]:
    """Per axis 1 + the largest index: the least box that holds all `coords` (M ≥ 1, N)."""
    return tuple(int(n) for n in coords.max(axis=0) + 1)
