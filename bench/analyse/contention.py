"""What others at work beside it do to a network: the same subject alone and contended, each in launches of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from bench.analyse.noise import Place, floor
from bench.analyse.statistics import ratio
from bench.endurance import Contention, Turn
from bench.findings import Comparison, Noise, Statistics, Summary
from bench.plan import Protocol, of_run
from bench.records import RunRecord

METRIC = "contended"


def contention(summaries: Sequence[Summary], run: RunRecord, noises: Mapping[Place, Noise]) -> tuple[Contention, ...]:
    """The ratio contended ÷ alone of each subject that has both. The launches of the two are not paired: they ran in
    passes of their own. Raises CorruptData for a plan that is not understood."""
    plan = of_run(run)
    latency = {s.subject: s for s in summaries if s.metric == "latency"}
    return tuple(
        _of_subject(alone, s, plan.protocol_for(s.subject.model), noises)
        for s in summaries
        if s.metric == METRIC and s.statistics and (alone := latency.get(s.subject)) and alone.statistics
    )


def _of_subject(alone: Summary, beside: Summary, protocol: Protocol, noises: Mapping[Place, Noise]) -> Contention:
    a, b = alone.statistics, beside.statistics
    assert a is not None
    assert b is not None
    value, interval, _ = ratio(_medians(b), _medians(a), same_machine=False)
    counts = len(a.launches), len(b.launches)
    places = (Place(s.subject.device, s.subject.runtime, s.metric) for s in (alone, beside))
    noise = max(floor(noises.get(place), *counts, between_runs=False).value for place in places)
    doubts = next((s.verdict for s in (alone, beside) if not s.usable), "")
    beyond = max(value, 1 / value) > 1 + noise
    return Contention(
        subject=beside.subject, alone=a.median, contended=b.median, ratio=value,
        bounds=(interval.low, interval.high) if interval else None, launches=counts, copies=protocol.beside,
        load=protocol.load, called=not doubts and interval is not None and interval.excludes(1) and beyond,
        virtual=beside.virtual, translated=beside.translated, doubts=doubts,
    )  # fmt: skip


def _medians(found: Statistics) -> dict[int, float]:
    return {launch.launch: launch.median for launch in found.launches}


def overtaken(found: Sequence[Contention], comparisons: Sequence[Comparison]) -> Iterator[Turn]:
    """The pairs of variants that change places when others work beside them: the first is faster alone, the second
    contended. A turn is called where a comparison with the ordinary network calls both orders."""
    said = {(c.metric, c.left, c.right) for c in comparisons if c.kind == "variant" and c.called}
    said |= {(metric, right, left) for metric, left, right in said}
    for one, two in combinations(found, 2):
        a, b = one.subject, two.subject
        if b.model_copy(update={"variant": a.variant}) != a or one.translated:
            continue
        early, late = (one, two) if one.alone < two.alone else (two, one)
        if early.alone < late.alone and late.contended < early.contended:
            called = all((metric, early.subject, late.subject) in said for metric in ("latency", METRIC))
            gain, loss = late.alone / early.alone, early.contended / late.contended
            yield Turn(early.subject, late.subject, gain, loss, called)
