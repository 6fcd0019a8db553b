"""EVBMF: the ranks that were planted, and those of a second implementation, straight from the formula."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize

from bench.compress.tucker.ranks import Ranks, evbmf, of_weight


def planted(rows: int, columns: int, rank: int, snr: float, seed: int) -> NDArray[Any]:
    """A matrix of that rank, of variance `snr`, under white noise of variance 1."""
    random = np.random.default_rng(seed)
    signal = random.normal(size=(rows, rank)) @ random.normal(size=(rank, columns))
    return signal * math.sqrt(snr / max(rank, 1)) + random.normal(size=(rows, columns))


def second(matrix: NDArray[Any]) -> int:
    """The rank by brute force: the free energy written out value by value over a fine grid, then Nelder-Mead."""
    if matrix.shape[0] > matrix.shape[1]:
        matrix = matrix.T
    height, width = matrix.shape
    values = [float(s) for s in np.linalg.svd(matrix, compute_uv=False)]
    alpha = height / width
    tau_bar = 2.5129 * math.sqrt(alpha)
    x_bar = (1 + tau_bar) * (1 + alpha / tau_bar)

    def tau(x: float) -> float:
        b = x - (1 + alpha)
        return (b + math.sqrt(b * b - 4 * alpha)) / 2

    def energy(variance: float) -> float:
        total = 0.0
        for s in values:
            x = s * s / (width * variance)
            if x <= x_bar:
                total += x - math.log(x)
            else:
                total += x - tau(x) + math.log((tau(x) + 1) / x) + alpha * math.log(tau(x) / alpha + 1)
        return total

    e = min(math.ceil(height / (1 + alpha)) - 1, height) - 1
    lower = max(values[e + 1] ** 2 / (width * x_bar), sum(s * s for s in values[e + 1 :]) / (height - e - 1) / width)
    upper = sum(s * s for s in values) / (height * width)
    grid = np.linspace(lower, upper, 500)
    start = min(grid, key=energy)
    refined = minimize(
        lambda v: energy(float(np.clip(v[0], lower, upper))), [start], method="Nelder-Mead", options={"xatol": 1e-12}
    )
    variance = float(np.clip(refined.x[0], lower, upper)) if refined.fun <= energy(start) else start
    return sum(s > math.sqrt(width * variance * x_bar) for s in values)


@pytest.mark.parametrize(
    ("rank", "snr", "least", "most"), [(8, 1, 8, 8), (20, 1, 15, 20), (30, 0.5, 5, 20), (0, 1, 0, 0)]
)
def test_a_planted_rank_is_found_as_far_as_it_stands_out_of_the_noise(
    rank: int, snr: float, least: int, most: int
) -> None:
    matrix = planted(64, 300, rank, snr, 1)
    assert least <= evbmf(matrix) <= most
    assert evbmf(matrix) == second(matrix)


@pytest.mark.parametrize("seed", range(20))
def test_ranks_of_random_layers_are_those_of_a_second_implementation(seed: int) -> None:
    random = np.random.default_rng(seed)
    out, into = (int(n) for n in random.integers(6, 48, 2))
    kernel = int(random.choice([1, 3, 5]))
    rank, snr = int(random.integers(0, min(out, into))), float(random.uniform(0.1, 3))
    weight = planted(out, into * kernel**2, rank, snr, seed).reshape(out, into, kernel, kernel)
    across = weight.transpose(1, 0, 2, 3).reshape(into, -1)
    assert of_weight(weight) == Ranks(second(across), second(weight.reshape(out, -1)))


def test_a_matrix_and_its_transpose_have_one_rank() -> None:
    matrix = planted(30, 90, 6, 2, 3)
    assert evbmf(matrix) == evbmf(matrix.T) == 6


def test_scale_does_not_matter() -> None:
    matrix = planted(30, 90, 6, 1, 4)
    assert evbmf(matrix * 1e-20) == evbmf(matrix) == evbmf(matrix * 1e20)


@pytest.mark.parametrize(
    ("matrix", "rank"),
    [
        (np.zeros((5, 9)), 0),
        (np.ones((1, 1)), 1),
        (np.ones((1, 40)), 1),
        (np.ones((40, 1)), 1),
        (np.outer(np.arange(1.0, 9), np.arange(1.0, 21)), 1),
        (planted(12, 30, 3, 1e16, 5).round(-2), 3),
    ],
)
def test_degenerate_matrices_have_the_rank_that_can_be_seen(matrix: NDArray[Any], rank: int) -> None:
    assert evbmf(matrix) == rank
