"""A camera that looks a little beside its subject, or is held askew. What comes into the picture repeats its edge."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.data.corruptions.draw import Draw, Mask, Pixels, in_pixels

PIXELS = (1, 2, 3, 4, 6)
"""For a shorter side of 32."""
TURNS = ((65_287, 5_712), (64_540, 11_380), (63_303, 16_962), (61_584, 22_415), (56_756, 32_768))
"""Cosine and sine of 5, 10, 15, 20 and 30 degrees in 65536ths."""
_BITS = 16
_DIRECTIONS = ((-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))

Places = tuple[NDArray[np.int64], NDArray[np.int64]]
"""The row and the column (H, W) of the pixel that each pixel is taken from; of `turned` ones in 65536ths."""


def shifted(pixels: Pixels, severity: int, draw: Draw) -> Pixels:
    """Moved in one of eight directions."""
    moved: Pixels = pixels[_shift(pixels, severity, draw)]
    return moved


def shifted_mask(mask: Mask, severity: int, draw: Draw) -> Mask:
    moved: Mask = mask[_shift(mask, severity, draw)]
    return moved


def _shift(picture: Mask, severity: int, draw: Draw) -> Places:
    far = in_pixels(picture, PIXELS[severity - 1], severity)
    down, right = _DIRECTIONS[draw.below(len(_DIRECTIONS))]
    height, width = picture.shape[:2]
    rows, columns = np.arange(height) - far * down, np.arange(width) - far * right
    return rows.clip(0, height - 1)[:, None], columns.clip(0, width - 1)[None]


def turned(pixels: Pixels, severity: int, draw: Draw) -> Pixels:
    """Turned about its middle, to one side or the other; bilinear, in 256ths of a pixel."""
    rows, columns = _turn(pixels, severity, draw)
    top, left = rows >> _BITS, columns >> _BITS
    below, beside = (np.minimum(one + 1, most - 1) for one, most in zip((top, left), pixels.shape, strict=False))
    down, right = ((one >> (_BITS - 8) & 255)[..., None] for one in (rows, columns))
    values = pixels.astype(np.int64)
    upper = values[top, left] * (256 - right) + values[top, beside] * right
    lower = values[below, left] * (256 - right) + values[below, beside] * right
    between: NDArray[np.int64] = (upper * (256 - down) + lower * down + 32_768) >> 16
    return between.astype(np.uint8)


def turned_mask(mask: Mask, severity: int, draw: Draw) -> Mask:
    """The nearest class."""
    rows, columns = ((one + (1 << (_BITS - 1))) >> _BITS for one in _turn(mask, severity, draw))
    moved: Mask = mask[rows, columns]
    return moved


def _turn(picture: Mask, severity: int, draw: Draw) -> Places:
    cosine, sine = TURNS[severity - 1]
    sine = sine if draw.below(2) else -sine
    height, width = picture.shape[:2]
    # Twice the distance from the middle, which lies between two pixels where a side is even.
    y, x = (2 * np.arange(side) - (side - 1) for side in (height, width))
    rows = (cosine * y[:, None] - sine * x[None] + ((height - 1) << _BITS)) >> 1
    columns = (sine * y[:, None] + cosine * x[None] + ((width - 1) << _BITS)) >> 1
    return rows.clip(0, (height - 1) << _BITS), columns.clip(0, (width - 1) << _BITS)
