"""A wide space as functions of t in (0, 1), computed at some points that stand for all channels (docs/resident.md)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]


class Quadrature(NamedTuple):
    """Points t in (0, 1), and what part of all channels each stands for: weights that are together 1."""

    points: Reals
    weights: Reals


def equal(count: int) -> Quadrature:
    """The middles of so many equal parts: where the channels of a layer with `count` of them are. In the variable
    cos πt these are the points of Gauss and Chebyshev."""
    return Quadrature((np.arange(count) + 0.5) / count, np.full(count, 1 / count))


def gauss(count: int) -> Quadrature:
    """Gauss and Legendre's points of (0, 1), exact for polynomials in t up to the degree 2·count − 1."""
    roots, weights = np.polynomial.legendre.leggauss(count)
    return Quadrature((roots + 1) / 2, weights / 2)


def columns(n: int, count: int, t: Reals) -> Reals:
    """The first `count` columns of D(n) as functions, at `t`: (points, count). Channel j is t = (j + ½) / n."""
    k = np.arange(count)
    scale = np.sqrt(np.where(k == 0, 1, 2) / n)
    made: Reals = scale * np.cos(np.pi * np.fmod(np.multiply.outer(t, k), 2))
    return made


def rows(n: int, count: int, first: int, channels: int, at: Quadrature) -> Reals:
    """The first `count` rows of D(n)ᵀ for a sum over `channels` of the n, those from `first` on: (count, points)."""
    t = (first + channels * at.points) / n
    return (columns(n, count, t) * (channels * at.weights)[:, None]).T
