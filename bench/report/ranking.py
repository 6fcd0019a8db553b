"""Who wins among networks that do the same job: same task, same labelled samples, same place.

A practitioner chooses not only between a network and its compressed self: a smaller ordinary network is a rival too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bench.contest import jobs
from bench.findings import Statistics
from bench.records import METRICS, Subject
from bench.report.labels import SHORT, listed
from bench.report.section import Context
from bench.units import quantity, ratio

RANKED = {
    "latency": "is the fastest ({})",
    "vm_hwm": "takes the least memory ({})",
    "deployed": "needs the fewest bytes ({})",
}


class Rival(NamedTuple):
    name: str
    subject: Subject
    figures: Statistics


def sentences(context: Context) -> Iterator[str]:
    """One for each place where several networks did the same job; none where a network has no rival."""
    for models in same_job(context):
        subjects = [s for s in context.findings.subjects if s.model in models]
        phones = [s for s in subjects if context.labels.is_phone(s.device)]
        shown = phones or [s for s in subjects if not context.labels.is_reference(s)]
        for where in dict.fromkeys(context.labels.where(s) for s in shown):
            here = [s for s in shown if context.labels.where(s) == where]
            if len({s.model for s in here}) > 1 and (text := _sentence(here, where, context)):
                yield text
                yield from _duels(here, context)


def of_runtimes(context: Context) -> Iterator[str]:
    """Which of several runtimes is the fastest: a sentence for the ordinary network of each model in each place."""
    subjects = [s for s in context.findings.subjects if not context.labels.is_reference(s)]
    phones = [s for s in subjects if context.labels.is_phone(s.device)]
    ordinary = [s for s in phones or subjects if context.labels.is_ordinary(s)] or phones or subjects
    places = {s.model_copy(update={"runtime": ""}): s for s in reversed(ordinary)}
    for place, first in reversed(places.items()):
        mine = [s for s in ordinary if s.model_copy(update={"runtime": ""}) == place]
        if not (found := winners(mine, "latency", context)):
            continue
        best, *others = found
        figure = quantity(best.figures.median, METRICS["latency"].unit)
        near = f", not clearly ahead of {listed([o.subject.runtime for o in others])}" if others else ""
        where = ", ".join(filter(None, (context.labels.machine(first), context.labels.setting(first))))
        yield (
            f"Of {len(mine)} runtimes on {where}, {best.subject.runtime} is the fastest for {first.variant} "
            f"{first.model} ({figure}{near})."
        )


def same_job(context: Context) -> Iterator[set[str]]:
    """Networks of one task that were shown the same labelled samples, two or more."""
    yield from (set(models) for models in jobs(context.run, context.models) if len(models) > 1)


def has_rivals(model: str, context: Context) -> bool:
    return any(model in models for models in same_job(context))


def _sentence(subjects: Sequence[Subject], where: str, context: Context) -> str:
    score = context.labels.score(subjects[0].model)
    ranked = RANKED | ({score: f"has the best {SHORT[score]} ({{}})"} if score else {})
    wins: dict[str, list[str]] = {}
    for metric, words in ranked.items():
        if found := winners(subjects, metric, context):
            best, *others = found
            figure = quantity(best.figures.median, METRICS[metric].unit)
            near = " and ".join(o.name for o in others) if len(others) < 3 else f"{len(others)} others"
            figure += f", not clearly ahead of {near}" if others else ""
            wins.setdefault(best.name, []).append(words.format(figure))
    names = " and ".join(dict.fromkeys(s.model for s in subjects))
    parts = "; ".join(f"{name} {listed(words)}" for name, words in wins.items())
    return f"Of {names} on {where}, {parts}." if parts else ""


def _duels(subjects: Sequence[Subject], context: Context) -> Iterator[str]:
    """Of each network the compressed variant with the best answers, against the fastest ordinary network that does the
    same job: that is what it competes with, not the network that it was made of."""
    ordinary = [_rival(s, "latency", context) for s in subjects if context.labels.is_ordinary(s)]
    best = min((one for one in ordinary if one), key=lambda one: one.figures.median, default=None)
    score = context.labels.score(subjects[0].model)
    if best is None or score is None:
        return
    for model in dict.fromkeys(s.model for s in subjects):
        mine = [s for s in subjects if s.model == model and not context.labels.is_ordinary(s)]
        scored = [one for s in mine if (one := _rival(s, score, context))]
        if model != best.subject.model and scored:
            ours = max(scored, key=lambda one: one.figures.median)
            if parts := list(_differences(ours.subject, best.subject, score, context)):
                yield f"{ours.name} against {best.name}: {listed(parts)}."


_BETTER_WORSE = {
    "latency": ("faster", "slower"),
    "vm_hwm": ("less memory", "more memory"),
    "deployed": ("fewer bytes", "more bytes"),
}


def _differences(ours: Subject, theirs: Subject, score: str, context: Context) -> Iterator[str]:
    for metric, words in _BETTER_WORSE.items():
        a, b = _rival(ours, metric, context), _rival(theirs, metric, context)
        if not a or not b:
            continue
        figures = " to ".join(quantity(one.figures.median, METRICS[metric].unit) for one in (a, b))
        if metric != "deployed" and _overlap(a.figures, b.figures):
            yield f"no clear difference in {SHORT[metric]} ({figures})"
        else:
            times = b.figures.median / a.figures.median
            yield f"{ratio(max(times, 1 / times))} {words[times < 1]} ({figures})"
    a, b = _rival(ours, score, context), _rival(theirs, score, context)
    if a and b:
        clearly = ", not clearly different" if _overlap(a.figures, b.figures) else ""
        values = " to ".join(quantity(one.figures.median, METRICS[score].unit) for one in (a, b))
        yield f"{SHORT[score]} {values}{clearly}"


def _rival(subject: Subject, metric: str, context: Context) -> Rival | None:
    found = context.findings.summary(subject, metric)
    if not found or not found.statistics or not found.usable:
        return None
    return Rival(f"{subject.variant} {subject.model}", subject, found.statistics)


def winners(subjects: Sequence[Subject], metric: str, context: Context) -> list[Rival]:
    """The best, then those whose interval overlaps its own; nobody where fewer than two have a usable figure."""
    rivals = [rival for s in subjects if (rival := _rival(s, metric, context))]
    if len(rivals) < 2:
        return []
    higher = METRICS[metric].better == "higher"
    rivals.sort(key=lambda one: one.figures.median, reverse=higher)
    best = rivals[0]
    return [best, *(rival for rival in rivals[1:] if _overlap(best.figures, rival.figures))]


def _overlap(a: Statistics, b: Statistics) -> bool:
    (a_low, a_high), (b_low, b_high) = (
        (s.interval.low, s.interval.high) if s.interval else (s.median, s.median) for s in (a, b)
    )
    return a_low <= b_high and b_low <= a_high
