"""Statistics over launches. Iterations inside one launch depend on each other, so the launch is the unit."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from bench.confidence import by_route
from bench.findings import Interval, Launch, Statistics

LEVEL = 0.95
RESAMPLES = 9_999
SEED = 20_230_417
MIN_LAUNCHES = 3
"""Fewer launches than this give no interval."""

Vector = NDArray[np.float64]


class Ratio(NamedTuple):
    """Median ÷ median. `paired`: launches were resampled together."""

    value: float
    interval: Interval | None
    paired: bool


def statistics(
    values: ArrayLike,
    launches: ArrayLike,
    *,
    tagged: Collection[int] = (),
    exact: bool = False,
    means: bool = False,
    asked: ArrayLike | None = None,
) -> Statistics:
    """The statistics of samples (N) with the launch (N) of each. N ≥ 1. `exact` figures get no interval. With
    `means` a launch stands for its mean instead of its median; with `asked` (N), which way each inference of a cascade
    went, for the mean that `bench.confidence.by_route` gives.

    The launches that were `tagged` are left out where enough others remain (MIN_LAUNCHES); else they are in, and the
    figures are not to be used. Raises ValueError for no samples or lengths that differ.
    """
    data = np.asarray(values, dtype=np.float64)
    ids = np.asarray(launches)
    if data.ndim != 1 or data.size == 0 or ids.shape != data.shape:
        raise ValueError(f"need as many launches {ids.shape} as samples {data.shape}, at least one")
    ways = None if asked is None else np.asarray(asked, dtype=np.float64)
    means = means or ways is not None
    all_launches = [
        _launch(int(i), data[ids == i], None if ways is None else ways[ids == i], tagged=int(i) in tagged)
        for i in np.unique(ids)
    ]
    good = tuple(one for one in all_launches if not one.tagged)
    per_launch = good if len(good) >= MIN_LAUNCHES else tuple(all_launches)
    data = data[np.isin(ids, [one.launch for one in per_launch])]
    medians = np.array([launch.mean if means else launch.median for launch in per_launch])
    p90, p95 = np.quantile(data, (0.90, 0.95))
    return Statistics(
        median=float(np.median(medians)),
        p90=float(p90),
        p95=float(p95),
        minimum=float(np.min(data)),
        mad=float(np.median(np.abs(data - np.median(data)))),
        cv=_cv(data),
        launch_cv=_cv(medians),
        samples=data.size,
        launches=per_launch,
        interval=None if exact else median_interval(medians),
        left_out=tuple(one for one in all_launches if one not in per_launch),
        means=means,
    )


def median_interval(medians: ArrayLike) -> Interval | None:
    """The interval of the median of per-launch medians (L); None for fewer than three launches."""
    return _median_interval(tuple(np.asarray(medians, dtype=np.float64).tolist()))


@lru_cache(maxsize=4096)  # the same launches are asked about by a run's figures, and by what compares it with others
def _median_interval(medians: tuple[float, ...]) -> Interval | None:
    data = np.array(medians)
    if data.size < MIN_LAUNCHES:
        return None
    found = _bootstrap((data,), lambda a, axis=-1: np.median(a, axis=axis), paired=False)
    # A percentile between two equal numbers may round to one beside them.
    return replace(found, low=max(found.low, float(data.min())), high=min(found.high, float(data.max())))


def ratio(left: Mapping[int, float], right: Mapping[int, float], *, same_machine: bool = True) -> Ratio:
    """Median of `left` ÷ median of `right`, both per-launch medians by launch number, none of `right` zero.

    Launch k of one variant ran next to launch k of the other on the same machine, so both are resampled together
    when they have the same launches; otherwise each by itself. No interval for fewer than three launches of either.
    """
    paired = same_machine and left.keys() == right.keys()
    a = np.array([left[k] for k in sorted(left)])
    b = np.array([right[k] for k in sorted(right)])
    value = float(np.median(a) / np.median(b))
    if min(a.size, b.size) < MIN_LAUNCHES:
        return Ratio(value, None, paired)

    def of_medians(x: Vector, y: Vector, axis: int = -1) -> Any:
        return np.median(x, axis=axis) / np.median(y, axis=axis)

    return Ratio(value, _bootstrap((a, b), of_medians, paired=paired), paired)


def _launch(number: int, samples: Vector, ways: Vector | None, *, tagged: bool) -> Launch:
    typical = None if ways is None else float(by_route(samples, ways).mean())
    return Launch(number, samples.size, float(np.median(samples)), float(np.sum(samples)), tagged, typical)


def _cv(data: Vector) -> float | None:
    mean = float(np.mean(data))
    return float(np.std(data, ddof=1)) / mean if data.size > 1 and mean != 0 else None


def _bootstrap(data: Sequence[Vector], statistic: Callable[..., Any], *, paired: bool) -> Interval:
    """BCa; percentile where BCa is undefined (identical values) or leaves its own estimate outside."""
    estimate = float(statistic(*data))
    methods: tuple[Literal["BCa", "percentile"], ...] = ("BCa", "percentile")
    for method in methods:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scipy warns of degenerate data, which the check below handles
            found = stats.bootstrap(
                data,
                statistic,
                n_resamples=RESAMPLES,
                batch=RESAMPLES,
                vectorized=True,
                paired=paired,
                confidence_level=LEVEL,
                method=method,
                rng=np.random.default_rng(SEED),
            ).confidence_interval
        low, high = float(found.low), float(found.high)
        if np.isfinite(low) and np.isfinite(high) and low <= estimate <= high:
            return Interval(low, high, method)
    return Interval(min(low, estimate), max(high, estimate), "percentile")
