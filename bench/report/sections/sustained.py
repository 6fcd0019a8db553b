"""Latency under load that goes on: cold against steady, when a phone throttles, whether variants change places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from bench.endurance import SLOWER, Moment, Sustained, Turn
from bench.findings import Interval
from bench.report.labels import interval, listed
from bench.report.section import Context, Section
from bench.report.table import Cell, Table
from bench.units import duration, quantity, ratio

HEADER = ("Variant", "Where", "Cold", "Steady", "Steady ÷ cold", "Throttles", "Clock", "Skin", "Thermal status")
NOTES = (
    "Cold: the median of the first minute, or of the first tenth of a shorter load. Steady: that of the last third. "
    "With the ratio: its 95 % interval over windows of a second (moving block bootstrap).",
    f"Throttles: from when on the median stays more than {SLOWER:.0%} above the first one to the end. One launch each: "
    "what differs between launches is not in these intervals.",
)
SHORT = "The load was shorter than a minute, so seconds stand for minutes."
NO_HEAT = "A virtual phone does not become warm: what changes there is this computer."


def section(context: Context) -> Section | None:
    found = context.findings.sustained
    if not found:
        return None
    sentences = tuple(sentence for mine in _places(found) for sentence in _sentences(mine, context))
    tables = tuple(_table(model, [s for s in found if s.subject.model == model], context) for model in _models(found))
    notes = [NO_HEAT] * any(s.virtual for s in found) + [SHORT] * any(s.unit_s == 1 for s in found)
    return Section("sustained", "Under load that goes on", sentences=sentences, note=" ".join(notes), tables=tables,
                   pictures=_pictures(context))  # fmt: skip


def _pictures(context: Context) -> tuple[()]:
    return ()


def _models(found: Sequence[Sustained]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(s.subject.model for s in found))


def place(one: Sustained) -> tuple[object, ...]:
    """What launches share whose variants can be compared."""
    s = one.subject
    return s.model, s.device, s.runtime, s.threads, s.precision


def _places(found: Sequence[Sustained]) -> Iterator[list[Sustained]]:
    """The launches of each network in each place together."""
    for _, mine in groupby(sorted(found, key=lambda s: list(dict.fromkeys(map(place, found))).index(place(s))), place):
        yield list(mine)


def _sentences(mine: Sequence[Sustained], context: Context) -> Iterator[str]:
    """How each variant bears the load in one place, and whether their order stays."""
    first = mine[0]
    where, model = context.labels.where(first.subject), context.labels.model(first.subject.model)
    if first.translated:
        yield f"{model} on {where}: times under load mean nothing, because the machine code is translated."
        return
    yield f"{model} on {where}, {_time(first.seconds)} of load: {'; '.join(_of_variant(one) for one in mine)}."
    if len(mine) > 1:
        here = {one.subject for one in mine}
        turned = [turn for turn in context.findings.turned if turn.early in here]
        yield _order(mine, turned)


def _of_variant(one: Sustained) -> str:
    name, times = one.subject.variant, _ratio(one)
    if one.doubts:
        return f"{name} cannot be judged ({one.doubts})"
    if one.throttled is not None:
        return f"{name} throttles from {unit(one)} {one.throttled + 1} on and is {times} as slow at the end"
    if one.bounds and one.bounds[0] > 1:
        return f"{name} ends {times} as slow as it began, without throttling"
    if one.bounds and one.bounds[1] < 1:
        return f"{name} ends faster than it began ({times} the time)"
    return f"{name} does not slow down ({times})"


def _order(mine: Sequence[Sustained], turned: Sequence[Turn]) -> str:
    when = f"the first {unit(mine[0])}" if mine[0].unit_s > 1 else "the first seconds"
    for turn in turned:
        if turn.called:
            early, late = turn.early.variant, turn.late.variant
            return (
                f"The ranking flips: {early} is {ratio(turn.gain)} faster than {late} in {when}, and {late} is "
                f"{ratio(turn.loss)} faster at the end."
            )
    if turned:
        pairs = listed([f"{turn.early.variant} and {turn.late.variant}" for turn in turned])
        return f"Between {when} and the end {pairs} change places, but by no more than noise explains."
    fastest = min(mine, key=lambda one: one.steady).subject.variant
    return f"The ranking stays from {when} to the end: {fastest} is the fastest throughout."


def _ratio(one: Sustained) -> str:
    return f"{ratio(one.ratio)} [{_bounds(one)}]" if one.bounds else f"{ratio(one.ratio)}, too short for an interval"


def _bounds(one: Sustained) -> str:
    return interval(Interval(*one.bounds, "bootstrap"), "ratio") if one.bounds else "no interval"


def unit(one: Sustained) -> str:
    """What its medians are of."""
    return "minute" if one.unit_s > 1 else "second"


def _time(seconds: float) -> str:
    return f"{seconds / 60:g} min" if seconds >= 120 else f"{seconds:g} s"


def _table(model: str, found: Sequence[Sustained], context: Context) -> Table:
    cells = tuple(_row(one, context) for one in found)
    return Table(f"{context.labels.model(model)}: cold and steady", HEADER, cells, NOTES)


def _row(one: Sustained, context: Context) -> tuple[Cell, ...]:
    name, where = Cell(one.subject.variant, tone="strong"), Cell(context.labels.where(one.subject))
    if one.translated:
        return (name, where, *[Cell("meaningless", tone="muted")] * 4, *[Cell("–", tone="muted")] * 3)
    throttles = "no" if one.throttled is None else f"from {unit(one)} {one.throttled + 1}"
    return (
        name, where, Cell(duration(one.cold)), Cell(duration(one.steady)),
        Cell(ratio(one.ratio), _bounds(one), "muted" if one.doubts else "plain"),
        Cell("not judged" if one.doubts else throttles, one.doubts),
        _change(one.clock, "Hz"), _change(one.skin, "°C"), _worst(one.status),
    )  # fmt: skip


def _change(trace: Sequence[Moment], unit_of: str) -> Cell:
    """The values at the start and at the end: the median of up to five."""
    if not trace:
        return Cell("not reported", tone="muted")
    ends = [sorted(m.value for m in part)[len(part) // 2] for part in (trace[:5], trace[-5:])]
    first, last = (quantity(value, unit_of) for value in ends)
    return Cell(first if first == last else f"{first} → {last}")


def _worst(trace: Sequence[Moment]) -> Cell:
    if not trace:
        return Cell("not reported", tone="muted")
    return Cell(f"{max(m.value for m in trace):.0f}", "highest of 0 to 6")
