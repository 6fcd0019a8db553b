"""What light and weather do to a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.data.corruptions.draw import Draw, Pixels

ADDED = (26, 51, 77, 102, 128)
"""Levels of 255: ImageNet-C's 0.1 to 0.5."""
LEFT = (13, 10, 7, 5, 3)
"""Sixteenths of the light."""
CONTRAST = (12, 8, 6, 4, 2)
"""Sixteenths of the contrast: about CIFAR-10-C's 0.75 to 0.15."""
DENSITY = (96, 128, 160, 192, 224)
"""256ths of the light that the fog takes where it is thickest."""
FOG = 235
"""Its own brightness."""
_OCTAVES = 5


def brighter(pixels: Pixels, severity: int, draw: Draw) -> Pixels:
    """As much is added to every value; what is beyond white is lost."""
    more = pixels.astype(np.int64) + ADDED[severity - 1]
    return more.clip(0, 255).astype(np.uint8)


def darker(pixels: Pixels, severity: int, draw: Draw) -> Pixels:
    """Less light, as at dusk: every value becomes a part of itself."""
    return ((pixels.astype(np.int64) * LEFT[severity - 1] + 8) >> 4).astype(np.uint8)


def flatter(pixels: Pixels, severity: int, draw: Draw) -> Pixels:
    """Every value is moved towards the mean of its channel."""
    kept, count = CONTRAST[severity - 1], pixels.shape[0] * pixels.shape[1]
    mean = (pixels.sum(axis=(0, 1), dtype=np.int64) * 256 + count // 2) // count
    mixed = mean * (16 - kept) + pixels.astype(np.int64) * 256 * kept
    flat: NDArray[np.int64] = (mixed + 2048) >> 12
    return flat.astype(np.uint8)


def fog(pixels: Pixels, severity: int, draw: Draw) -> Pixels:
    """A light veil in clouds of several sizes, at least half as thick as where it is thickest."""
    clouds = 256 + _clouds(pixels.shape[0], pixels.shape[1], draw)[..., None]
    thick = clouds * DENSITY[severity - 1] >> 9
    values = pixels.astype(np.int64)
    veiled = values + (((FOG - values) * thick + 128) >> 8)
    return veiled.astype(np.uint8)


def _clouds(height: int, width: int, draw: Draw) -> NDArray[np.int64]:
    """Values of 0..255 (H, W): grids of random ones, each twice as fine as the one before and half as strong."""
    total: NDArray[np.int64] = np.zeros((height, width), np.int64)
    for octave in range(_OCTAVES):
        cells = 2 << octave
        grid: NDArray[np.int64] = (draw.words((cells + 1) ** 2) >> 8).reshape(cells + 1, cells + 1)
        (top, down), (left, right) = (_between(side, cells) for side in (height, width))
        rows: NDArray[np.int64] = grid[top] * (256 - down)[:, None] + grid[top + 1] * down[:, None]
        values: NDArray[np.int64] = rows[:, left] * (256 - right) + rows[:, left + 1] * right
        total += values >> (octave + 1)
    return total >> 16


def _between(side: int, cells: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each pixel of a side the line of a grid before it, and how far it is to the next, in 256ths."""
    at = np.arange(side) * cells * 256 // side
    return at >> 8, at & 255
