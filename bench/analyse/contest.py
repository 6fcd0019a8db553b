"""How variants that do the same job stand among each other: the Pareto fronts of score against each cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.analyse.compare import LEVEL, called
from bench.analyse.noise import Place
from bench.analyse.scores import SCORES, Facts, paired
from bench.contest import COSTS, MAIN_SCORES, Contest, Standing, jobs
from bench.errors import CorruptData
from bench.findings import Noise, Summary
from bench.records import MATCHED, METRICS, Answers, RunRecord, Subject


def contests(
    summaries: Sequence[Summary], run: RunRecord, answers: Mapping[Subject, Answers], noises: Mapping[Place, Noise]
) -> tuple[Contest, ...]:
    """The contests of a run, in the order of its plan: in each place where two or more that do one job have a score.

    A place is a phone, a runtime and a number of threads; the desktop where no phone took part, and there not the
    reference, which computes every network as its author runs it.
    """
    table = _Table(summaries, answers, noises)
    phones = {device.serial for device in run.devices if device.kind == "phone"}
    tasks = {artifact.model: artifact.task for artifact in run.artifacts}
    models = list(dict.fromkeys(s.subject.model for s in summaries))
    found = []
    for rivals in jobs(run, models):
        mine = [s for s in table.subjects if s.model in rivals]
        shown = [s for s in mine if s.device in phones] or [s for s in mine if s.runtime != run.reference]
        for place in dict.fromkeys((s.device, s.runtime, s.threads) for s in shown):
            here = tuple(s for s in shown if (s.device, s.runtime, s.threads) == place)
            score = _score(MAIN_SCORES.get(tasks.get(rivals[0], "other")), here, table)
            if score:
                standings = {cost: tuple(_standings(cost, score, here, table)) for cost in COSTS}
                known = {cost: some for cost, some in standings.items() if some}
                present = tuple(m for m in rivals if any(s.model == m for s in here))
                found.append(Contest(present, *place, score, here, known))
    order = {model: n for n, model in enumerate(models)}
    return tuple(sorted(found, key=lambda one: order[one.models[0]]))


class _Table:
    """Figures by subject and metric, and the answers behind scores."""

    def __init__(
        self, summaries: Sequence[Summary], answers: Mapping[Subject, Answers], noises: Mapping[Place, Noise]
    ) -> None:
        self.subjects = tuple(dict.fromkeys(s.subject for s in summaries if METRICS[s.metric].pass_ != "size"))
        self.noises = noises
        self._answers = answers
        self._by_subject = {(s.subject, s.metric): s for s in summaries}
        self._sizes = {(*_files(s.subject), s.metric): s for s in summaries if METRICS[s.metric].pass_ == "size"}

    def figure(self, subject: Subject, metric: str) -> Summary | None:
        """A figure that means something: not a time or peak of translated machine code."""
        if METRICS[metric].pass_ == "size":
            return self._sizes.get((*_files(subject), metric))
        found = self._by_subject.get((subject, metric))
        senseless = found and found.translated and METRICS[metric].pass_ != "accuracy"
        return None if senseless or not (found and found.statistics) else found

    def facts(self, subject: Subject) -> Facts | None:
        return self._answers.get(subject)


def _files(subject: Subject) -> tuple[str, str, str, str]:
    """What files depend on: neither threads nor precision."""
    return subject.model, subject.variant, subject.device, subject.runtime


def _score(main: str | None, subjects: Sequence[Subject], table: _Table) -> str | None:
    """The main score where two have it. Without labels there is none: that a variant answers as its own eager form does
    says nothing of how well it answers."""
    return main if main and sum(table.figure(s, main) is not None for s in subjects) > 1 else None


@dataclass(frozen=True)
class _Rival:
    subject: Subject
    cost: Summary
    score: Summary

    @property
    def at(self) -> tuple[float, float]:
        """Cost and score."""
        assert self.cost.statistics
        assert self.score.statistics
        return self.cost.statistics.median, self.score.statistics.median

    @property
    def usable(self) -> bool:
        return self.cost.usable and self.score.usable


def _standings(cost: str, score: str, subjects: Sequence[Subject], table: _Table) -> Iterator[Standing]:
    """The cheapest first; what costs the same in the order of the plan."""
    found = [
        _Rival(subject, price, worth)
        for subject in subjects
        if (price := table.figure(subject, cost)) and price.statistics and (worth := table.figure(subject, score))
    ]
    same = MATCHED if METRICS[cost].pass_ == "size" else 0.0
    rivals = sorted(found, key=lambda one: one.at[0])
    usable = [one for one in rivals if one.usable]
    for one in rivals:
        if not one.usable:
            yield Standing(one.subject, "unusable")
            continue
        ahead = [other for other in usable if beats(other.at, one.at, same)]
        sure = next((other for other in ahead if _surely(other, one, table)), None)
        if sure:
            yield Standing(one.subject, "beaten", sure.subject)
        elif ahead:
            yield Standing(one.subject, "perhaps", ahead[0].subject)
        else:
            yield Standing(one.subject, "front")


def beats(one: tuple[float, float], other: tuple[float, float], same: float = 0.0) -> bool:
    """Whether, of (cost, score), the one costs no more and is no worse, and is better in one of both. Costs that differ
    by less than the part `same` are one cost."""
    cheaper, dearer = (1 + same) * one[0] < other[0], one[0] > (1 + same) * other[0]
    return not dearer and one[1] >= other[1] and (cheaper or one[1] > other[1])


def _surely(one: _Rival, other: _Rival, table: _Table) -> bool:
    """Whether neither of both advantages, as far as there are any, is chance. `one` beats `other` by the medians."""
    better = _better_answers(one, other, table)
    if better is None:
        return False
    if METRICS[one.cost.metric].pass_ == "size":
        return True  # what is exact needs no test, and where answers are the same it has won by bytes
    return called(other.cost, one.cost, table.noises)


def _better_answers(one: _Rival, other: _Rival, table: _Table) -> bool | None:
    """Whether a paired test calls its score better; False where both are right on the very same samples, None where
    neither is sure."""
    ours, theirs = table.facts(one.subject), table.facts(other.subject)
    if ours is None or theirs is None:
        return None
    score = SCORES[one.score.metric]
    a, b = score.columns(ours), score.columns(theirs)
    if np.array_equal(a, b):
        return False
    try:
        test = paired(score, theirs, ours)
    except CorruptData:  # not the same samples
        return None
    return True if test.difference > 0 and test.p_value is not None and test.p_value < LEVEL else None
