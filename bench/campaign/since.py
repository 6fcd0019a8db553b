"""Since which night a figure is worse: by the change points of its trend, or by the verdict on each night."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from bench.analyse import trend, verdicts
from bench.analyse.series import Series, series
from bench.campaign import past
from bench.campaign.compared import noises
from bench.campaign.past import Side
from bench.findings import Change, Trend, Verdict
from bench.records import METRICS, Subject
from bench.report.nightly import Since
from bench.results.history import History


def trends(judged: Sequence[Verdict], history: History, margin: float) -> Mapping[tuple[str, Subject], Trend]:
    """The trends of what was judged, by metric and subject."""
    table = history.launches(
        trend.COLUMNS, device=sorted({v.right.device for v in judged}), model=sorted({v.right.model for v in judged}),
        metric=sorted({v.metric for v in judged}),
    )  # fmt: skip
    return {(one.metric, one.subject): one for one in trend.trends(table.to_pandas(), margin)}


def for_the_worse(found: Trend | None) -> Change | None:
    """The newest change of a trend, if it is one for the worse."""
    if found is None or not found.changes:
        return None
    last = found.changes[-1]
    worse = {"lower": last.ratio > 1, "higher": last.ratio < 1}.get(METRICS[found.metric].better, False)
    return last if worse else None


def first(
    v: Verdict, change: Change | None, baseline: Side, history: History, margin: float, tonight: Since
) -> Since:  # fmt: skip
    """The first night on which a figure that is worse tonight was so: where a change of its trend begins after the
    baseline, else that of an unbroken row of nights that are each worse than the baseline, this one the last."""
    begun: datetime = pc.max(baseline.table["started"]).as_py()
    begin = begun.isoformat(timespec="seconds")
    if change is not None and change.night.started > begin:
        night = change.night
        return Since(night.started, night.folder, night.commit, change.nights_after, "trend")
    (left,) = (one for one in baseline.series(metric=(v.metric,)) if one.subject == v.left)
    known = noises(history, {v.left.device, v.right.device})
    found = tonight
    for started, commit, night_ in _between(v, history, begun, tonight):
        if verdicts.verdict(left, night_, known, past.answers_of, margin).outcome != "worse":
            break
        found = Since(started, night_.folders[0], commit, found.nights + 1, "verdicts")
    return found


def _between(v: Verdict, history: History, begun: datetime, tonight: Since) -> Iterator[tuple[str, str, Series]]:
    """That figure on the nights after the baseline and before this one, the newest first: when, commit, series."""
    table = history.launches(device=v.right.device, model=v.right.model, variant=v.right.variant, metric=v.metric)
    table = table.filter(pc.greater(table["started"], pa.scalar(begun, table.schema.field("started").type)))
    rows = [row for row in table.to_pylist() if row["folder"] != tonight.folder]
    for key in reversed(dict.fromkeys(row["key"] for row in rows)):
        mine = [row for row in rows if row["key"] == key]
        for one in series(mine):
            if one.subject == v.right:
                yield mine[0]["started"].isoformat(timespec="seconds"), mine[0]["commit"], one
