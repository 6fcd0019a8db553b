"""Intervals and tests over samples. (`statistics` has those over launches.)"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from bench.analyse.statistics import LEVEL, SEED
from bench.findings import Interval

RESAMPLES = 1_999
FLIPS = 9_999
MIN_SAMPLES = 5
"""Fewer samples than this have no bootstrap interval."""
_AT_ONCE = 2**22
"""Numbers that a step of resampling holds."""
_Z = float(special.ndtri(0.5 + LEVEL / 2))

Values = NDArray[np.float64]
Statistic = Callable[[Values], Values]
"""Of the means of K columns over samples, (…, K), a score (…)."""


def wilson(successes: int, n: int) -> Interval:
    """The interval of a proportion, `successes` of `n` ≥ 1. E. B. Wilson, JASA 22 (1927) 209–212."""
    p, spread = successes / n, _Z**2 / n
    middle = (p + spread / 2) / (1 + spread)
    half = _Z / (1 + spread) * np.sqrt(p * (1 - p) / n + spread / (4 * n))
    return Interval(max(0.0, min(p, float(middle - half))), min(1.0, max(p, float(middle + half))), "Wilson")


def mcnemar(only_a: int, only_b: int) -> float:
    """The two-sided exact p-value that neither of two variants is right more often; `only_a` samples are right by the
    one alone and `only_b` by the other. Q. McNemar, Psychometrika 12 (1947) 153–157, with the binomial itself."""
    return float(stats.binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


def paired_proportions(only_a: int, only_b: int, n: int) -> Interval:
    """The interval of the difference b − a of two proportions of the same `n` samples: half a sample is added to each
    of the four cells. A. Agresti, Y. Min, Statistics in Medicine 24 (2005) 729–740."""
    a, b, all_ = only_a + 0.5, only_b + 0.5, n + 2
    middle = (b - a) / all_
    half = _Z * np.sqrt(a + b - (b - a) ** 2 / all_) / all_
    return Interval(max(-1.0, float(middle - half)), min(1.0, float(middle + half)), "Agresti–Min")


def bootstrap(columns: Values, of_means: Statistic) -> tuple[Interval, Values]:
    """The interval of `of_means` of the means of `columns` (N, K) over N ≥ 2 samples, and the resampled scores.

    BCa (B. Efron, JASA 82 (1987) 171–185); percentile where that is undefined, as for equal samples.
    """
    return bootstraps(columns, (of_means,))[0]


def bootstraps(columns: Values, scores: Sequence[Statistic]) -> list[tuple[Interval, Values]]:
    """As `bootstrap`, of several scores of the same samples, which are drawn once for all."""
    drawn = list(_means(columns))
    return [_interval(columns, drawn, one) for one in scores]


def _interval(columns: Values, drawn: Sequence[Values], of_means: Statistic) -> tuple[Interval, Values]:
    estimate = float(of_means(columns.mean(axis=0)))
    resampled = np.concatenate([of_means(means) for means in drawn])
    without = of_means((columns.sum(axis=0) - columns) / (len(columns) - 1))
    levels, method = _bca(resampled, estimate, without), "BCa"
    if levels is None:
        levels, method = ((1 - LEVEL) / 2, (1 + LEVEL) / 2), "percentile"
    low, high = np.quantile(resampled, levels)
    return Interval(min(float(low), estimate), max(float(high), estimate), method), resampled


def two_sided(resampled: Values) -> float:
    """The p-value that a difference is zero, of its resampled values: twice the smaller part beyond zero."""
    beyond = min(np.count_nonzero(resampled <= 0), np.count_nonzero(resampled >= 0))
    return float(min(1.0, 2 * (beyond + 1) / (resampled.size + 1)))


def sign_flips(differences: Values) -> Values:
    """The two-sided p-value (K,) that each column of paired differences (N, K) has the mean 0: how often a mean is as
    far from 0 when every sample's sign is drawn. R. A. Fisher, The Design of Experiments (1935), § 21; drawn, with the
    observed signs among them: B. Phipson, G. K. Smyth, Stat. Appl. Genet. Mol. Biol. 9 (2010) 39."""
    n = len(differences)
    random, observed = np.random.default_rng(SEED), np.abs(differences.sum(axis=0))
    beyond, left, most = np.ones(differences.shape[1]), FLIPS, max(1, _AT_ONCE // n)
    while left:
        count = min(left, most)
        signs = 2.0 * random.integers(0, 2, (count, n)) - 1
        # Sums of equal numbers in another order differ in their last bits, and must not.
        beyond += (np.abs(signs @ differences) >= observed - 1e-9 * n).sum(axis=0)
        left -= count
    return beyond / (FLIPS + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values corrected for their number: the chance of one false call among all is below the level that they are
    held to. S. Holm, Scand. J. Statist. 6 (1979) 65–70."""
    count, highest = len(p_values), 0.0
    found = [0.0] * count
    for rank, place in enumerate(sorted(range(count), key=lambda one: p_values[one])):
        highest = max(highest, min(1.0, (count - rank) * p_values[place]))
        found[place] = highest
    return found


def _means(columns: Values) -> Iterator[Values]:
    """Means over samples drawn with replacement, in pieces (B, K)."""
    random, n = np.random.default_rng(SEED), len(columns)
    left, most = RESAMPLES, max(1, _AT_ONCE // n)
    while left:
        count = min(left, most)
        drawn = random.integers(0, n, (count, n)) + n * np.arange(count)[:, None]
        yield np.bincount(drawn.ravel(), minlength=count * n).reshape(count, n) @ columns / n
        left -= count


def _bca(resampled: Values, estimate: float, without: Values) -> tuple[float, float] | None:
    """The quantiles of the resampled values that bound the interval; None where they are undefined.

    `without` has the score without each sample.
    """
    below = (np.count_nonzero(resampled < estimate) + np.count_nonzero(resampled == estimate) / 2) / resampled.size
    influence = without.mean() - without
    spread = float((influence**2).sum())
    if not 0 < below < 1 or spread < 1e-24 * max(1.0, estimate**2):
        return None
    bias, skew = float(special.ndtri(below)), float((influence**3).sum()) / (6 * spread**1.5)
    shifted = [bias + z for z in (-_Z, _Z)]
    if any(1 - skew * z <= 0 for z in shifted):
        return None
    low, high = (float(special.ndtr(bias + z / (1 - skew * z))) for z in shifted)
    return low, high
