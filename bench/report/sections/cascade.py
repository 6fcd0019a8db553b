"""Cascades: what asking the ordinary network only where it is needed saves, and what it costs in right answers."""

from __future__ import annotations

from collections.abc import Iterator

from bench.caveats import CaveatKind
from bench.confidence import Cascade
from bench.findings import Comparison, Summary
from bench.records import METRICS, Artifact, Subject
from bench.report.labels import difference, interval, score_interval
from bench.report.section import Context, Section
from bench.report.table import Cell, Notes, Table, Tone
from bench.units import quantity

NOTE = (
    "The small network answers first, and the ordinary one is asked where its confidence is below the threshold. Each "
    "inference has another sample. Mean: each of both ways by the median of its inferences, in the share of the "
    "samples that go it; p95 is over all inferences, interruptions by other work included. The threshold was chosen on "
    "a validation part that trained and tested nothing."
)
_HEADER = (
    "Cascade", "Where", "Asked", "Accuracy", "Against the ordinary one", "Mean latency", "Share of its time", "p95",
    "Its own p95", "Bytes", "Peak RSS",
)  # fmt: skip


def section(context: Context) -> Section | None:
    cascades = {(a.model, a.variant): a for a in context.run.artifacts if a.cascade}
    rows: dict[str, list[tuple[Cell, ...]]] = {}
    notes = Notes()
    for subject in context.findings.subjects:
        if (subject.model, subject.variant) in cascades:
            rows.setdefault(subject.model, []).append(_row(subject, context, notes))
    if not rows:
        return None
    tables = [
        Table(f"{context.labels.model(model)}: cascades", _HEADER, tuple(mine), notes.texts(), words=2)
        for model, mine in rows.items()
    ]
    sentences = tuple(dict.fromkeys(_sentence(artifact, artifact.cascade) for artifact in cascades.values()))
    return Section("cascade", "Cascades", details=sentences, note=NOTE, tables=tuple(tables))


def _sentence(artifact: Artifact, made: Cascade | None) -> str:
    assert made is not None
    small, robust, both = (quantity(one, "fraction") for one in made.accuracy)
    return (
        f"{artifact.model}, {artifact.variant}: {made.small} answers, and {artifact.model} itself is asked where the "
        f"confidence of that is below {made.threshold:.3f} (goal {made.goal}). On {made.samples:,} validation samples: "
        f"{small} right by the small one, {robust} by the ordinary one, {both} by both, which asks for "
        f"{quantity(made.asked, 'fraction')}."
    )


def _row(subject: Subject, context: Context, notes: Notes) -> tuple[Cell, ...]:
    virtual = any(s.virtual for s in context.findings.summaries if s.subject == subject)
    marks: list[CaveatKind] = ["virtual"] if virtual else []
    own = {c.metric: c for c in context.findings.comparisons if c.kind == "variant" and c.right == subject}
    latency = context.findings.summary(subject, "latency")
    ordinary = context.findings.summary(own["latency"].left, "latency") if "latency" in own else None
    return (
        Cell(subject.variant, tone="strong"),
        Cell(context.labels.where(subject), marks=notes.marks(marks)),
        _score(context.findings.summary(subject, "asked")),
        _score(context.findings.summary(subject, "top1")),
        _lost(own.get("top1")),
        _time(latency, notes),
        _share(own.get("latency")),
        _p95(latency),
        _p95(ordinary),
        *_costs(subject, context),
    )


def _score(summary: Summary | None) -> Cell:
    if summary is None or summary.statistics is None:
        return Cell("–")
    figures, unit = summary.statistics, METRICS[summary.metric].unit
    between = f"{score_interval(figures.interval, unit)}, " if figures.interval else ""
    return Cell(quantity(figures.median, unit), f"{between}n = {figures.samples:,}", value=figures.median)


def _lost(found: Comparison | None) -> Cell:
    told = difference(found) if found else None
    return Cell(told.value, told.detail) if told else Cell("–")


def _time(summary: Summary | None, notes: Notes) -> Cell:
    if summary is None or summary.statistics is None:
        return Cell("–", summary.caveats[0].text if summary and summary.caveats else "")
    figures = summary.statistics
    detail = interval(figures.interval, summary.unit) if figures.interval else "no interval"
    marks = notes.marks(c.kind for c in summary.caveats)
    tone: Tone = "plain" if summary.usable else "bad"
    return Cell(quantity(figures.median, summary.unit), detail, tone=tone, marks=marks, value=figures.median)


def _share(found: Comparison | None) -> Cell:
    """The cascade's time as a part of the ordinary network's, with its interval."""
    if found is None or not found.ratio:
        return Cell("–")
    share = 1 / found.ratio
    words = "not called" if not found.called else ""
    between = (
        f"{100 / found.interval.high:.1f}–{100 / found.interval.low:.1f} %"
        if found.interval and found.interval.low
        else ""
    )
    return Cell(f"{100 * share:.1f} %", ", ".join(filter(None, (between, words))), value=share)


def _p95(summary: Summary | None) -> Cell:
    if summary is None or summary.statistics is None:
        return Cell("–")
    return Cell(quantity(summary.statistics.p95, summary.unit), value=summary.statistics.p95)


def _costs(subject: Subject, context: Context) -> Iterator[Cell]:
    for metric in ("deployed", "vm_hwm"):
        summary = context.findings.summary(subject, metric)
        if summary is None or summary.statistics is None or summary.metric != metric:
            yield Cell("–")
            continue
        yield Cell(quantity(summary.statistics.median, summary.unit), value=summary.statistics.median)
