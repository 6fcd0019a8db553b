"""The rank of a weight, from the weight alone: empirical variational Bayes matrix factorisation (EVBMF).

Nakajima, Sugiyama, Babacan, Tomioka: Global Analytic Solution of Fully-observed Variational Bayesian Matrix
Factorization, JMLR 14, 2013. A matrix is taken for one of low rank under white noise; the noise's variance is the one
that the free energy is least at, and what stands out of that noise is the rank.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

Array = NDArray[np.float64]

_GRID = 400
"""Variances that are tried before the best are refined: the free energy has several minima where noise is not white."""
_REFINED = 3
_BLOCK = 2**22
"""Numbers that are computed with at once."""
_EXACT = 1e-14
"""Squares of singular values below this part of the largest are rounding in float32, and count as that much."""


class Ranks(NamedTuple):
    """How many channels are left between a layer's input and its core, and between its core and its output. 0: that
    side keeps its channels as they are, with no 1×1 before or behind the core."""

    into: int
    out: int


def of_weight(weight: Array) -> Ranks:
    """EVBMF's ranks of a weight (out, in, …): of its unfoldings along its inputs and along its outputs. 0 on a side
    where there is nothing but noise."""
    if math.prod(weight.shape[2:]) == 1:
        rank = evbmf(weight.reshape(weight.shape[:2]))
        return Ranks(rank, rank)
    sides = (np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1) for axis in (1, 0))
    return Ranks(*map(evbmf, sides))


def evbmf(matrix: Array) -> int:
    """How many singular values of a matrix stand out of its noise. 0 for noise alone and for zeros; 1 for a single row
    or column, of which nothing can be told."""
    short = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    squares = np.maximum(np.linalg.eigvalsh(short @ short.T)[::-1], 0)
    if squares[0] == 0:
        return 0
    return 1 if len(short) == 1 else _standing_out(squares / squares[0], short.shape[1])


def _standing_out(squares: Array, wide: int) -> int:
    """Of the squares of all L singular values of an L×M matrix, largest first and scaled to 1."""
    count = len(squares)
    squares = np.maximum(squares, _EXACT)
    alpha = count / wide
    tau = 2.5129 * math.sqrt(alpha)
    bound = (1 + tau) * (1 + alpha / tau)
    tail = squares[min(math.ceil(count / (1 + alpha)) - 1, count) - 1 + 1 :]
    lower = max(tail[0] / (wide * bound), tail.mean() / wide)
    upper = squares.sum() / (count * wide)
    variance = _least(squares / wide, alpha, bound, lower, upper)
    return int((squares > wide * variance * bound).sum())


def _least(scaled: Array, alpha: float, bound: float, lower: float, upper: float) -> float:
    """The variance between two bounds at which the free energy is least; `scaled` are s²/M."""
    if upper <= lower * (1 + 1e-12):
        return lower

    def energies(logs: Array) -> Array:
        rows = max(1, _BLOCK // len(scaled))
        parts = (logs[start : start + rows] for start in range(0, len(logs), rows))
        return np.concatenate([_free_energy(scaled[None] / np.exp(part)[:, None], alpha, bound) for part in parts])

    grid = np.linspace(math.log(lower), math.log(upper), _GRID)
    values = energies(grid)
    best, least = grid[values.argmin()], values.min()
    for place in np.argsort(values)[:_REFINED]:
        ends = (grid[max(place - 1, 0)], grid[min(place + 1, _GRID - 1)])
        found = minimize_scalar(
            lambda log: float(energies(np.array([log]))[0]), bounds=ends, method="bounded", options={"xatol": 1e-10}
        )
        if found.fun < least:
            best, least = found.x, found.fun
    return float(math.exp(best))


def _free_energy(x: Array, alpha: float, bound: float) -> Array:
    """(N,) for x = s²/(Mσ²) of N variances, (N, L); all L values are there, so nothing is left over."""
    noise = x <= bound
    signal = np.where(noise, bound, x)
    half = signal - (1 + alpha)
    tau = 0.5 * (half + np.sqrt(np.maximum(half**2 - 4 * alpha, 0)))
    kept = signal - tau + np.log((tau + 1) / signal) + alpha * np.log(tau / alpha + 1)
    energy: Array = np.where(noise, x - np.log(x), kept).sum(1)
    return energy
