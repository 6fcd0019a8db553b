"""Latency with others at work beside it: how much each variant suffers, and whether the fastest one changes."""

from __future__ import annotations

from collections.abc import Sequence

from bench.endurance import Contention, Lead, fastest
from bench.findings import Summary
from bench.report.labels import bounds, listed
from bench.report.section import Context, Section
from bench.report.table import Cell, Table, Tone
from bench.units import duration, ratio

HEADER = (
    "Variant",
    "Where",
    "Alone, mean",
    "Beside others, mean",
    "Beside ÷ alone",
    "Medians, alone → beside",
    "Launches, beside / alone",
)
NOTES = (
    "Medians over launches of their means, and the 95 % bootstrap interval of the ratio, not paired. Above 1× it "
    "suffers.",
    "A scheduler gives a core away for milliseconds: of short inferences most are not disturbed and a few wait long. "
    "Their median does not see that, so means are compared.",
)


def section(context: Context) -> Section | None:
    found = context.findings.contention
    held = {one.subject for one in found}
    alone = [s for s in context.findings.summaries if s.metric == "contended" and s.subject not in held]
    if not (found or alone):
        return None
    phones = [one for one in found if context.labels.is_phone(one.subject.device)]
    places: dict[tuple[object, ...], list[Contention]] = {}
    for one in phones or found:  # the table has the desktop too
        s = one.subject
        places.setdefault((s.model, s.device, s.runtime, s.threads, s.precision), []).append(one)
    sentences = (*(_sentence(mine, context) for mine in places.values()), *(_missing(s, context) for s in alone))
    models = dict.fromkeys(c.subject.model for c in found)
    tables = tuple(_table(model, [c for c in found if c.subject.model == model], context) for model in models)
    return Section("contention", "With others at work beside it", sentences=sentences, tables=tables)


def _missing(summary: Summary, context: Context) -> str:
    """Why a subject that was to be measured beside others has no ratio."""
    name, where = f"{summary.subject.variant} {summary.subject.model}", context.labels.where(summary.subject)
    if summary.statistics is None:
        return f"{name} on {where} could not be measured beside others: {summary.caveats[0].text}."
    return f"{name} on {where} was measured beside others, but not alone: there is nothing to hold it against."


def beside(one: Contention) -> str:
    """Who works beside it: `2 copies of itself and 1 thread of other work`."""
    parts = [f"{one.copies} {'copies' if one.copies > 1 else 'copy'} of itself"] * bool(one.copies)
    parts += [f"{one.load} thread{'s' * (one.load > 1)} of other work"] * bool(one.load)
    return listed(parts) if parts else "nothing"


def _sentence(mine: Sequence[Contention], context: Context) -> str:
    first = mine[0]
    where, model = context.labels.where(first.subject), context.labels.model(first.subject.model)
    if first.translated:
        return f"{model} on {where}: times beside others mean nothing, because the machine code is translated."
    words = f"{model} on {where}, beside {beside(first)}: {'; '.join(_of_variant(one) for one in mine)}."
    judged = [one for one in mine if not one.doubts]
    order = _fastest(judged, context.findings.leads) if len(judged) > 1 else ""
    return f"{words} {order}".rstrip()


def _of_variant(one: Contention) -> str:
    name = one.subject.variant
    if one.doubts:
        return f"{name} cannot be judged"
    if not one.called:
        return f"{name} is not shown to suffer ({_ratio(one)})"
    if one.ratio > 1:
        return f"{name} takes {_ratio(one)} as long on average"
    return f"{name} is faster than alone ({_ratio(one)} the time)"


def _fastest(judged: Sequence[Contention], leads: Sequence[Lead]) -> str:
    by_subject = {one.subject: one for one in judged}
    alone, contended = (fastest(list(by_subject), leads, when) for when in ("alone", "contended"))
    if alone and contended and alone != contended:
        by = ratio(by_subject[alone].contended / by_subject[contended].contended)
        names = f"{alone.variant} alone, {contended.variant} beside others"
        return f"The fastest variant changes: {names} ({by} faster)."
    if alone and contended:
        return f"{alone.variant} is the fastest alone and beside others."
    if alone:
        return f"{alone.variant} is the fastest alone; beside others no variant is clearly ahead."
    if contended:
        return f"{contended.variant} is the fastest beside others; alone no variant is clearly ahead."
    return "No variant is clearly ahead, neither alone nor beside others."


def _ratio(one: Contention) -> str:
    return f"{ratio(one.ratio)} [{bounds(one.bounds)}]" if one.bounds else f"{ratio(one.ratio)}, no interval"


def _table(model: str, found: Sequence[Contention], context: Context) -> Table:
    cells = tuple(_row(one, context) for one in found)
    return Table(f"{context.labels.model(model)}: beside {beside(found[0])}", HEADER, cells, NOTES)


def _row(one: Contention, context: Context) -> tuple[Cell, ...]:
    name, where = Cell(one.subject.variant, tone="strong"), Cell(context.labels.where(one.subject))
    if one.translated:
        return (name, where, *[Cell("meaningless", tone="muted")] * 4, Cell("–", tone="muted"))
    tone: Tone = "muted" if one.doubts else "strong" if one.called else "plain"
    detail = bounds(one.bounds) + (", not usable" if one.doubts else "")
    alone, contended = one.launches
    return (
        name, where, Cell(duration(one.alone)), Cell(duration(one.contended)),
        Cell(ratio(one.ratio), detail if one.called or one.doubts else f"{detail}, not called", tone),
        Cell(" → ".join(map(duration, one.medians))),
        Cell(f"{contended} / {alone}"),
    )  # fmt: skip
