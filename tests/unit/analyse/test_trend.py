"""Trends: a step is found on its night, and neither noise, a single bad night nor a slow clock makes one."""

from __future__ import annotations

import math
from itertools import combinations, pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.analyse.trend import changes, segments, trends
from bench.findings import Night
from tests.unit.results.test_history import rows

MARGIN = 0.03


def nights(values: list[float]) -> list[Night]:
    return [Night(f"k{n}", f"2026-01-01T{n}", f"/runs/n{n}", "", v, v, v, 5) for n, v in enumerate(values)]


def noisy(levels: list[tuple[int, float]], deviation: float, seed: int) -> list[float]:
    """So many nights at each level, in ms, with noise."""
    dice = np.random.default_rng(seed)
    return [level * math.exp(dice.normal(0, deviation)) for count, level in levels for _ in range(count)]


@pytest.mark.parametrize("seed", range(10))
def test_a_step_of_ten_percent_is_found_on_its_night(seed: int) -> None:
    (change,) = changes(nights(noisy([(25, 10.0), (15, 11.0)], 0.01, seed)), MARGIN)
    assert abs(change.at - 25) <= 1
    assert change.night.key == f"k{change.at}"
    assert change.ratio == pytest.approx(1.1, rel=0.02)
    assert change.nights_before + change.nights_after == 40


@pytest.mark.parametrize("seed", range(40))
def test_noise_alone_changes_nothing(seed: int) -> None:
    assert changes(nights(noisy([(60, 10.0)], 0.03, seed)), MARGIN) == ()


@pytest.mark.parametrize("seed", range(10))
def test_single_bad_nights_are_no_change(seed: int) -> None:
    values = noisy([(60, 10.0)], 0.005, seed)
    for bad in (7, 31, 59):
        values[bad] *= 1.4
    assert changes(nights(values), MARGIN) == ()


def test_there_and_back_are_two_changes() -> None:
    found = changes(nights(noisy([(30, 10.0), (20, 12.0), (30, 10.0)], 0.01, 1)), MARGIN)
    assert [change.at for change in found] == [30, 50]
    assert [change.ratio > 1 for change in found] == [True, False]


def test_a_step_within_the_margin_is_not_told() -> None:
    values = noisy([(50, 10.0), (50, 10.2)], 0.001, 1)
    assert changes(nights(values), MARGIN) == ()
    assert [change.at for change in changes(nights(values), 0.01)] == [50]


def test_equal_nights_and_few_nights_have_no_change() -> None:
    assert changes(nights([10.0] * 50), MARGIN) == ()
    assert changes(nights([10.0, 10.0, 20.0, 20.0, 20.0]), MARGIN) == ()
    assert [change.at for change in changes(nights([10.0] * 20 + [20.0] * 20), MARGIN)] == [20]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(1.0, 1e12), max_size=60), st.sampled_from([2.0**-30, 2.0**20]))
def test_units_do_not_matter(values: list[float], unit: float) -> None:
    """Changes lie in order, each with three nights or more on either side."""
    found = changes(nights(values), MARGIN)
    assert len(found) == len(changes(nights([unit * v for v in values]), MARGIN))
    for change in found:
        assert min(change.nights_before, change.nights_after) >= 3
        assert abs(math.log(change.ratio)) > math.log1p(MARGIN)
    assert [change.at for change in found] == sorted({change.at for change in found})


def test_trends_are_by_subject_and_metric_and_leave_out_what_does_not_count() -> None:
    tables = [
        rows("a"), rows("b"), rows("b2", status="tagged"), rows("b3", unusable="wrong"), rows("c", variant="w"),
        rows("d", metric="load"),
    ]  # fmt: skip
    found = trends(pa.concat_tables(tables).to_pandas(), MARGIN)
    assert [(t.subject.variant, t.metric, len(t.nights)) for t in found] == [
        ("v", "latency", 2), ("w", "latency", 1), ("v", "load", 1)
    ]  # fmt: skip
    night = found[0].nights[0]
    assert (night.median, night.low, night.high, night.launches) == (101.0, 100.5, 101.5, 3)
    assert night.started == "2026-11-26T00:00:00+00:00"
    assert found[0].virtual


def _cost(values: np.ndarray, borders: list[int], penalty: float) -> float:
    parts = [values[a:b] for a, b in pairwise(borders)]
    return sum(float(((part - part.mean()) ** 2).sum()) + penalty for part in parts)


@settings(deadline=None)
@given(st.lists(st.floats(-10, 10), min_size=3, max_size=10), st.floats(0.1, 50), st.integers(1, 3))
def test_no_other_segmentation_is_better(values: list[float], penalty: float, least: int) -> None:
    series, n = np.array(values), len(values)
    found = segments(series, penalty, least)
    assert all(b - a >= least for a, b in pairwise(found))
    others = (
        [0, *inner, n]
        for count in range(n)
        for inner in combinations(range(1, n), count)
        if all(b - a >= least for a, b in pairwise([0, *inner, n]))
    )
    assert _cost(series, found, penalty) <= min(_cost(series, one, penalty) for one in others) + 1e-6
