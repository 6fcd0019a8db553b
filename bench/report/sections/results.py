"""Every figure of every subject: a table for each network."""

from __future__ import annotations

from collections.abc import Sequence

from bench.findings import CaveatKind, Summary
from bench.records import METRICS, Subject
from bench.report.labels import SHORT, interval
from bench.report.section import Context, Section
from bench.report.table import Cell, Notes, Table
from bench.units import quantity

ALWAYS = ("latency", "vm_hwm", "deployed", "load", "first_inference", "agreement", "max_abs_delta")
"""Columns that are shown even where they are empty; a score has a column where it was measured."""


def section(context: Context) -> Section | None:
    tables = tuple(_table(model, context) for model in context.models)
    note = "" if tables else "No trial succeeded."
    return Section("results", "Results", note=note, tables=tables)


def _table(model: str, context: Context) -> Table:
    findings, labels = context.findings, context.labels
    subjects = [s for s in findings.subjects if s.model == model]
    measured = {s.metric for s in findings.summaries if s.subject.model == model}
    metrics = [m for m in SHORT if m in ALWAYS or m in measured]
    notes = Notes()
    header = ["Variant", "Where"]
    for metric in metrics:
        header += ["Latency, median", "p90"] if metric == "latency" else [labels.metric(metric, model)]
    rows = []
    for subject in subjects:
        found = {metric: findings.summary(subject, metric) for metric in metrics}
        known = [s for s in found.values() if s]
        virtual: list[CaveatKind] = ["virtual"] if any(s.virtual for s in known) else []
        row = [Cell(subject.variant, tone="strong"), Cell(labels.where(subject), marks=notes.marks(virtual))]
        for metric, summary in found.items():
            row.append(_figure(metric, summary, subject, context, notes))
            if metric == "latency":
                row.append(_p90(summary))
        rows.append((*row, _verdict(known)))
    texts = list(notes.texts())
    if any(row[2].detail for row in rows):
        texts.append("With the median: its 95 % bootstrap interval over launches.")
    mine = (s.statistics for s in findings.summaries if s.subject.model == model and _is_score(s))
    if any(figures and figures.interval for figures in mine):
        texts.append("With a score: its 95 % interval over the n samples.")
    return Table(labels.model(model), (*header, "Verdict"), tuple(rows), tuple(texts))


def _is_score(summary: Summary) -> bool:
    return METRICS[summary.metric].pass_ == "accuracy"


def _figure(metric: str, summary: Summary | None, subject: Subject, context: Context, notes: Notes) -> Cell:
    if summary is None:
        untrained = metric == "accuracy" and context.labels.untrained(subject.model, subject.variant)
        return Cell("untrained" if untrained else "–", tone="muted")
    marks = notes.marks(c.kind for c in summary.caveats if c.level != "note")
    if summary.statistics is None:
        return Cell("failed", tone="bad", marks=marks)
    if any(c.kind == "translated" for c in summary.caveats):
        return Cell("meaningless", tone="muted", marks=marks)
    value = summary.statistics.median
    detail = _detail(metric, summary, subject, context)
    return Cell(quantity(value, summary.unit), detail, "plain" if summary.usable else "muted", marks)


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
        return f"{interval(figures.interval, summary.unit)}, n = {figures.samples:,}"
    return ""


def _p90(latency: Summary | None) -> Cell:
    if latency is None or latency.statistics is None or latency.translated:
        return Cell("–", tone="muted")
    return Cell(quantity(latency.statistics.p90, latency.unit), tone="plain" if latency.usable else "muted")


def _verdict(summaries: Sequence[Summary]) -> Cell:
    """What can be used of a row."""
    if not any(s.usable for s in summaries):
        return Cell("not usable", tone="bad")
    if not all(s.usable for s in summaries):
        return Cell("partly usable")
    if any(c.level == "care" for s in summaries for c in s.caveats):
        return Cell("with care")
    return Cell("usable", tone="strong")
