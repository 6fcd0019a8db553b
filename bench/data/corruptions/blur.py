"""Blur of a lens that is out of focus or dirty."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.data.corruptions.draw import Draw, Pixels, in_pixels

TIMES = (1, 2, 3, 4, 6)
"""For a shorter side of 32. So many times (1 2 1)/4 is a binomial kernel of half that variance: deviations from 0.7 to
1.7 pixels."""
_BITS = 8


def binomial(pixels: Pixels, severity: int, draw: Draw) -> Pixels:
    """A binomial filter, which tends to a Gaussian one; the edge is repeated beyond itself."""
    values = pixels.astype(np.int32) << _BITS
    for _ in range(in_pixels(pixels, TIMES[severity - 1], severity)):
        values = _smoothed(_smoothed(values).swapaxes(0, 1)).swapaxes(0, 1)
    return ((values + (1 << (_BITS - 1))) >> _BITS).astype(np.uint8)


def _smoothed(values: NDArray[np.int32]) -> NDArray[np.int32]:
    """Along the first axis."""
    around = np.concatenate((values[:1], values, values[-1:]))
    return (around[:-2] + 2 * values + around[2:] + 2) >> 2
