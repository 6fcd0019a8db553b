"""The answer of a run in a few sentences, every figure of them taken from the findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from bench.findings import Comparison, Findings, Interval, Subject
from bench.records import Measurement
from bench.report.labels import Labels, interval
from bench.units import quantity, ratio

WORTH_SAYING = 1.1
"""A smaller difference in memory is left to the tables."""


class Answer(NamedTuple):
    """`sentences` go first and large: one a network and place, one on fidelity; `details` follow."""

    sentences: tuple[str, ...]
    details: tuple[str, ...] = ()


def answer(findings: Findings, labels: Labels, measurements: Sequence[Measurement]) -> Answer:
    """The sentences for a run, also for one where nothing was measured."""
    if not any(s.statistics for s in findings.summaries if s.metric != "deployed"):
        failures = [m.reason for m in measurements if m.status == "failed"]
        if failures:
            return Answer((f"Nothing was measured: {len(failures)} trials failed, the first with “{failures[0]}”.",))
        return Answer(("Nothing was measured.",))
    sentences: list[str] = []
    details: list[str] = []
    for model in dict.fromkeys(s.model for s in findings.subjects):
        for place in _places(model, findings, labels):
            scored = sorted(
                (_variant(subject, findings, labels) for subject in place), key=lambda pair: pair[0], reverse=True
            )
            texts = [text for _, text in scored if text]
            sentences += texts[:1]
            details += texts[1:]
    same = _same_networks(findings, labels)
    sentences += [same] if same else []
    return Answer(tuple(sentences), tuple(details))


def _places(model: str, findings: Findings, labels: Labels) -> list[list[Subject]]:
    """The subjects of a model, those of one place and setting together: phones, or the desktop when there is none.

    Of several settings only the first is told in words; the tables have them all.
    """
    mine = [s for s in findings.subjects if s.model == model]
    shown = [s for s in mine if labels.is_phone(s.device)]
    shown = shown or [s for s in mine if s.runtime == "native"] or mine
    first = {s.device: (s.runtime, s.threads, s.precision) for s in reversed(shown)}
    return [
        [s for s in shown if s.device == device and (s.runtime, s.threads, s.precision) == setting]
        for device, setting in reversed(first.items())
    ]


def _variant(subject: Subject, findings: Findings, labels: Labels) -> tuple[float, str]:
    """How much faster a variant is than the baseline, and its sentence; an empty one for the baseline beside others."""
    name, where = f"{subject.variant} {labels.model(subject.model)}", labels.where(subject)
    latency = findings.summary(subject, "latency")
    if latency and latency.statistics is None:
        return 0.0, f"{name} could not be timed on {where}: {latency.caveats[0].text}."
    against = {
        c.metric: c
        for c in findings.comparisons
        if c.kind == "variant" and (c.right == subject or (c.metric == "deployed" and _same_place(c.right, subject)))
    }
    score, parts = 0.0, []
    speed, memory, size = against.get("latency"), against.get("vm_hwm"), against.get("deployed")
    if speed and speed.ratio:
        score, words = _speed(speed, speed.ratio)
        parts.append(words)
    if memory and memory.ratio and memory.called and not 1 / WORTH_SAYING < memory.ratio < WORTH_SAYING:
        parts.append(f"peaks at {_times(memory.ratio)} {'less' if memory.ratio > 1 else 'more'} memory")
    if size and size.ratio and size.called:
        parts.append(f"needs {_times(size.ratio)} {'fewer' if size.ratio > 1 else 'more'} bytes")
    if parts:
        return score, f"{name} {_listed(parts)} on {where}{_price(subject, findings, labels)}."
    compared = any(c.kind == "variant" and c.left == subject for c in findings.comparisons)
    if compared or latency is None or latency.statistics is None or latency.translated:
        return 0.0, ""
    median = quantity(latency.statistics.median, latency.unit)
    return 0.0, f"{name} takes {median} on {where}; nothing to compare it with."


def _price(subject: Subject, findings: Findings, labels: Labels) -> str:
    """What the variant costs in accuracy, as far as it was measured."""
    ours = findings.summary(subject, "accuracy")
    theirs = findings.summary(replace(subject, variant="baseline"), "accuracy")
    if not (ours and ours.statistics):
        return ""
    name, mine = labels.accuracy(subject.model), quantity(ours.statistics.median, "fraction")
    if not (theirs and theirs.statistics):
        return f", at {mine} {name}"
    before = quantity(theirs.statistics.median, "fraction")
    return f", at the same {name} ({mine})" if mine == before else f", at {mine} {name} instead of {before}"


def _same_place(a: Subject, b: Subject) -> bool:
    return (a.model, a.variant, a.device, a.runtime) == (b.model, b.variant, b.device, b.runtime)


def _speed(speed: Comparison, times: float) -> tuple[float, str]:
    """A score to rank variants by, and the words for it. `times` is the ratio of the comparison."""
    match speed.outcome:
        case "translated":
            return 0.0, "has no meaningful time (its machine code is translated)"
        case "not-shown":
            return 1.0, "is neither faster nor slower than baseline as far as this run can tell"
        case "differs" if speed.interval:
            low, high, method = speed.interval.low, speed.interval.high, speed.interval.method
            shown = speed.interval if times > 1 else Interval(1 / high, 1 / low, method)
            words = f"is {_times(times)} {'faster' if times > 1 else 'slower'} than baseline"
            return times, f"{words} [{interval(shown, 'ratio')}]"
        case _:
            return 0.0, "has no latency fit to be compared"


def _times(value: float) -> str:
    return ratio(value if value > 1 else 1 / value)


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _same_networks(findings: Findings, labels: Labels) -> str:
    """Whether phones compute what the desktop computes."""
    phones = [s for s in findings.subjects if labels.is_phone(s.device)]
    compared = [c for c in findings.comparisons if c.metric == "accuracy" and c.kind == "device"]
    for c in compared:
        if c.called:
            where = labels.where(c.right)
            return (
                f"{c.right.variant} {c.right.model} has another accuracy on {where} than on the desktop: {c.verdict}."
            )
    agreements = [s for s in (findings.summary(p, "agreement") for p in phones) if s and s.statistics]
    if not agreements:
        return ""
    worst = min(s.statistics.median for s in agreements if s.statistics)
    places = " and ".join(dict.fromkeys(labels.place(s.subject) for s in agreements))
    cases = f"{quantity(worst, 'fraction')} of cases{'' if worst == 1 else ' or more'}"
    text = f"On {places} every measured variant gives the desktop reference's answer in {cases}"
    if any(c.outcome == "equal" for c in compared):
        text += ", and every measured accuracy equals the desktop's to the last digit printed"
    return f"{text}."
