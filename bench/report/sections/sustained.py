"""Latency under load that goes on: cold against steady, when a phone throttles, whether variants change places."""

from __future__ import annotations

from collections.abc import Sequence

from bench.endurance import SLOWER, Moment, Sustained, fastest
from bench.findings import Summary
from bench.report.labels import bounds, listed
from bench.report.section import Context, Picture, Section
from bench.report.table import Cell, Table
from bench.units import duration, quantity, ratio, span

WITHIN = f"within ± {100 * SLOWER:g} %"
HEADER = ("Variant", "Where", "Cold", "Steady", "Steady ÷ cold", "Throttles", "Clock", "Skin", "Thermal status")
NOTES = (
    "Cold: the median of the first minute, or of the first tenth of a shorter load. Steady: that of the last third. "
    "With the ratio: its 95 % interval over windows of a second (moving block bootstrap).",
    f"Throttles: from when on at least four of five medians, and the steady one, are more than {100 * SLOWER:g} % "
    "above the cold one. No: its interval ends below that. "
    "One launch each: what differs between launches is not in these intervals.",
)
WORTH_SAYING = 0.02
"""A smaller change is left to the table."""
TEN_MINUTES = 600.0
"""A load as long has its first minute for cold, a shorter one its first tenth."""
SHORT = "The load was shorter than a minute, so seconds stand for minutes."
NO_HEAT = "A virtual phone does not become warm, and its clocks are made up: what changes there is this computer."


def section(context: Context) -> Section | None:
    found = context.findings.sustained
    failed = [s for s in context.findings.summaries if s.metric == "sustained" and s.statistics is None]
    if not (found or failed):
        return None
    sentences = (
        *(_sentence(mine, context) for mine in _places(found, context)),
        *(_failed(s, context) for s in failed),
    )
    models = dict.fromkeys(s.subject.model for s in found)
    tables = tuple(_table(model, [s for s in found if s.subject.model == model], context) for model in models)
    notes = [NO_HEAT] * any(s.virtual for s in found) + [SHORT] * any(s.unit_s == 1 for s in found)
    return Section("sustained", "Under load that goes on", sentences=sentences, note=" ".join(notes), tables=tables,
                   pictures=_pictures(context))  # fmt: skip


def _pictures(context: Context) -> tuple[Picture, ...]:
    if not context.pictures:
        return ()
    from bench.report.plots import sustained  # matplotlib takes a second to import

    return sustained.draw(context)


def _failed(summary: Summary, context: Context) -> str:
    name, where = f"{summary.subject.variant} {summary.subject.model}", context.labels.where(summary.subject)
    return f"{name} on {where} did not last: {summary.caveats[0].text}."


def _places(found: Sequence[Sustained], context: Context) -> list[list[Sustained]]:
    """The launches of each network in each place together: of phones, or of the desktop where there is none. The table
    has them all."""
    phones = [one for one in found if context.labels.is_phone(one.subject.device)]
    places: dict[tuple[object, ...], list[Sustained]] = {}
    for one in phones or found:
        s = one.subject
        places.setdefault((s.model, s.device, s.runtime, s.threads, s.precision), []).append(one)
    return list(places.values())


def _sentence(mine: Sequence[Sustained], context: Context) -> str:
    """How each variant bears the load in one place, and whether their order stays."""
    first = mine[0]
    where, model = context.labels.where(first.subject), context.labels.model(first.subject.model)
    if first.translated:
        return f"{model} on {where}: times under load mean nothing, because the machine code is translated."
    calm = [one for one in mine if _is_calm(one)]
    parts = [_of_variant(one) for one in mine if one not in calm]
    if len(calm) == 1:
        parts.append(f"{calm[0].subject.variant} does not slow down ({_ratio(calm[0])})")
    elif calm:
        names = listed([one.subject.variant for one in calm])
        most = ratio(max(one.ratio for one in calm))
        parts.append(f"{names} do not slow down (at most {most}, all intervals {WITHIN})")
    words = f"{model} on {where}, {span(first.seconds)} of load: {'; '.join(parts)}."
    return f"{words} {_order([one for one in mine if not one.doubts], context)}".rstrip()


def _of_variant(one: Sustained) -> str:
    name, times = one.subject.variant, _ratio(one)
    if one.doubts:
        return f"{name} cannot be judged ({one.doubts})"
    if one.throttled is not None:
        return f"{name} throttles from {unit(one)} {one.throttled + 1} on and takes {times} as long at the end"
    if one.bounds is None:
        return f"whether {name} slows down cannot be told ({times}, too short for an interval)"
    if one.bounds[0] > 1:
        words = f"{name} takes {times} as long at the end"
        return f"{words}, which is not throttling" if one.ratio <= 1 + SLOWER else words
    if one.bounds[1] < 1:
        return f"{name} is faster at the end ({times} the time)"
    return f"whether {name} slows down cannot be told ({times})"


def _is_calm(one: Sustained) -> bool:
    """Whether it is shown that nothing is worth saying: all of the interval is within the margin, and a smaller change
    that is shown is too small to be said."""
    if one.doubts or one.throttled is not None or one.bounds is None:
        return False
    low, high = one.bounds
    within = low >= 1 / (1 + SLOWER) and high <= 1 + SLOWER
    return within and (low <= 1 <= high or abs(one.ratio - 1) <= WORTH_SAYING)


def _order(judged: Sequence[Sustained], context: Context) -> str:
    """Who is the fastest, of those that can be judged; nothing where these are fewer than two."""
    if len(judged) < 2:
        return ""
    when = f"in the first {'minute' if judged[0].seconds >= TEN_MINUTES else 'tenth'}"
    subjects = [one.subject for one in judged]
    turned = [turn for turn in context.findings.turned if turn.early in subjects and turn.late in subjects]
    for turn in turned:
        if turn.called:
            early, late = turn.early.variant, turn.late.variant
            return (
                f"The ranking flips: {when} {early} is {ratio(turn.gain)} faster than {late}, at the end {late} is "
                f"{ratio(turn.loss)} faster than {early}."
            )
    cold, steady = (fastest(subjects, context.findings.leads, part) for part in ("cold", "steady"))
    if cold and cold == steady:
        return f"The ranking stays: {cold.variant} is the fastest {when} and at the end."
    if turned:
        pairs = listed([f"{turn.early.variant} and {turn.late.variant}" for turn in turned])
        return f"At the end {pairs} have changed places, but by no more than noise explains."
    if cold:
        return f"{cold.variant} is the fastest {when}; at the end no variant is clearly ahead."
    if steady:
        return f"{steady.variant} is the fastest at the end; {when} no variant is clearly ahead."
    return f"No variant is clearly ahead, neither {when} nor at the end."


def _ratio(one: Sustained) -> str:
    return f"{ratio(one.ratio)} [{bounds(one.bounds)}]" if one.bounds else ratio(one.ratio)


def unit(one: Sustained) -> str:
    """What its medians are of."""
    return "minute" if one.unit_s > 1 else "second"


def _table(model: str, found: Sequence[Sustained], context: Context) -> Table:
    cells = tuple(_row(one, context) for one in found)
    return Table(f"{context.labels.model(model)}: cold and steady", HEADER, cells, NOTES)


def _row(one: Sustained, context: Context) -> tuple[Cell, ...]:
    name, where = Cell(one.subject.variant, tone="strong"), Cell(context.labels.where(one.subject))
    if one.translated:
        return (name, where, *[Cell("meaningless", tone="muted")] * 4, *[Cell("–", tone="muted")] * 3)
    shown = one.bounds is not None and one.bounds[1] <= 1 + SLOWER
    throttles = f"from {unit(one)} {one.throttled + 1}" if one.throttled is not None else "no" if shown else "not shown"
    figures = (
        Cell(duration(one.cold)), Cell(duration(one.steady)),
        Cell(ratio(one.ratio), bounds(one.bounds), "muted" if one.doubts else "plain"),
        Cell("not judged" if one.doubts else throttles, one.doubts),
    )  # fmt: skip
    if one.virtual:
        return (name, where, *figures, *[Cell("virtual", tone="muted")] * 3)
    return (name, where, *figures, _change(one.clock, "Hz"), _change(one.skin, "°C"), _worst(one.status))


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
