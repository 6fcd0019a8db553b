"""What compression bought of one network in one place, for someone who has ten seconds: a sentence, large figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from bench.findings import Comparison, Interval, Summary
from bench.records import METRICS, SIZES, Subject
from bench.report.labels import SHORT, difference, interval, listed, score_interval
from bench.report.section import Context, Highlight, Large
from bench.units import quantity, ratio

_COSTS = {
    "latency": ("Latency", "faster", "slower"),
    "vm_hwm": ("Peak memory", "less", "more"),
    "deployed": ("Bytes deployed", "fewer", "more"),
}
"""By metric, its heading and what a ratio above and below 1 is."""
_ADJECTIVES = {
    "latency": ("faster", "slower"),
    "vm_hwm": ("lighter on memory", "heavier on memory"),
    "deployed": ("smaller", "larger"),
}
LITTLE = 1.1
"""A smaller difference is a slight one, and one of memory is in its figure alone, not in the sentence."""
_OUTCOMES = {
    "not-shown": "no clear difference",
    "translated": "meaningless",
    "no-interval": "no interval",
    "unusable": "not usable",
    "failed": "failed",
}


def against(subject: Subject, context: Context) -> dict[str, Comparison]:
    """The comparisons of a variant with the ordinary network in the same place, by metric."""
    return {
        c.metric: c
        for c in reversed(context.findings.comparisons)
        if c.kind == "variant" and (c.right == subject or (c.metric in SIZES and _same_place(c.right, subject)))
    }


def highlight(subject: Subject, instead_of: str, context: Context) -> Highlight:
    """Of a variant against the ordinary network; alone, where there is nothing to compare it with. `instead_of` is the
    sentence of the section that says the same in full."""
    found, labels = against(subject, context), context.labels
    where = labels.where(subject)
    score = labels.score(subject.model)
    summaries = {m: context.findings.summary(subject, m) for m in (*_COSTS, *((score,) if score else ()))}
    virtual = any(s.virtual for s in summaries.values() if s)
    if not found:
        figures = [_alone(m, s) for m, s in summaries.items() if s and s.statistics]
        title = f"{subject.model}: {subject.variant}"
        return Highlight(title, where, instead_of, tuple(figures), virtual, instead_of)
    ordinary = next(iter(found.values())).left.variant
    figures = [_cost(m, found[m], context) for m in _COSTS if m in found]
    if score and (mine := _score(score, subject, found.get(score), context)):
        figures.append(mine)
    timed = "latency" not in found or found["latency"].outcome != "failed"
    sentence = _sentence(subject, found, score, context) if timed else instead_of
    return Highlight(
        f"{labels.model(subject.model)}: {subject.variant} instead of {ordinary}", where, sentence, tuple(figures),
        virtual, instead_of,
    )  # fmt: skip


def _same_place(a: Subject, b: Subject) -> bool:
    return (a.model, a.variant, a.device, a.runtime) == (b.model, b.variant, b.device, b.runtime)


def _sentence(subject: Subject, found: Mapping[str, Comparison], score: str | None, context: Context) -> str:
    """In words alone: the figures are below it."""
    name = f"{subject.variant} makes {subject.model}"
    better: list[str] = []
    worse: list[str] = []
    for metric, words in _ADJECTIVES.items():
        c = found.get(metric)
        if c and c.called and c.ratio and not (metric == "vm_hwm" and 1 / LITTLE < c.ratio < LITTLE):
            little = "slightly " if 1 / LITTLE < c.ratio < LITTLE else ""
            (better if c.ratio > 1 else worse).append(f"{little}{words[c.ratio < 1]}")
    if better and worse:
        text = f"{name} {listed(better)}, but {listed(worse)}"
    elif better or worse:
        text = f"{name} {listed(better or worse)}"
    else:
        text = f"{subject.variant} makes no difference to {subject.model} that this run can show"
    price = _price(found.get(score or ""), score, subject, context)
    speed = found.get("latency")
    doubt = {"translated": "Its speed here means nothing.", "unusable": "Its speed is not fit to be compared."}
    tail = f" {doubt[speed.outcome]}" if speed and speed.outcome in doubt else ""
    return f"{text}{price}.{tail}"


def _price(c: Comparison | None, score: str | None, subject: Subject, context: Context) -> str:
    if score is None:
        return ""
    name = SHORT[score]
    if context.labels.untrained(subject.model, subject.variant):
        return "; it is untrained, so nothing is known of its answers"
    if c is None or (by := difference(c)) is None:
        return ""
    match c.outcome:
        case "equal":
            return f"; its {name} stays the same"
        case "not-shown":
            return f"; no change of its {name} is shown"
        case "differs":
            return f"; its {name} {'falls' if by.value.startswith('−') else 'rises'} by {by.value[1:]}"
        case _:
            return ""


def _cost(metric: str, c: Comparison, context: Context) -> Large:
    label, better, worse = _COSTS[metric]
    unit = METRICS[metric].unit
    sides = [context.findings.summary(s, metric) for s in (c.left, c.right)]
    values = [quantity(s.statistics.median, unit) for s in sides if s and s.statistics]
    change = f"{values[0]} → {values[1]}" if len(values) == 2 and c.outcome != "translated" else ""
    if c.ratio is None or not c.called:
        words = "the same" if c.outcome == "equal" else _OUTCOMES.get(c.outcome, c.outcome)
        shown = c.ratio if c.outcome in ("not-shown", "equal") else None
        within = f"95 %: {interval(c.interval, 'ratio')}" if shown and c.interval else ""
        return Large(label, ratio(shown) if shown else "–", words, _lines(change, within))
    times = c.ratio if c.ratio > 1 else 1 / c.ratio
    exact = "exact" if c.interval is None else f"95 %: {_interval(c.interval, c.ratio)}"
    return Large(
        label, ratio(times), better if c.ratio > 1 else worse, _lines(change, exact), "good" if c.ratio > 1 else "bad"
    )


def _interval(found: Interval, times: float) -> str:
    shown = found if times > 1 else Interval(1 / found.high, 1 / found.low, found.method)
    return interval(shown, "ratio")


def _score(score: str, subject: Subject, c: Comparison | None, context: Context) -> Large | None:
    """The difference of the main score, or the score itself where there is nothing to compare it with."""
    ours = context.findings.summary(subject, score)
    if not (ours and ours.statistics):
        return None
    by = difference(c) if c else None
    theirs = context.findings.summary(c.left, score) if c else None
    if not (c and by and theirs and theirs.statistics):
        return _alone(score, ours)
    number, _, unit = by.value.partition(" ")
    change = " → ".join(quantity(s.statistics.median, s.unit) for s in (theirs, ours) if s.statistics)
    within = f"95 %: {by.low} to {by.high}" if by.low else ""
    tone: Literal["good", "bad", "plain"] = "plain"
    if c.called and c.difference:
        tone = "good" if (c.difference > 0) == (METRICS[score].better == "higher") else "bad"
    doubt = "not shown to differ" if c.outcome == "not-shown" else ""
    return Large(_heading(score), number, unit, _lines(change, within, ", ".join(filter(None, (by.p, doubt)))), tone)


def _alone(metric: str, s: Summary) -> Large:
    """A figure with nothing to compare it with."""
    assert s.statistics is not None
    figures = s.statistics
    number, _, unit = quantity(figures.median, s.unit).rpartition(" ")
    if s.translated and metric in ("latency", "vm_hwm"):
        return Large(_COSTS[metric][0], "–", "meaningless under translation")
    within = ""
    if figures.interval:
        shown = score_interval(figures.interval, s.unit) if _is_score(metric) else interval(figures.interval, s.unit)
        within = f"95 %: {shown}"
    count = f"n = {figures.samples:,}" if _is_score(metric) else ""
    label = _COSTS[metric][0] if metric in _COSTS else _heading(metric)
    doubt = "" if s.usable else "not usable"
    return Large(label, number or unit, " ".join(filter(None, (unit if number else "", doubt))), _lines(within, count))


def _is_score(metric: str) -> bool:
    return METRICS[metric].pass_ == "accuracy"


def _heading(score: str) -> str:
    return SHORT[score][0].upper() + SHORT[score][1:]


def _lines(*texts: str) -> tuple[str, ...]:
    return tuple(filter(None, texts))
