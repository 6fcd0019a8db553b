"""Who wins among networks that do the same job: same task, same labelled samples, same place.

A practitioner chooses not only between a network and its compressed self: a smaller ordinary network is a rival too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bench.findings import Statistics
from bench.records import METRICS, Subject
from bench.report.labels import SHORT, listed
from bench.report.section import Context
from bench.units import quantity

RANKED = {
    "latency": "is the fastest ({})",
    "vm_hwm": "takes the least memory ({})",
    "deployed": "needs the fewest bytes ({})",
}


class _Rival(NamedTuple):
    name: str
    figures: Statistics


def sentences(context: Context) -> Iterator[str]:
    """One for each place where several networks did the same job; none where a network has no rival."""
    for models in _same_job(context):
        subjects = [s for s in context.findings.subjects if s.model in models]
        phones = [s for s in subjects if context.labels.is_phone(s.device)]
        shown = phones or [s for s in subjects if not context.labels.is_reference(s)]
        for where in dict.fromkeys(context.labels.where(s) for s in shown):
            here = [s for s in shown if context.labels.where(s) == where]
            if len({s.model for s in here}) > 1 and (text := _sentence(here, where, context)):
                yield text


def _same_job(context: Context) -> Iterator[set[str]]:
    """Networks of one task that were shown the same labelled samples, two or more."""
    jobs: dict[tuple[str, str, int], set[str]] = {}
    for model in context.models:
        samples = context.run.samples.get(model)
        if samples and samples.labelled:
            jobs.setdefault((context.labels.task(model), samples.source, samples.count), set()).add(model)
    yield from (models for models in jobs.values() if len(models) > 1)


def has_rivals(model: str, context: Context) -> bool:
    return any(model in models for models in _same_job(context))


def _sentence(subjects: Sequence[Subject], where: str, context: Context) -> str:
    score = context.labels.score(subjects[0].model)
    ranked = RANKED | ({score: f"has the best {SHORT[score]} ({{}})"} if score else {})
    wins: dict[str, list[str]] = {}
    for metric, words in ranked.items():
        if winners := _winners(subjects, metric, context):
            best, *others = winners
            figure = quantity(best.figures.median, METRICS[metric].unit)
            near = " and ".join(o.name for o in others) if len(others) < 3 else f"{len(others)} others"
            figure += f", not clearly ahead of {near}" if others else ""
            wins.setdefault(best.name, []).append(words.format(figure))
    names = " and ".join(dict.fromkeys(s.model for s in subjects))
    parts = "; ".join(f"{name} {listed(words)}" for name, words in wins.items())
    return f"Of {names} on {where}, {parts}." if parts else ""


def _winners(subjects: Sequence[Subject], metric: str, context: Context) -> list[_Rival]:
    """The best, then those whose interval overlaps its own; nobody where fewer than two have a usable figure."""
    rivals = [
        _Rival(f"{s.variant} {s.model}", found.statistics)
        for s in subjects
        if (found := context.findings.summary(s, metric)) and found.statistics and found.usable
    ]
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
