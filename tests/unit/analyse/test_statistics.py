"""Statistics: checked against scipy, and against what must hold for any samples."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.analyse.statistics import median_interval, ratio, statistics

TIMES = st.floats(1.0, 1e10)
LAUNCHES = st.lists(st.lists(TIMES, min_size=1, max_size=6), min_size=1, max_size=6)
quick = settings(max_examples=40, deadline=None)


def flat(launches: list[list[float]]) -> tuple[list[float], list[int]]:
    return [v for one in launches for v in one], [i for i, one in enumerate(launches) for _ in one]


@quick
@given(LAUNCHES)
def test_against_numpy_and_scipy(launches: list[list[float]]) -> None:
    values, ids = flat(launches)
    found = statistics(values, ids)
    assert found.median == np.median([np.median(one) for one in launches])
    assert found.p90 == pytest.approx(np.percentile(values, 90))
    assert found.p95 == pytest.approx(np.percentile(values, 95))
    assert found.minimum == min(values)
    assert found.mad == pytest.approx(stats.median_abs_deviation(values))
    if len(values) > 1:
        assert found.cv == pytest.approx(stats.variation(values, ddof=1))
    assert found.samples == len(values)
    assert sum(launch.samples for launch in found.launches) == len(values)
    assert sum(launch.total for launch in found.launches) == pytest.approx(sum(values))


@quick
@example(launches=[[1.0, 7.0], [1.0, 9222464783.0], [6722428162.60045]])
@given(LAUNCHES)
def test_the_interval_holds_the_median_and_stays_among_the_launches(launches: list[list[float]]) -> None:
    found = statistics(*flat(launches))
    if len(launches) < 3:
        assert found.interval is None
        return
    medians = [launch.median for launch in found.launches]
    assert found.interval is not None
    assert min(medians) <= found.interval.low <= found.median <= found.interval.high <= max(medians)


@quick
@given(LAUNCHES, st.randoms(use_true_random=False))
def test_the_order_of_samples_is_of_no_importance(launches: list[list[float]], dice) -> None:  # type: ignore[no-untyped-def]
    pairs = list(zip(*flat(launches), strict=True))
    before = statistics(*zip(*pairs, strict=True))
    dice.shuffle(pairs)
    after = statistics(*zip(*pairs, strict=True))
    assert (after.median, after.p90, after.minimum, after.interval) == (
        before.median,
        before.p90,
        before.minimum,
        before.interval,
    )


@quick
@given(st.dictionaries(st.integers(0, 9), TIMES, min_size=1), st.dictionaries(st.integers(0, 9), TIMES, min_size=1))
def test_a_ratio_the_other_way_round_is_its_inverse(left: dict[int, float], right: dict[int, float]) -> None:
    there, back = ratio(left, right), ratio(right, left)
    assert there.value * back.value == pytest.approx(1)
    assert there.paired == back.paired == (left.keys() == right.keys())
    if min(len(left), len(right)) < 3:
        assert there.interval is None
    else:
        assert there.interval is not None
        assert there.interval.low <= there.value <= there.interval.high


@quick
@given(st.dictionaries(st.integers(0, 9), TIMES, min_size=3))
def test_nothing_differs_from_itself(launches: dict[int, float]) -> None:
    found = ratio(launches, launches)
    assert (found.value, found.paired) == (1, True)
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == (1, 1)


def test_pairs_see_a_difference_that_a_drift_hides() -> None:
    drift = {i: 100.0 * 1.2**i for i in range(5)}
    slower = {i: 1.1 * v for i, v in drift.items()}
    paired, apart = ratio(slower, drift), ratio(slower, drift, same_machine=False)
    assert paired.interval is not None
    assert paired.interval.excludes(1)
    assert apart.interval is not None
    assert not apart.interval.excludes(1)


def test_bca_is_scipys_own() -> None:
    medians = np.random.default_rng(7).gamma(3, 1, 12)
    found = median_interval(medians)
    assert found is not None
    assert found.method == "BCa"
    theirs = stats.bootstrap((medians,), np.median, n_resamples=9_999, rng=np.random.default_rng(1)).confidence_interval
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), rel=0.05)


def test_identical_launches_have_an_interval_of_no_width() -> None:
    found = median_interval([5.0, 5.0, 5.0])
    assert found is not None
    assert (found.low, found.high, found.method) == (5.0, 5.0, "percentile")


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    dice = np.random.default_rng(3)
    hits = 0
    for _ in range(60):
        found = median_interval(dice.normal(100, 5, 15))
        assert found is not None
        hits += not found.excludes(100)
    assert hits >= 50  # 57 are expected; 50 or fewer have a chance of 0.1 %


def test_samples_and_launches_must_match() -> None:
    with pytest.raises(ValueError, match="as many launches"):
        statistics([1.0, 2.0], [0])
    with pytest.raises(ValueError, match="at least one"):
        statistics([], [])
