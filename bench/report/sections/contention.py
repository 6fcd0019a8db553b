"""Latency with others at work beside it: how much each variant suffers, and whether the fastest one changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from bench.endurance import Contention, Turn
from bench.findings import Interval
from bench.report.labels import interval, listed
from bench.report.section import Context, Section
from bench.report.table import Cell, Table, Tone
from bench.units import duration, ratio

HEADER = ("Variant", "Where", "Alone", "Beside others", "Beside ÷ alone", "Launches")
NOTES = (
    "Medians over launches, with the 95 % bootstrap interval of their ratio: launches alone and beside others are not "
    "paired. Above 1× it suffers.",
)


def section(context: Context) -> Section | None:
    found = context.findings.contention
    if not found:
        return None
    order = list(dict.fromkeys(map(_place, found)))
    places = [list(mine) for _, mine in groupby(sorted(found, key=lambda c: order.index(_place(c))), _place)]
    sentences = tuple(sentence for mine in places for sentence in _sentences(mine, context))
    models = dict.fromkeys(c.subject.model for c in found)
    tables = tuple(_table(model, [c for c in found if c.subject.model == model], context) for model in models)
    return Section("contention", "With others at work beside it", sentences=sentences, tables=tables)


def _place(one: Contention) -> tuple[object, ...]:
    s = one.subject
    return s.model, s.device, s.runtime, s.threads, s.precision


def beside(one: Contention) -> str:
    """Who works beside it: `2 copies of itself and 1 thread of other work`."""
    parts = [f"{one.copies} {'copies' if one.copies > 1 else 'copy'} of itself"] * bool(one.copies)
    parts += [f"{one.load} thread{'s' * (one.load > 1)} of other work"] * bool(one.load)
    return listed(parts) if parts else "nothing"


def _sentences(mine: Sequence[Contention], context: Context) -> Iterator[str]:
    first = mine[0]
    where, model = context.labels.where(first.subject), context.labels.model(first.subject.model)
    if first.translated:
        yield f"{model} on {where}: times beside others mean nothing, because the machine code is translated."
        return
    words = "; ".join(_of_variant(one) for one in mine)
    yield f"{model} on {where}, each beside {beside(first)}: {words}."
    if len(mine) > 1:
        here = {one.subject for one in mine}
        yield _fastest(mine, [turn for turn in context.findings.overtaken if turn.early in here])


def _of_variant(one: Contention) -> str:
    name = one.subject.variant
    if one.doubts:
        return f"{name} cannot be judged"
    if not one.called:
        return f"{name} is not shown to suffer ({_ratio(one)})"
    if one.ratio > 1:
        return f"{name} takes {_ratio(one)} as long"
    return f"{name} is faster than alone ({_ratio(one)} the time)"


def _fastest(mine: Sequence[Contention], overtaken: Sequence[Turn]) -> str:
    alone, contended = (min(mine, key=lambda c: getattr(c, what)).subject.variant for what in ("alone", "contended"))
    if alone == contended:
        return f"{alone} is the fastest alone and beside others."
    turn = next((t for t in overtaken if (t.early.variant, t.late.variant) == (alone, contended)), None)
    if turn and turn.called:
        return f"The fastest variant changes: {alone} alone, {contended} beside others ({ratio(turn.loss)} faster)."
    return f"Beside others {contended} has the lowest median instead of {alone}; the difference is not shown."


def _ratio(one: Contention) -> str:
    return f"{ratio(one.ratio)} [{_bounds(one)}]" if one.bounds else f"{ratio(one.ratio)}, no interval"


def _bounds(one: Contention) -> str:
    return interval(Interval(*one.bounds, "bootstrap"), "ratio") if one.bounds else "no interval"


def _table(model: str, found: Sequence[Contention], context: Context) -> Table:
    cells = tuple(_row(one, context) for one in found)
    return Table(f"{context.labels.model(model)}: beside {beside(found[0])}", HEADER, cells, NOTES)


def _row(one: Contention, context: Context) -> tuple[Cell, ...]:
    name, where = Cell(one.subject.variant, tone="strong"), Cell(context.labels.where(one.subject))
    if one.translated:
        return (name, where, *[Cell("meaningless", tone="muted")] * 3, Cell("–", tone="muted"))
    tone: Tone = "muted" if one.doubts else "strong" if one.called else "plain"
    detail = _bounds(one) + (", not usable" if one.doubts else "")
    alone, contended = one.launches
    return (
        name, where, Cell(duration(one.alone)), Cell(duration(one.contended)),
        Cell(ratio(one.ratio), detail if one.called or one.doubts else f"{detail}, not called", tone),
        Cell(f"{contended} against {alone}"),
    )  # fmt: skip
