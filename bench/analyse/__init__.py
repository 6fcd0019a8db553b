"""From stored samples and answers to statistics, verdicts and comparisons: pure functions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from bench.drifted import Drift
from bench.findings import Findings, Summary
from bench.layered import LayerRecord
from bench.plan import Protocol
from bench.records import METRICS, Answers, RunRecord

if TYPE_CHECKING:
    import pandas as pd


def analyse(
    frame: pd.DataFrame, run: RunRecord, answers: Mapping[str, Answers],
    layers: Mapping[str, Sequence[LayerRecord]] = MappingProxyType({}),
) -> Findings:  # fmt: skip
    """All that can be said about a run. `frame` has one row per sample, as in `results/README.md`; `answers` are by the
    id of their trial, and so are the `layers` of launches that timed them.

    Raises CorruptData when the frame or the stored plan is not of this format.
    """
    # pandas and scipy take a second to import; a run wants them only at its end.
    from bench.analyse.capacities import switched
    from bench.analyse.compare import compare
    from bench.analyse.contention import contention
    from bench.analyse.contest import contests
    from bench.analyse.distributions import distributions
    from bench.analyse.drift import drift
    from bench.analyse.judge import by_subject
    from bench.analyse.layers import profiles
    from bench.analyse.noise import of_run, reach
    from bench.analyse.reliability import reliability
    from bench.analyse.score import scores
    from bench.analyse.scores import floors
    from bench.analyse.sustained import in_order, leads, sustained, turns

    drifting = drift(frame, run, answers)
    found = summaries(frame, run, answers, drifting=drifting)
    noises = of_run(run, found)
    answered = by_subject(frame, answers)
    compared = compare(found, run, answered, noises)
    loaded = tuple(in_order(sustained(frame, run), [s.subject for s in found if s.metric == "sustained"]))
    contended, overtaken, ahead = contention(found, run, noises)
    return Findings(
        found, compared, floors=floors(run, answered), reach=tuple(reach(noises, Protocol().launches)),
        sustained=loaded, turned=turns(loaded, noises),
        leads=(*leads(loaded, noises), *ahead),
        contention=contended, overtaken=overtaken, scores=scores(run, found), distributions=distributions(frame),
        contests=contests(found, run, answered, noises), profiles=profiles(frame, found, layers), drift=drifting,
        capacities=switched(frame, found, run),
        reliability=tuple(reliability(answered, run)),
    )  # fmt: skip


def summaries(
    frame: pd.DataFrame, run: RunRecord, answers: Mapping[str, Answers], metrics: Collection[str] = METRICS,
    drifting: Sequence[Drift] = (),
) -> tuple[Summary, ...]:  # fmt: skip
    """The figures alone, each with its verdict, nothing compared; of these metrics alone, which saves the time of the
    others' intervals. Of drift those that are known already. Raises as `analyse` does."""
    from bench.analyse import drift
    from bench.analyse.judge import by_subject, judge, tags, unproven
    from bench.analyse.summary import in_order, summarise

    answered = by_subject(frame, answers)
    wanted = frame if metrics is METRICS else frame[frame["metric"].isin(["", "accuracy", *metrics])]
    judged = judge(answered, run, metrics, tags(frame))
    means = drift.summaries(drifting, run)
    return in_order(unproven((*summarise(wanted, run), *judged, *means), run), run)
