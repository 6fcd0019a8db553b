"""SSIM's properties, and its formula worked out by another way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from bench.measure.ssim import ssim


def picture(seed: int, height: int = 24, width: int = 31) -> np.ndarray:
    return np.random.default_rng(seed).random((2, height, width))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 99), st.integers(0, 99), st.integers(11, 20), st.integers(11, 20))
def test_it_is_symmetric_bounded_and_one_for_the_same(one: int, other: int, height: int, width: int) -> None:
    a, b = picture(one, height, width), picture(other, height, width)
    assert ssim(a, a, 1) == pytest.approx(1)
    assert ssim(a, b, 1) == pytest.approx(ssim(b, a, 1))
    assert -1 <= ssim(a, b, 1) <= 1 + 1e-12
    assert ssim(a * 255, b * 255, 255) == pytest.approx(ssim(a, b, 1))


def test_of_flat_pictures_only_the_brightness_counts() -> None:
    """(2ab + C1) ÷ (a² + b² + C1), with C1 = 0.01²."""
    a, b = np.full((1, 12, 12), 0.2), np.full((1, 12, 12), 0.6)
    assert ssim(a, b, 1) == pytest.approx((2 * 0.12 + 1e-4) / (0.04 + 0.36 + 1e-4))


def test_the_negative_of_a_picture_is_unlike_it() -> None:
    assert ssim(picture(1), 1 - picture(1), 1) < -0.8


def test_more_noise_is_less_like() -> None:
    a, noise = picture(3), np.random.default_rng(4).normal(size=(2, 24, 31))
    found = [ssim(a, a + strength * noise, 1) for strength in (0, 0.05, 0.2, 0.8)]
    assert found == sorted(found, reverse=True)


def test_against_the_formula_over_scipys_gaussian() -> None:
    a, b = picture(5)[0], picture(5)[0] + 0.1 * picture(6)[0]

    def smooth(values: np.ndarray) -> np.ndarray:
        return gaussian_filter(values, 1.5, truncate=5 / 1.5)[5:-5, 5:-5]

    ma, mb = smooth(a), smooth(b)
    va, vb, cov = smooth(a * a) - ma**2, smooth(b * b) - mb**2, smooth(a * b) - ma * mb
    expected = ((2 * ma * mb + 1e-4) * (2 * cov + 9e-4)) / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4))
    assert ssim(a[None], b[None], 1) == pytest.approx(expected.mean())
