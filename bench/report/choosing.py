"""A choice under a budget as sentences, as a table and as values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from bench.choice import METRIC_OF, Candidate, Choice, Exclusion, Held, Limit
from bench.records import METRICS
from bench.report.labels import SHORT, heading, interval, listed, score_interval
from bench.report.section import Context
from bench.report.sections.rivals import name, where
from bench.report.table import Cell, Table
from bench.units import quantity, ratio

_ORDER = ("yes", "perhaps", "no", "unknown")
_MET = {"yes": "meets all", "perhaps": "perhaps", "no": "no", "unknown": "not usable"}


def sentences(choice: Choice, context: Context) -> Iterator[str]:
    """What was chosen and why; or which limit excludes everything, and how far the nearest is."""
    contest, chosen = choice.contest, choice.chosen
    place = f"{', '.join(contest.models)} on {where(contest, context)}"
    if chosen is None:
        yield from _nothing(choice, context)
        return
    fit = [one for one in choice.candidates if (one.met, one.doubtful) == (chosen.met, chosen.doubtful)]
    if not chosen.held:
        met = "no limit was given"
    elif chosen.met == "yes":
        met = "it meets every limit, with all of its intervals"
    else:
        doubtful = [_limit(one.limit, one.metric) for one in chosen.held if one.met == "perhaps"]
        met = f"perhaps: it meets {listed(doubtful)}, but not with all of its interval, and nothing is surer"
    yield f"{place}: {_name(chosen, choice, context)}. {met[0].upper()}{met[1:]}."
    among = f"Of {len(fit)} such it has" if len(fit) > 1 else "It alone does so; what decides would be"
    yield f"{among} {choice.reason} ({_value(chosen, choice)}){_close(choice, context)}."
    if chosen.virtual:
        yield "Its times and memory are of a virtual phone: they tell variants apart, not what a phone takes."
    if chosen.remarks:
        words = "Some of its figures must not be used" if chosen.doubtful else "With care"
        yield f"{words}: {'; '.join(chosen.remarks)}."


def _close(choice: Choice, context: Context) -> str:
    few = [_name(one, choice, context) for one in choice.near]
    if not few:
        return ""
    return f", not clearly ahead of {listed(few) if len(few) < 4 else f'{len(few)} others'}"


def _value(one: Candidate, choice: Choice) -> str:
    metric = _metric(choice)
    return quantity(one.figures[metric], METRICS[metric].unit)


def _metric(choice: Choice) -> str:
    return METRIC_OF.get(choice.best, choice.contest.score)


def _nothing(choice: Choice, context: Context) -> Iterator[str]:
    contest, count = choice.contest, len(choice.candidates)
    place = f"{', '.join(contest.models)} on {where(contest, context)}"
    alone = [one for one in choice.exclusions if not one.meeting]
    if not choice.exclusions:
        those = (
            "those that meet every limit" if choice.candidates and choice.candidates[0].held else f"{count} variants"
        )
        yield f"{place}: none of {those} has the figure that decides, {choice.reason}."
    elif alone:
        for one in alone:
            yield f"{place}: none of {count} variants meets {_excluding(one, choice, context)}."
    else:
        counts = listed([f"{_limit(e.limit, _of(e, choice))} ({e.meeting} of {count})" for e in choice.exclusions])
        yield f"{place}: each limit is met by some, all of them by none: {counts}."
    for limit, candidate in choice.without:
        yield f"Without --{limit.axis} it would be {_name(candidate, choice, context)}."


def _excluding(one: Exclusion, choice: Choice, context: Context) -> str:
    words = _limit(one.limit, _of(one, choice))
    if one.nearest is None:
        return f"{words}: none has a figure that may be used"
    held = next(h for h in one.nearest.held if h.limit == one.limit)
    return f"{words}; the nearest, {_name(one.nearest, choice, context)}, has {_figure(held)} ({_margin(held)})"


def _of(one: Exclusion, choice: Choice) -> str:
    return next(h.metric for c in choice.candidates for h in c.held if h.limit == one.limit)


def _limit(limit: Limit, metric: str) -> str:
    """`latency ≤ 30.0 ms`, `accuracy ≥ 97.00 %`, `accuracy at most 1.00 point below the ordinary network's`."""
    unit = METRICS[metric].unit
    if not limit.relative:
        return f"{SHORT[metric]} {'≥' if limit.axis == 'accuracy' else '≤'} {quantity(limit.value, unit)}"
    by = _points(100 * abs(limit.value)) if unit == "fraction" else f"{abs(limit.value):g} {unit}"
    words = f"at most {by} below" if limit.value <= 0 else f"at least {by} above"
    return f"{SHORT[metric]} {words} the ordinary network's"


def _points(count: float) -> str:
    return f"{count:g} point{'s' * (count != 1)}"


def _figure(held: Held) -> str:
    """A figure with its interval; of a relative limit the difference."""
    unit = METRICS[held.metric].unit
    if held.value is None:
        return held.why
    if held.limit.relative:
        scale, suffix = (100, " points") if unit == "fraction" else (1, f" {unit}")
        within = held.interval
        shown = f" [{_signed(scale * within.low)}, {_signed(scale * within.high)}]" if within else ""
        return f"{_signed(scale * held.value, 2)}{shown}{suffix}"
    shown = ""
    if held.interval:
        of_score = METRICS[held.metric].pass_ == "accuracy"
        shown = f" ({(score_interval if of_score else interval)(held.interval, unit)})"
    return f"{quantity(held.value, unit)}{shown}"


def _signed(value: float, decimals: int = 1) -> str:
    return f"{value:+.{decimals}f}".replace("-", "−")


def _margin(held: Held) -> str:
    """How far within its limit a figure is, or beyond it."""
    if held.margin is None:
        return ""
    beyond = "within" if held.margin >= 0 else "beyond"
    if held.limit.axis != "accuracy":
        if held.margin < -1:
            return f"{ratio(1 - held.margin)} the limit"
        return f"{100 * abs(held.margin):.0f} % {beyond}"
    if METRICS[held.metric].unit == "fraction":
        return f"{100 * abs(held.margin):.2f} points {beyond}"
    return f"{abs(held.margin):.2f} {METRICS[held.metric].unit} {beyond}"


def _name(one: Candidate, choice: Choice, context: Context) -> str:
    return name(one.subject, choice.contest, context)


def table(choice: Choice, context: Context) -> Table:
    """Every variant with every limit held against it: what meets all first, the chosen one at the top."""
    limits = choice.candidates[0].held if choice.candidates else ()
    metric = _metric(choice)
    extra = not any(one.metric == metric and not one.limit.relative for one in limits)
    header = ["Variant", "Meets", *(_limit(one.limit, one.metric) for one in limits)]
    header += [heading(metric)] if extra else []
    sign = -1 if choice.best == "accuracy" else 1
    ordered = sorted(
        choice.candidates,
        key=lambda c: (
            c is not choice.chosen, _ORDER.index(c.met), metric not in c.figures, sign * c.figures.get(metric, 0.0)
        ),
    )  # fmt: skip
    rows = []
    for one in ordered:
        mark = "chosen, " * (one is choice.chosen) + (_MET[one.met] if one.held else "–")
        virtual = " (virtual)" if one.virtual else ""
        row = [
            Cell(f"{_name(one, choice, context)}{virtual}", tone="strong" if one is choice.chosen else "plain"),
            Cell(mark), *(_cell(held) for held in one.held),
        ]  # fmt: skip
        if extra:
            known = one.figures.get(metric)
            row.append(Cell("–" if known is None else quantity(known, METRICS[metric].unit), value=known))
        rows.append(tuple(row))
    return Table("The budget", tuple(header), tuple(rows), words=2)


def _cell(held: Held) -> Cell:
    if held.value is None:
        return Cell(f"unknown: {held.why}" if held.why else "unknown", tone="bad")
    detail = ", ".join(filter(None, (_margin(held), "" if held.met in ("yes", "no") else "perhaps")))
    return Cell(_figure(held), detail, "plain" if held.met != "no" else "muted", value=held.value)


def as_json(choice: Choice) -> dict[str, Any]:
    """The choice as values: figures in base units (ns, bytes, fractions)."""

    def candidate(one: Candidate) -> dict[str, Any]:
        return asdict(one) | {"subject": one.subject.model_dump(), "met": one.met}

    return {
        "models": choice.contest.models,
        "device": choice.contest.device,
        "runtime": choice.contest.runtime,
        "threads": choice.contest.threads,
        "score": choice.contest.score,
        "best": choice.best,
        "rule": choice.reason,
        "chosen": choice.chosen and candidate(choice.chosen),
        "near": [one.subject.variant for one in choice.near],
        "candidates": [candidate(one) for one in choice.candidates],
        "exclusions": [
            {
                "limit": asdict(one.limit),
                "meeting": one.meeting,
                "nearest": one.nearest and one.nearest.subject.variant,
            }
            for one in choice.exclusions
        ],
        "without": {limit.axis: one.subject.variant for limit, one in choice.without},
    }
