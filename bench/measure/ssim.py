"""Structural similarity of two pictures.

Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, "Image quality assessment: from error visibility to structural
similarity", IEEE Transactions on Image Processing 13 (2004), equations 13 to 17 and section III-C.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

WINDOW = 11
"""Width and height of the window in pixels; smaller pictures have no SSIM."""
_SIGMA = 1.5
_K1, _K2 = 0.01, 0.03
_PLACES = np.arange(WINDOW) - WINDOW // 2
_WEIGHTS = np.exp(-(_PLACES**2) / (2 * _SIGMA**2))
_WEIGHTS /= _WEIGHTS.sum()

Floats = NDArray[np.float64]


def ssim(one: Floats, other: Floats, peak: float) -> float:
    """The mean SSIM of two pictures (C, H, W), H and W at least `WINDOW`: over all places where the window lies within
    the picture, and over channels. `peak` is the range of possible values, the paper's L. 1 is the same picture."""
    mean_one, mean_other = _smooth(one), _smooth(other)
    variance_one = _smooth(one * one) - mean_one**2
    variance_other = _smooth(other * other) - mean_other**2
    covariance = _smooth(one * other) - mean_one * mean_other
    c1, c2 = (_K1 * peak) ** 2, (_K2 * peak) ** 2
    likeness = ((2 * mean_one * mean_other + c1) * (2 * covariance + c2)) / (
        (mean_one**2 + mean_other**2 + c1) * (variance_one + variance_other + c2)
    )
    return float(likeness.mean())


def _smooth(values: Floats) -> Floats:
    rows = sliding_window_view(values, WINDOW, axis=-2) @ _WEIGHTS
    smooth: Floats = sliding_window_view(rows, WINDOW, axis=-1) @ _WEIGHTS
    return smooth
