"""How far a runtime's answers may be from the eager network's: what rounding explains, and nothing more."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

TOLERANCE = 1e-3
"""Of the largest |value| of a slice of an output: how far a float32 runtime may be from torch."""
SPREAD = 100
"""Slices along an axis whose largest |value| is this many times smaller than that of the next larger one have a scale
of their own."""
ROUNDING = 1e-5
"""Of the largest |output| of a sample: what rounding in float32 makes of a deep network, however small the slice."""


class Worst(NamedTuple):
    """The value of an output (N, *shape) that is furthest from what is allowed, at `place`, sample first.

    `headroom` is its distance as a share of what is `allowed` there: more than 1 is too far, and so is what is not a
    number on either side.
    """

    headroom: float
    place: tuple[int, ...]
    found: float
    wanted: float
    allowed: float


def allowed(expected: Floats, tolerance: float = TOLERANCE, doubt: Floats | None = None) -> Floats:
    """How far each value of an output (N, *shape) may be from `expected`, as an array that broadcasts to it. `doubt`,
    (N,), is what is allowed more to all values of a sample (see `bench.export.steps`).

    Each sample is held to its own largest value, so that a loud one does not excuse a quiet one; and so are slices of
    another scale along any axis, like scores from 0 to 1 beside boxes in pixels. Scales differ where there is a gap of
    SPREAD between them: one small logit among many of all sizes is not a scale.
    A sample that is a vector has columns of one value; their scale is the largest over all samples.
    """
    magnitude = np.abs(expected)
    whole = magnitude.max(axis=tuple(range(1, magnitude.ndim)), keepdims=True)
    scale = whole
    for axis in range(1, magnitude.ndim):
        others = tuple(a for a in range(magnitude.ndim) if a != axis and (a or magnitude.ndim == 2))
        largest = magnitude.max(axis=others, keepdims=True)
        scale = np.minimum(scale, _scales(largest, axis))
    limit = np.maximum(tolerance * scale, ROUNDING * whole)
    if doubt is not None:
        limit = limit + doubt.reshape(-1, *[1] * (limit.ndim - 1))
    return np.asarray(limit, np.float32)


def _scales(largest: Floats, axis: int) -> Floats:
    """For each slice along `axis` the largest value of those on its side of the next gap above it."""
    order = np.argsort(-largest, axis=axis)
    falling = np.take_along_axis(largest, order, axis)
    above = np.roll(falling, 1, axis)
    places = np.indices(falling.shape)[axis]
    first = np.where((falling * SPREAD < above) & (places > 0), places, 0)
    leaders = np.take_along_axis(falling, np.maximum.accumulate(first, axis), axis)
    scales = np.empty_like(leaders)
    np.put_along_axis(scales, order, leaders, axis)
    return scales


def worst(found: Floats, expected: Floats, tolerance: float = TOLERANCE, doubt: Floats | None = None) -> Worst:
    """The value of `found` that is worst, both (N, *shape)."""
    limit = np.broadcast_to(allowed(expected, tolerance, doubt), expected.shape)
    with np.errstate(invalid="ignore"):
        delta = np.abs(found.astype(np.float64) - expected)
        share = delta / np.maximum(limit, np.finfo(np.float32).tiny)
    share = np.where(np.isfinite(found) & np.isfinite(share), share, np.inf)
    at = tuple(int(index) for index in np.unravel_index(int(np.argmax(share)), share.shape))
    return Worst(float(share[at]), at, float(found[at]), float(expected[at]), float(limit[at]))


def lost(found: Floats, expected: Floats) -> int:
    """How many values of `found` are NaN or infinite where those `expected` are not."""
    return int((np.isfinite(expected) & ~np.isfinite(found)).sum())
