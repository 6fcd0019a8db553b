"""Every figure of every subject: tables for each network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.caveats import CaveatKind
from bench.findings import Statistics, Summary
from bench.records import METRICS, Subject
from bench.report.labels import SHORT, heading, interval, listed, score_interval
from bench.report.section import Context, Section
from bench.report.table import Cell, Notes, Table
from bench.units import quantity

COSTS = ("latency", "vm_hwm", "deployed", "load", "first_inference")


def section(context: Context) -> Section | None:
    if context.learnt_alone:
        return None
    tables = tuple(table for model in context.models for table in _tables(model, context))
    return Section("results", "Results", note="" if tables else "No trial succeeded.", tables=tables)


def _tables(model: str, context: Context) -> Iterator[Table]:
    """What a network costs, with the score that matters most; and all that is known of its answers."""
    name, score = context.labels.model(model), context.labels.score(model)
    subjects = [s for s in context.findings.subjects if s.model == model]
    judged = score is not None and any(context.findings.summary(s, score) for s in subjects)
    costs = (*COSTS, *((score,) if judged and score else ()), "agreement")
    yield _table(name, subjects, costs, context, verdict=True)
    measured = {s.metric for s in context.findings.summaries if s.subject.model == model and s.statistics}
    answers = tuple(m for m in SHORT if METRICS[m].pass_ == "accuracy" and m in measured)
    if answers:
        yield _table(f"{name}: answers", subjects, answers, context, verdict=False)


def _table(
    title: str, subjects: Sequence[Subject], metrics: Sequence[str], context: Context, *, verdict: bool
) -> Table:
    notes = Notes()
    # The verdict stands before the figures, where no narrow screen cuts it off.
    header = ["Variant", "Where", *(["Verdict"] if verdict else [])]
    for metric in metrics:
        header += ["Latency, median", "p90"] if metric == "latency" else [heading(metric)]
    rows = []
    for subject in subjects:
        found = {metric: context.findings.summary(subject, metric) for metric in metrics}
        known = [s for s in found.values() if s]
        virtual: list[CaveatKind] = ["virtual"] if any(s.virtual for s in known) else []
        row = [Cell(subject.variant, tone="strong"), Cell(context.labels.where(subject), marks=notes.marks(virtual))]
        row += [_verdict(known)] if verdict else []
        for metric, summary in found.items():
            row.append(figure(metric, summary, subject, context, notes))
            if metric == "latency":
                row.append(_p90(summary))
        rows.append(tuple(row))
    shown = [s for s in context.findings.summaries if s.subject in subjects and s.metric in metrics]
    texts = (*notes.texts(), *_about_intervals(shown), *_about_floor(shown, context))
    return Table(title, tuple(header), tuple(rows), texts, words=2 + verdict)


def _about_intervals(shown: Sequence[Summary]) -> Iterator[str]:
    known = [s for s in shown if s.statistics and s.statistics.interval]
    if any(s.metric == "latency" and not s.translated for s in known):
        yield "With the median: its 95 % bootstrap interval over launches."
    if any(_is_score(s) for s in known):
        yield "With a score: its 95 % interval over the n samples."


def _about_floor(shown: Sequence[Summary], context: Context) -> Iterator[str]:
    """What can be had without any network, and which variants are no better than that."""
    for model in dict.fromkeys(s.subject.model for s in shown):
        for floor in context.findings.floors.get(model, ()):
            scores = [s for s in shown if s.metric == floor.metric and s.subject.model == model and s.statistics]
            if not scores:
                continue
            idle = dict.fromkeys(
                s.subject.variant for s in scores if s.statistics and _least(s.statistics) <= floor.value
            )
            value = quantity(floor.value, METRICS[floor.metric].unit)
            doubt = f" No better than that: {listed(list(idle))}." if idle else ""
            yield f"Without any network ({floor.words}): {SHORT[floor.metric]} {value}.{doubt}"


def _least(figures: Statistics) -> float:
    return figures.interval.low if figures.interval else figures.median


def _is_score(summary: Summary) -> bool:
    known = METRICS[summary.metric]
    return known.pass_ == "accuracy" and known.better != "equal"


def figure(metric: str, summary: Summary | None, subject: Subject, context: Context, notes: Notes) -> Cell:
    """A summary as a cell, with what the figure needs beside it and the marks of its caveats."""
    if summary is None:
        untrained = context.labels.untrained(subject.model, subject.variant)
        unjudged = untrained and metric == context.labels.score(subject.model)
        return Cell("untrained" if unjudged else "–", tone="muted")
    marks = notes.marks(c.kind for c in summary.caveats if c.level != "note")
    if summary.statistics is None:
        return Cell("failed", tone="bad", marks=marks)
    if any(c.kind == "translated" for c in summary.caveats):
        return Cell("meaningless", tone="muted", marks=marks)
    value = summary.statistics.median
    detail = _detail(metric, summary, subject, context)
    return Cell(quantity(value, summary.unit), detail, "plain" if summary.usable else "muted", marks, value)


def _detail(metric: str, summary: Summary, subject: Subject, context: Context) -> str:
    """What a figure needs beside it: the interval of a latency or a score, the scale of a difference."""
    figures = summary.statistics
    if figures is None:
        return ""
    if metric == "max_abs_delta":
        largest = context.findings.summary(subject, "max_abs_reference")
        if figures.median > 0 and largest and largest.statistics and largest.statistics.median > 0:
            return f"{figures.median / largest.statistics.median:.1g} of the largest output"
        return ""
    if figures.interval is None:
        return ""
    if metric == "latency":
        return interval(figures.interval, summary.unit)
    if _is_score(summary):
        return f"{score_interval(figures.interval, summary.unit)}, n = {figures.samples:,}"
    return ""


def _p90(latency: Summary | None) -> Cell:
    if latency is None or latency.statistics is None or latency.translated:
        return Cell("–", tone="muted")
    value = latency.statistics.p90
    return Cell(quantity(value, latency.unit), tone="plain" if latency.usable else "muted", value=value)


def _verdict(summaries: Sequence[Summary]) -> Cell:
    """What can be used of a row."""
    if not any(s.usable for s in summaries):
        return Cell("not usable", tone="bad")
    if not all(s.usable for s in summaries):
        return Cell("partly usable")
    if any(c.level == "care" for s in summaries for c in s.caveats):
        return Cell("with care")
    return Cell("usable", tone="strong")
