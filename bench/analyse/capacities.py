"""What a change of capacity takes, against loading the same network afresh.

Launches of both are not paired: they ran in passes of their own.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bench.analyse.statistics import ratio
from bench.capacities import Against, Switched
from bench.findings import Summary
from bench.plan import Variant, of_run
from bench.records import RunRecord, Subject

METRIC = "switch"


def switched(frame: pd.DataFrame, summaries: Sequence[Summary], run: RunRecord) -> tuple[Switched, ...]:
    """Of every subject whose changes of capacity were timed, in the order of the summaries. Raises CorruptData for a
    plan that is not understood."""
    figures = {(s.subject, s.metric): s for s in summaries if s.statistics}
    return tuple(
        _of(figures[s.subject, METRIC], figures, frame, run)
        for s in summaries
        if s.metric == METRIC and s.statistics and (s.subject, "switch_first") in figures
    )


def _of(summary: Summary, figures: dict[tuple[Subject, str], Summary], frame: pd.DataFrame, run: RunRecord) -> Switched:
    subject, found = summary.subject, summary.statistics
    assert found is not None
    first, held = figures[subject, "switch_first"].statistics, figures[subject, "capacity_bytes"].statistics
    assert first is not None
    assert held is not None
    rows = frame[(frame["pass"] == METRIC) & frame["launch"].isin([launch.launch for launch in found.launches])]
    for name, value in subject.model_dump().items():
        rows = rows[rows[name] == value]
    paged = rows[rows["metric"] == "paged"]["value"]
    other = _apart(subject, run)
    return Switched(
        subject=subject, bytes=int(held.median), switch=found.median,
        bounds=(found.interval.low, found.interval.high) if found.interval else None,
        slowest=float(rows[rows["metric"] == METRIC]["value"].max()), first=first.median,
        paged=(int(paged.min()), int(paged.max())), changes=found.samples, launches=len(found.launches),
        fresh=_against(summary, figures.get((subject, "load"))),
        apart=_against(summary, figures.get((other, "load"))) if other else None,
        virtual=summary.virtual, translated=summary.translated, doubts=summary.doubts,
    )  # fmt: skip


def _against(switch: Summary, load: Summary | None) -> Against | None:
    if load is None or load.statistics is None or switch.statistics is None:
        return None
    found = ratio(load.statistics.figures, switch.statistics.figures, same_machine=False)
    bounds = (found.interval.low, found.interval.high) if found.interval else None
    return Against(load.subject, load.statistics.median, found.value, bounds, len(load.statistics.launches))


def _apart(subject: Subject, run: RunRecord) -> Subject | None:
    """The variant of the plan that is the same but for its form: the same weights and width, in other files."""
    case = next((case for case in of_run(run).cases if case.label == subject.model), None)
    variants = {variant.label: variant for variant in (case.variants or () if case else ())}
    own = variants.get(subject.variant)
    if own is None:
        return None
    other = next((label for label, one in variants.items() if label != own.label and _same(one, own)), None)
    return subject.model_copy(update={"variant": other}) if other else None


def _same(one: Variant, other: Variant) -> bool:
    alike = ("method", "target", "effort", "width", "weights")
    return one.execution != other.execution and all(getattr(one, name) == getattr(other, name) for name in alike)
