"""Scores of a network's answers, from the facts that measuring stored of each sample (`bench.measure.answers`).

Every score is a function of means over samples, which is all that its interval and a paired test need to know of it. A
new one is a line in `SCORES`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.analyse import intervals
from bench.confidence import BINS, bins_of
from bench.contest import WithoutNetwork
from bench.errors import CorruptData
from bench.findings import Interval

if TYPE_CHECKING:
    from bench.records import Answers, RunRecord, SamplesRecord, Subject

IDENTICAL_DB = 100.0
"""The PSNR of a picture that is its target to the bit, instead of infinity."""

Values = NDArray[np.float64]
Facts = Mapping[str, Values]
"""Numbers (N,) of N samples, by the names of `bench.measure.answers`."""


class Estimate(NamedTuple):
    """A score over `n` samples; no interval for too few of them."""

    value: float
    interval: Interval | None
    n: int


class Paired(NamedTuple):
    """The second variant's score minus the first's over the same `n` samples. `p_value` is that of no difference by
    `method`; None for too few samples."""

    difference: float
    interval: Interval | None
    p_value: float | None
    method: str
    n: int


@dataclass(frozen=True)
class Score:
    """How good answers are. `columns` are (N, K) numbers of each sample, `of_means` makes the score of their means
    (…, K). `needs` are the facts it is computed from; `applies` may ask for more."""

    name: str
    text: str
    unit: Literal["fraction", "dB", "1"]
    better: Literal["higher", "lower", "equal"]
    needs: tuple[str, ...]
    columns: Callable[[Facts], Values]
    of_means: intervals.Statistic = lambda means: means[..., 0]
    applies: Callable[[Facts], bool] = lambda facts: True

    def fits(self, facts: Facts) -> bool:
        """Whether the facts are there. A name stands for its members too: `both` for `both.0`, `both.1`, …"""
        return all(_members(facts, name) for name in self.needs) and self.applies(facts)


def scores(facts: Facts, metrics: Collection[str] | None = None) -> dict[str, Estimate]:
    """All scores that the facts allow; of these metrics alone, if there are any."""
    wanted = SCORES if metrics is None else {name: one for name, one in SCORES.items() if name in metrics}
    return {name: estimate(score, facts) for name, score in wanted.items() if score.fits(facts)}


def estimate(score: Score, facts: Facts) -> Estimate:
    """`score` with its 95 % interval over samples: Wilson's for a proportion, else bootstrap."""
    columns = score.columns(facts)
    n, value = len(columns), float(score.of_means(columns.mean(axis=0)))
    if _is_proportion(columns):
        return Estimate(value, intervals.wilson(int(columns.sum()), n), n)
    if n < intervals.MIN_SAMPLES:
        return Estimate(value, None, n)
    return Estimate(value, intervals.bootstrap(columns, score.of_means)[0], n)


def paired(score: Score, facts_a: Facts, facts_b: Facts) -> Paired:
    """How two variants differ on the same samples: McNemar's exact test for a proportion, else a paired bootstrap.

    Raises CorruptData where the samples are not the same.
    """
    a, b = score.columns(facts_a), score.columns(facts_b)
    labels_a, labels_b = (facts.get("label", np.empty(0)) for facts in (facts_a, facts_b))
    if a.shape != b.shape or not np.array_equal(labels_a, labels_b):
        raise CorruptData(
            f"{score.name} of two variants cannot be compared: their samples differ ({len(a):,} and {len(b):,})",
            "Measure both in one run.",
        )
    n, width = a.shape
    difference = float(score.of_means(b.mean(axis=0)) - score.of_means(a.mean(axis=0)))
    if _is_proportion(np.concatenate((a, b))):
        only_a, only_b = (int(np.count_nonzero(one > other)) for one, other in ((a, b), (b, a)))
        interval = intervals.paired_proportions(only_a, only_b, n)
        return Paired(difference, interval, intervals.mcnemar(only_a, only_b), "McNemar exact", n)
    if n < intervals.MIN_SAMPLES:
        return Paired(difference, None, None, "paired bootstrap", n)

    def of_both(means: Values) -> Values:
        return score.of_means(means[..., width:]) - score.of_means(means[..., :width])

    interval, resampled = intervals.bootstrap(np.hstack((a, b)), of_both)
    return Paired(difference, interval, intervals.two_sided(resampled), "paired bootstrap", n)


def _is_proportion(columns: Values) -> bool:
    return columns.shape[1] == 1 and bool(np.isin(columns, (0, 1)).all())


def _members(facts: Facts, name: str) -> list[str]:
    """The fact of that name, or those of each class in order."""
    if name in facts:
        return [name]
    classes = [fact for fact in facts if fact.startswith(f"{name}.")]
    return sorted(classes, key=lambda fact: int(fact.rpartition(".")[2]))


def _fact(name: str) -> Callable[[Facts], Values]:
    return lambda facts: facts[name][:, None]


def _within(first: int) -> Callable[[Facts], Values]:
    """Whether the right class is one of the `first`."""
    return lambda facts: (facts["rank"] < first)[:, None].astype(np.float64)


def _more_than_five_classes(facts: Facts) -> bool:
    return any(facts[name].max() >= 5 for name in ("label", "answer", "rank"))


def _overlap(facts: Facts) -> tuple[Values, Values]:
    """Pixels (N, K) of each class in both, and those in answer and in mask added up."""
    both, ours, theirs = (
        np.stack([facts[name] for name in _members(facts, fact)], axis=1) for fact in ("both", "ours", "theirs")
    )
    return both, ours + theirs


def _dice(facts: Facts) -> Values:
    """Of each sample the mean over its classes but the ground, class 0; 1 where neither has such a pixel."""
    both, sizes = _overlap(facts)
    if both.shape[1] > 1:
        both, sizes = both[:, 1:], sizes[:, 1:]
    present = sizes > 0
    each = np.where(present, 2 * both / np.maximum(sizes, 1), 0)
    count = present.sum(axis=1)
    mean: Values = np.where(count > 0, each.sum(axis=1) / np.maximum(count, 1), 1.0)
    return mean[:, None]


def _intersection_and_union(facts: Facts) -> Values:
    both, sizes = _overlap(facts)
    return np.hstack((both, sizes - both))


def _mean_ratio(means: Values) -> Values:
    """Of K intersections and K unions the mean ratio over the classes that occur; 1 without any."""
    both, union = np.split(means, 2, axis=-1)
    present = union > 0
    ratios = np.where(present, both / np.where(present, union, 1), 0)
    count = present.sum(axis=-1)
    mean: Values = np.where(count > 0, ratios.sum(axis=-1) / np.maximum(count, 1), 1.0)
    return mean


def _psnr(facts: Facts) -> Values:
    with np.errstate(divide="ignore"):
        decibels = 10 * np.log10(facts["peak"] ** 2 / facts["squared_error"])
    capped: Values = np.minimum(decibels, IDENTICAL_DB)
    return capped[:, None]


def _gaps(fact: str) -> Callable[[Facts], Values]:
    """Right (1) or wrong (0) minus confidence, in the column of the confidence's bin."""

    def gaps(facts: Facts) -> Values:
        found = (facts["rank"] == 0) - facts[fact]
        return np.where(np.arange(BINS) == bins_of(facts[fact])[:, None], found[:, None], 0.0)

    return gaps


def _absolute_sum(means: Values) -> Values:
    total: Values = np.abs(means).sum(axis=-1)
    return total


_OVERLAP = ("both", "ours", "theirs")

SCORES: dict[str, Score] = {
    score.name: score
    for score in (
        Score("top1", "right class first", "fraction", "higher", ("rank",), _within(1)),
        Score(
            "top5", "right class among the first five", "fraction", "higher", ("rank", "label", "answer"), _within(5),
            applies=_more_than_five_classes,
        ),
        Score("dice", "mean Dice of the masks", "fraction", "higher", _OVERLAP, _dice),
        Score(
            "iou", "intersection over union of all samples' pixels, mean over classes", "fraction", "higher", _OVERLAP,
            _intersection_and_union, _mean_ratio,
        ),
        Score("psnr", "peak signal-to-noise ratio", "dB", "higher", ("squared_error", "peak"), _psnr),
        Score("ssim", "structural similarity", "fraction", "higher", ("ssim",), _fact("ssim")),
        Score("confidence", "mean confidence in the answer", "fraction", "equal", ("confidence",), _fact("confidence")),
        Score(
            "ece", f"expected calibration error, {BINS} bins", "fraction", "lower", ("confidence", "rank"),
            _gaps("confidence"), _absolute_sum,
        ),
        Score(
            "calibrated_ece", f"expected calibration error at its own temperature, {BINS} bins", "fraction", "lower",
            ("calibrated", "rank"), _gaps("calibrated"), _absolute_sum,
        ),
        Score("asked", "share of samples that a cascade asks for", "fraction", "equal", ("asked",), _fact("asked")),
        Score("agreement", "same answer as the desktop reference", "fraction", "equal", ("agrees",), _fact("agrees")),
    )
}  # fmt: skip


def floors(run: RunRecord, answers: Mapping[Subject, Answers]) -> dict[str, tuple[WithoutNetwork, ...]]:
    """By network, what its samples give without any: the most frequent class each time, no pixel of any class but the
    ground, or the input itself, where the run has stored how far that is off."""
    found = {}
    for subject, facts in answers.items():
        if subject.model not in found and (known := tuple(_floors(run.samples.get(subject.model), facts))):
            found[subject.model] = known
    return found


def _floors(shown: SamplesRecord | None, facts: Facts) -> Iterator[WithoutNetwork]:
    if "label" in facts and len(facts["label"]):
        _, counts = np.unique(facts["label"], return_counts=True)
        yield WithoutNetwork("top1", float(counts.max() / counts.sum()), MAJORITY)
    if SCORES["dice"].fits(facts):
        empty = _without_marks(facts)
        for name in ("dice", "iou"):
            yield WithoutNetwork(name, float(SCORES[name].of_means(SCORES[name].columns(empty).mean(axis=0))), UNMARKED)
    errors, peak = shown.unaltered.get("squared_error") if shown else None, facts.get("peak")
    if errors and peak is not None and len(peak) == len(errors):
        value = float(_psnr({"peak": peak, "squared_error": np.array(errors)}).mean())
        yield WithoutNetwork("psnr", value, UNALTERED)


def _without_marks(facts: Facts) -> dict[str, Values]:
    """The facts of masks where every pixel is ground: class 0, which has no facts where there are but two."""
    ours, theirs = _members(facts, "ours"), _members(facts, "theirs")
    pixels = np.sum([facts[name] for name in ours], axis=0)  # of more than two classes, every pixel has one
    found: dict[str, Values] = {}
    for k, (answer, mask) in enumerate(zip(ours, theirs, strict=True)):
        ground = len(ours) > 1 and k == 0
        nothing = np.zeros_like(facts[mask])
        found |= {
            answer.replace("ours", "both"): facts[mask] if ground else nothing,
            answer: pixels if ground else nothing,
            mask: facts[mask],
        }
    return found


MAJORITY, UNMARKED, UNALTERED = "the most frequent class each time", "no pixel marked", "the input itself"
