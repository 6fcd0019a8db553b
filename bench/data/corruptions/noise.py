"""Noise of a sensor."""

from __future__ import annotations

import numpy as np

from bench.data.corruptions.draw import NORMAL, Draw, Pixels

DEVIATIONS = (10, 20, 30, 45, 65)
"""In levels of 255; Tiny ImageNet-C's are 0.04 to 0.18 of them, ImageNet-C's 0.08 to 0.38."""


def gaussian(pixels: Pixels, severity: int, draw: Draw) -> Pixels:
    """Independent noise for each value, cut at black and white."""
    noise = (draw.normal(pixels.shape) * DEVIATIONS[severity - 1] + (1 << (NORMAL - 1))) >> NORMAL
    return (pixels + noise).clip(0, 255).astype(np.uint8)
