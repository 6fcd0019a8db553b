"""The answer of a run in a few sentences, every figure of them taken from the findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bench.findings import Comparison, Interval
from bench.records import SIZES, Subject
from bench.report import ranking
from bench.report.highlights import against, highlight
from bench.report.labels import SHORT, difference, interval, listed
from bench.report.section import Context, Highlight, Section
from bench.units import quantity, ratio

TITLE = "In short"
WORTH_SAYING = 1.1
"""A smaller difference in memory is left to the tables."""


class _Said(NamedTuple):
    """How much faster a variant is than the ordinary network, its sentence, and which it is."""

    score: float
    text: str
    subject: Subject


def section(context: Context) -> Section | None:
    """Large: each network's best variant in each place, networks of one task against each other, fidelity. Small: the
    other variants."""
    findings = context.findings
    if context.learnt_alone:
        return None
    if not any(s.statistics for s in findings.summaries if s.metric not in SIZES):
        failures = [m.reason for m in context.measurements if m.status == "failed"]
        why = f": {len(failures)} trials failed, the first with “{failures[0]}”" if failures else ""
        return Section("answer", TITLE, sentences=(f"Nothing was measured{why}.",))
    sentences = list(ranking.sentences(context))
    details: list[str] = []
    highlights: list[Highlight] = []
    for model in context.models:
        for place in _places(model, context):
            said = sorted(_variants(place, context), key=lambda one: one.score, reverse=True)
            sentences += [one.text for one in said[:1]]
            highlights += [highlight(one.subject, one.text, context) for one in said[:1]]
            details += [one.text for one in said[1:]]
    sentences += ranking.of_runtimes(context)
    if same := _same_networks(context):
        sentences.append(same)
    return Section("answer", TITLE, sentences=tuple(sentences), details=tuple(details), highlights=tuple(highlights))


def _places(model: str, context: Context) -> list[list[Subject]]:
    """The subjects of a network, those of one place and setting together: phones, or the desktop when there is none.

    Of several settings only the first is put into words; the tables have them all.
    """
    labels = context.labels
    mine = [s for s in context.findings.subjects if s.model == model]
    shown = [s for s in mine if labels.is_phone(s.device)]
    shown = shown or [s for s in mine if not labels.is_reference(s)] or mine
    first = {s.device: (s.runtime, s.threads, s.precision) for s in reversed(shown)}
    return [
        [s for s in shown if s.device == device and (s.runtime, s.threads, s.precision) == setting]
        for device, setting in reversed(first.items())
    ]


def _variants(place: Sequence[Subject], context: Context) -> Iterator[_Said]:
    for subject in place:
        said = _variant(subject, context)
        if said.text:
            yield said


def _variant(subject: Subject, context: Context) -> _Said:
    """The sentence of a variant; an empty one for the ordinary network beside others."""
    findings, labels = context.findings, context.labels
    name, where = f"{subject.variant} {labels.model(subject.model)}", labels.where(subject)
    latency = findings.summary(subject, "latency")
    if latency and latency.statistics is None:
        return _Said(0.0, f"{name} could not be timed on {where}: {latency.caveats[0].text}.", subject)
    found = against(subject, context)
    score, parts = 0.0, []
    speed, memory, size = found.get("latency"), found.get("vm_hwm"), found.get("deployed")
    if speed and speed.ratio:
        score, words = _speed(speed, speed.ratio)
        parts.append(words)
    if memory and memory.ratio and memory.called and not 1 / WORTH_SAYING < memory.ratio < WORTH_SAYING:
        parts.append(f"peaks at {_times(memory.ratio)} {'less' if memory.ratio > 1 else 'more'} memory")
    if size and size.ratio and size.called:
        parts.append(f"needs {_times(size.ratio)} {'fewer' if size.ratio > 1 else 'more'} bytes")
    if parts:
        price = _price(subject, found.get(labels.score(subject.model) or ""), context)
        return _Said(score, f"{name} {listed(parts)} on {where}{price}.", subject)
    compared = any(c.kind == "variant" and c.left == subject for c in findings.comparisons)
    compared |= ranking.has_rivals(subject.model, context)
    compared |= any(c.kind == "runtime" and subject in (c.left, c.right) for c in findings.comparisons)
    if compared or latency is None or latency.statistics is None or latency.translated:
        return _Said(0.0, "", subject)
    if not latency.usable:
        return _Said(0.0, f"{name} has no time fit to be used on {where}: {latency.verdict}.", subject)
    median = quantity(latency.statistics.median, latency.unit)
    return _Said(0.0, f"{name} takes {median} on {where}; nothing to compare it with.", subject)


def _price(subject: Subject, compared: Comparison | None, context: Context) -> str:
    """What the variant costs in accuracy, as far as it was measured."""
    score = context.labels.score(subject.model)
    ours = context.findings.summary(subject, score) if score else None
    if not (score and ours and ours.statistics):
        return ""
    theirs = context.findings.summary(compared.left, score) if compared else None
    name, mine = SHORT[score], quantity(ours.statistics.median, ours.unit)
    if not (compared and theirs and theirs.statistics):
        return f", at {mine} {name}"
    before = quantity(theirs.statistics.median, theirs.unit)
    if mine == before:
        return f", at the same {name} ({mine})"
    by = difference(compared)
    doubt = ", not shown to differ" if compared.outcome == "not-shown" else ""
    return f", at {mine} {name} instead of {before}{f' ({by.text}{doubt})' if by else ''}"


def _speed(speed: Comparison, times: float) -> tuple[float, str]:
    """A score to rank variants by, and the words for it. `times` is the ratio of the comparison."""
    ordinary = speed.left.variant
    match speed.outcome:
        case "translated":
            return 0.0, "has no meaningful time (its machine code is translated)"
        case "not-shown":
            return 1.0, f"is neither faster nor slower than {ordinary} as far as this run can tell"
        case "differs" if speed.interval:
            low, high, method = speed.interval.low, speed.interval.high, speed.interval.method
            shown = speed.interval if times > 1 else Interval(1 / high, 1 / low, method)
            words = f"is {_times(times)} {'faster' if times > 1 else 'slower'} than {ordinary}"
            return times, f"{words} [{interval(shown, 'ratio')}]"
        case _:
            return 0.0, "has no latency fit to be compared"


def _times(value: float) -> str:
    return ratio(value if value > 1 else 1 / value)


def _same_networks(context: Context) -> str:
    """Whether phones compute what the desktop computes."""
    findings, labels = context.findings, context.labels
    phones = [s for s in findings.subjects if labels.is_phone(s.device)]
    agreements = [s for s in (findings.summary(p, "agreement") for p in phones) if s]
    for s in agreements:
        if s.statistics is None:
            what, where = f"{s.subject.variant} {s.subject.model}", labels.where(s.subject)
            return f"{what} has no valid answers on {where}, so its speed there does not count: {s.caveats[0].text}."
    compared = [c for c in findings.comparisons if c.kind == "device" and c.metric == labels.score(c.right.model)]
    for c in compared:
        if c.called:
            what, where = f"{c.right.variant} {c.right.model}", labels.where(c.right)
            return f"{what} has another {SHORT[c.metric]} on {where} than on the desktop: {c.verdict}."
    if not agreements:
        return ""
    worst = min(s.statistics.median for s in agreements if s.statistics)
    places = listed(list(dict.fromkeys(labels.place(s.subject) for s in agreements)))
    share = quantity(worst, "fraction")
    whole = quantity(1, "fraction")
    cases = "all but a few of all cases" if share == whole and worst < 1 else f"{share} of cases"
    cases += "" if share == whole else " or more"
    least = min(s.statistics.samples for s in agreements if s.statistics)
    cases += f" (n = {least:,})" if least > 1 else ""  # runs of schema 1 have one figure of all samples
    text = f"On {places} every measured variant gives the desktop reference's answer in {cases}"
    if compared and all(c.outcome == "equal" for c in compared):
        text += ", and every score equals the desktop's to the last digit printed"
    return f"{text}."
