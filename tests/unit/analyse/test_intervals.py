"""Intervals and tests over samples: published values, values by hand, and what must hold for any data."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.analyse.intervals import bootstrap, mcnemar, paired_proportions, two_sided, wilson

VALUES = st.lists(st.floats(-1e3, 1e3), min_size=5, max_size=40)


def first(means: np.ndarray) -> np.ndarray:
    return means[..., 0]


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_as_published(successes: int, n: int, low: float, high: float) -> None:
    """R. G. Newcombe, Statistics in Medicine 17 (1998) 857–872, table I, method 3."""
    found = wilson(successes, n)
    assert (found.low, found.high, found.method) == (
        pytest.approx(low, abs=6e-5),
        pytest.approx(high, abs=6e-5),
        "Wilson",
    )


@given(st.integers(1, 500), st.data())
def test_wilson_holds_the_proportion_and_is_symmetric(n: int, draw: st.DataObject) -> None:
    successes = draw.draw(st.integers(0, n))
    found, other = wilson(successes, n), wilson(n - successes, n)
    assert 0 <= found.low <= successes / n <= found.high <= 1
    assert found.low < found.high
    assert (found.low, found.high) == (pytest.approx(1 - other.high), pytest.approx(1 - other.low))


@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_is_twice_the_tail_of_a_fair_coin(only_a: int, only_b: int) -> None:
    n, fewer = only_a + only_b, min(only_a, only_b)
    tail = sum(comb(n, k) for k in range(fewer + 1)) / 2**n
    assert mcnemar(only_a, only_b) == pytest.approx(min(1, 2 * tail))


def test_mcnemar_by_hand() -> None:
    assert mcnemar(0, 0) == 1
    assert mcnemar(0, 5) == pytest.approx(2 / 32)
    assert mcnemar(1, 9) == pytest.approx(2 * 11 / 1024)


def test_a_difference_of_proportions_by_hand() -> None:
    """10 and 2 of 100: a = 10.5, b = 2.5, n = 102; (b − a) / n ± z √(13 − 64/102) / n."""
    found = paired_proportions(10, 2, 100)
    half = 1.959964 * np.sqrt(13 - 64 / 102) / 102
    assert (found.low, found.high) == (pytest.approx(-8 / 102 - half), pytest.approx(-8 / 102 + half))


@settings(deadline=None, max_examples=40)
@given(VALUES)
def test_a_bootstrap_interval_holds_its_estimate_and_stays_among_the_samples(values: list[float]) -> None:
    columns = np.array(values)[:, None]
    found, resampled = bootstrap(columns, first)
    slack = 1e-9 * max(1, np.abs(columns).max())
    assert columns.min() - slack <= found.low <= columns.mean() <= found.high <= columns.max() + slack
    assert len(resampled) == 1999


def test_bca_is_scipys() -> None:
    data = np.random.default_rng(2).gamma(2, 1, 40)
    found, _ = bootstrap(data[:, None], first)
    theirs = stats.bootstrap((data,), np.mean, n_resamples=9_999, rng=np.random.default_rng(1)).confidence_interval
    assert found.method == "BCa"
    assert (found.low, found.high) == (pytest.approx(theirs.low, rel=0.03), pytest.approx(theirs.high, rel=0.03))


def test_bca_of_a_ratio_of_means_is_scipys() -> None:
    a, b = np.random.default_rng(2).gamma(2, 1, (2, 40)) + np.array([[0], [1]])
    found, _ = bootstrap(np.stack((a, b), axis=1), lambda means: means[..., 0] / means[..., 1])
    theirs = stats.bootstrap(
        (a, b),
        lambda x, y, axis: x.mean(axis) / y.mean(axis),
        paired=True,
        n_resamples=9_999,
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert (found.low, found.high) == (pytest.approx(theirs.low, rel=0.03), pytest.approx(theirs.high, rel=0.03))


def test_equal_samples_have_an_interval_of_no_width() -> None:
    found, _ = bootstrap(np.full((9, 1), 0.25), first)
    assert (found.low, found.high, found.method) == (0.25, 0.25, "percentile")


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(3)
    hits = sum(not bootstrap(random.exponential(1, (60, 1)), first)[0].excludes(1) for _ in range(60))
    assert hits >= 50  # 56 are expected; 50 or fewer have a chance of 1 %


def test_the_p_value_of_a_bootstrap() -> None:
    assert two_sided(np.array([1.0, 2.0, 3.0])) == pytest.approx(0.5)
    assert two_sided(np.linspace(-1, 1, 1999)) == 1
    assert two_sided(np.zeros(1999)) == 1
    assert two_sided(np.ones(1999)) == pytest.approx(0.001)
