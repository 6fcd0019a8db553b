"""How a number becomes one of -127…127: times a scale, rounded, halves away from zero. Which scale is chosen, and why.

Weights have a scale for each output channel; what goes into a layer has one, of which calibration is the choice.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEVELS = 127
BINS = 2048
"""Of a histogram of magnitudes, from zero to the largest."""
TARGET = 128
"""Levels that a magnitude has in int8."""
_NOTHING = 1e-9
"""For the probability of what cannot occur after rounding: the divergence stays finite."""

Floats = NDArray[np.float32]


def quantised(weight: Floats) -> tuple[NDArray[np.int8], Floats]:
    """A weight (out, …) in int8, and the scale 127/absmax of each output channel. A channel of zeros has the scale 1,
    since ncnn divides by scales."""
    rows = weight.reshape(len(weight), -1)
    largest = np.abs(rows).max(axis=1)
    with np.errstate(divide="ignore", over="ignore"):
        scales = (np.float32(LEVELS) / largest).astype(np.float32)
    scales = np.where(np.isfinite(scales), scales, np.float32(1))
    return codes(rows, scales[:, None]).reshape(weight.shape), scales


def codes(values: Floats, scales: Floats) -> NDArray[np.int8]:
    """As `float2int8` of ncnn's src/layer/quantize.cpp."""
    steps = np.clip(values * scales, -LEVELS, LEVELS)
    whole: NDArray[np.int8] = (np.sign(steps) * np.floor(np.abs(steps) + np.float32(0.5))).astype(np.int8)
    return whole


def dequantised(weight: NDArray[np.int8], scales: Floats) -> Floats:
    """The float32 weight that the codes stand for, (out, …): each times 1/scale, both rounded to float32."""
    rows = weight.reshape(len(scales), -1).astype(np.float32)
    return (rows * (np.float32(1) / scales)[:, None]).astype(np.float32).reshape(weight.shape)


def absmax(largest: float) -> float:
    """The scale with which the largest magnitude is the last step."""
    return LEVELS / largest if largest > 0 else 1.0


def divergence(histogram: NDArray[np.float64], largest: float) -> float:
    """The scale whose 128 levels distort the distribution of magnitudes least, by Kullback and Leibler's measure
    (S. Migacz, *8-bit inference with TensorRT*, GTC 2017).

    `histogram` counts magnitudes other than zero in equal bins (BINS of them) from 0 to `largest`. Each number of bins
    from TARGET on is tried as the range: what is beyond counts in its last bin, and it is spread over TARGET levels.
    """
    bins = len(histogram)
    if largest <= 0 or not histogram.sum():
        return 1.0
    filled = (histogram > 0).astype(np.float64)
    mass, places = (np.concatenate(([0.0], np.cumsum(each))) for each in (histogram, filled))
    edges = np.arange(bins + 1)
    best, chosen = np.inf, bins
    for width in range(TARGET, bins + 1):
        levels = np.linspace(0, width, TARGET + 1)
        inside, used = (np.diff(np.interp(levels, edges, sums)) for sums in (mass, places))
        height = np.divide(inside, used, out=np.zeros(TARGET), where=used > 0)
        area = np.concatenate(([0.0], np.cumsum(height * (width / TARGET))))
        spread = np.diff(np.interp(edges[: width + 1], levels, area)) * filled[:width]
        clipped = histogram[:width].copy()
        clipped[-1] += histogram[width:].sum()
        distance = _divergence(clipped, spread)
        if distance < best:
            best, chosen = distance, width
    return LEVELS / (chosen * largest / bins)


def _divergence(wanted: NDArray[np.float64], found: NDArray[np.float64]) -> float:
    p = wanted / wanted.sum()
    q = found / found.sum() if found.sum() else found
    seen = p > 0
    return float((p[seen] * np.log(p[seen] / np.maximum(q[seen], _NOTHING))).sum())
