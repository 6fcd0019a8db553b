"""Networks with several capacities in one file: what each answers and takes, and what a change between them does."""

from __future__ import annotations

from collections.abc import Sequence

from bench.capacities import Against, Switched
from bench.findings import Summary
from bench.records import METRICS
from bench.report.labels import bounds, heading
from bench.report.section import Context, Section
from bench.report.table import Cell, Table, Tone
from bench.units import duration, quantity, ratio, size

NOTES = (
    "Switch: from a capacity beside this one, until it can infer: the weights brought in from the file, the graph and "
    "its pipelines made again. Medians over launches, the 95 % bootstrap interval, and the slowest of all.",
    "Loaded afresh: the same capacity from the same file, by a fresh process. Apart: the same network in files of its "
    "own. Launches are not paired; above 1× the switch is faster.",
    "After each switch the answer to the first sample was, to the bit, what that capacity answered before.",
)


def section(context: Context) -> Section | None:
    found = context.findings.capacities
    failed = [s for s in context.findings.summaries if s.metric == "switch" and s.statistics is None]
    if not (found or failed):
        return None
    notices = tuple(
        f"{s.subject.variant} {s.subject.model} on {context.labels.where(s.subject)}: no switch was timed: "
        f"{s.caveats[0].text}."
        for s in failed
    )
    models = dict.fromkeys(one.subject.model for one in found)
    tables = tuple(_table(model, [one for one in found if one.subject.model == model], context) for model in models)
    sentences = tuple(_sentence([one for one in found if one.subject.model == model], context) for model in models)
    return Section("capacities", "Capacities", notices, tuple(filter(None, sentences)), tables=tables)


def _sentence(found: Sequence[Switched], context: Context) -> str:
    """The slowest change of all that count, and what it saves; of phones alone, where there is one."""
    on_phones = [one for one in found if context.labels.is_phone(one.subject.device)]
    fit = [one for one in on_phones or found if not one.translated]
    if not fit:
        return ""
    slowest = max(fit, key=lambda one: one.switch)
    where, model = context.labels.where(slowest.subject), context.labels.model(slowest.subject.model)
    saved = [f"{_ratio(a)} the time of {what}" for a, what in _loads(slowest)]
    words = f"; to load it takes {' and '.join(saved)}" if saved else ""
    doubts = f" (not usable: {slowest.doubts})" if slowest.doubts else ""
    return (
        f"{model} on {where}: the slowest change of capacity, to {slowest.subject.variant}, takes "
        f"{duration(slowest.switch)}{words}{doubts}."
    )


def _loads(one: Switched) -> list[tuple[Against, str]]:
    pairs = ((one.fresh, "a switch, from the same file"), (one.apart, "a switch, from files of its own"))
    return [(found, what) for found, what in pairs if found is not None]


def _table(model: str, found: Sequence[Switched], context: Context) -> Table:
    score = context.labels.score(model)
    quality = heading(score) if score else "Score"
    header = (
        "Variant", "Where", "Weights", quality, "Latency", "Switch to it", "First inference after", "Paged",
        "Loaded afresh ÷ switch", "Apart ÷ switch", "Changes / launches",
    )  # fmt: skip
    rows = tuple(_row(one, score, context) for one in found)
    return Table(f"{context.labels.model(model)}: capacities", header, rows, NOTES)


def _row(one: Switched, score: str | None, context: Context) -> tuple[Cell, ...]:
    scored = context.findings.summary(one.subject, score) if score else None
    first = (
        Cell(one.subject.variant, tone="strong"), Cell(context.labels.where(one.subject)), Cell(size(one.bytes)),
        _figure(scored), _figure(context.findings.summary(one.subject, "latency")),
    )  # fmt: skip
    low, high = one.paged
    paged = Cell(size(low) if low == high else f"{size(low)} to {size(high)}")
    count = Cell(f"{one.changes:,} / {one.launches}")
    if one.translated:
        return (*first, *[Cell("meaningless", tone="muted")] * 2, paged, *[Cell("–", tone="muted")] * 2, count)
    tone: Tone = "muted" if one.doubts else "plain"
    around = f"{duration(one.bounds[0])}–{duration(one.bounds[1])}" if one.bounds else "no interval"
    detail = f"{around}, at most {duration(one.slowest)}" + (", not usable" if one.doubts else "")
    return (
        *first, Cell(duration(one.switch), detail, tone), Cell(duration(one.first), tone=tone), paged,
        _against(one.fresh, tone), _against(one.apart, tone), count,
    )  # fmt: skip


def _figure(summary: Summary | None) -> Cell:
    if summary is None or summary.statistics is None:
        return Cell("–", tone="muted")
    value = quantity(summary.statistics.median, METRICS[summary.metric].unit)
    if summary.translated and METRICS[summary.metric].unit == "ns":
        return Cell("meaningless", tone="muted")
    return Cell(value, tone="plain" if summary.usable else "muted")


def _against(found: Against | None, tone: Tone) -> Cell:
    if found is None:
        return Cell("–", tone="muted")
    return Cell(
        ratio(found.ratio), f"{bounds(found.bounds)}, of {duration(found.load)}, {found.launches} launches", tone
    )


def _ratio(found: Against) -> str:
    return f"{ratio(found.ratio)} [{bounds(found.bounds)}]" if found.bounds else f"{ratio(found.ratio)}, no interval,"
