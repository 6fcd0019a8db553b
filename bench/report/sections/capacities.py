"""Networks with several capacities in one file: what each answers and takes, and what a change between them does."""

from __future__ import annotations

from collections.abc import Sequence

from bench.capacities import Against, Switched
from bench.findings import Interval, Summary
from bench.records import METRICS
from bench.report.labels import bounds, heading, interval
from bench.report.section import Context, Section
from bench.report.table import Cell, Table, Tone
from bench.units import duration, quantity, ratio, size

NOTES = (
    "Switch: from a capacity beside this one, until it can infer: the weights brought in from the file, the graph and "
    "its pipelines made again. Medians over launches with their 95 % bootstrap interval; slowest: of all changes.",
    "Loaded afresh: the same capacity from the same file, by a fresh process. Apart: the same network in files of its "
    "own; n launches of it. Launches are not paired; above 1× the switch is faster. Paged: weights brought in or "
    "dropped, which differ where a capacity has two neighbours. Changes: so many in so many launches.",
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
        f"{model} on {where}: of all changes of capacity that to {slowest.subject.variant} takes longest, "
        f"{duration(slowest.switch)} (median; the slowest of them {duration(slowest.slowest)}){words}{doubts}."
    )


def _loads(one: Switched) -> list[tuple[Against, str]]:
    pairs = ((one.fresh, "a switch, from the same file"), (one.apart, "a switch, from files of its own"))
    return [(found, what) for found, what in pairs if found is not None]


def _table(model: str, found: Sequence[Switched], context: Context) -> Table:
    score = context.labels.score(model)
    quality = heading(score) if score else "Score"
    apart = any(one.apart for one in found)
    header = (
        "Variant", "Where", "Weights", quality, "Latency", "Switch to it", "Slowest", "Loaded afresh ÷ switch",
        *(("Apart ÷ switch",) if apart else ()), "First inference after", "Paged", "Changes",
    )  # fmt: skip
    rows = tuple(_row(one, score, context, apart) for one in found)
    return Table(f"{context.labels.model(model)}: capacities", header, rows, NOTES)


def _row(one: Switched, score: str | None, context: Context, apart: bool) -> tuple[Cell, ...]:
    scored = context.findings.summary(one.subject, score) if score else None
    words = (
        Cell(one.subject.variant, tone="strong"), Cell(context.labels.where(one.subject)),
        Cell(size(one.bytes), value=one.bytes), _figure(scored),
        _figure(context.findings.summary(one.subject, "latency")),
    )  # fmt: skip
    low, high = one.paged
    paged = Cell(size(high), "" if low == high else f"or {size(low)}", value=high)
    count = Cell(f"{one.changes:,} in {one.launches}", value=one.changes)
    if one.translated:
        nothing = [Cell("meaningless", tone="muted")] * 2, [Cell("–", tone="muted")] * (1 + apart)
        return (*words, *nothing[0], *nothing[1], nothing[0][0], paged, count)
    tone: Tone = "muted" if one.doubts else "plain"
    around = interval(Interval(*one.bounds, "bootstrap"), "ns") if one.bounds else "no interval"
    return (
        *words, Cell(duration(one.switch), around + (", not usable" if one.doubts else ""), tone, value=one.switch),
        Cell(duration(one.slowest), tone=tone, value=one.slowest), _against(one.fresh, tone),
        *((_against(one.apart, tone),) if apart else ()), Cell(duration(one.first), tone=tone, value=one.first), paged,
        count,
    )  # fmt: skip


def _figure(summary: Summary | None) -> Cell:
    if summary is None or summary.statistics is None:
        return Cell("–", tone="muted")
    median = summary.statistics.median
    value = quantity(median, METRICS[summary.metric].unit)
    if summary.translated and METRICS[summary.metric].unit == "ns":
        return Cell("meaningless", tone="muted")
    return Cell(value, tone="plain" if summary.usable else "muted", value=median)


def _against(found: Against | None, tone: Tone) -> Cell:
    if found is None:
        return Cell("–", tone="muted")
    return Cell(ratio(found.ratio), f"{bounds(found.bounds)}, n = {found.launches}", tone, value=found.ratio)


def _ratio(found: Against) -> str:
    return f"{ratio(found.ratio)} [{bounds(found.bounds)}]" if found.bounds else f"{ratio(found.ratio)}, no interval,"
