"""Comparisons: the ordinary network with every other variant, the desktop with the phone, the reference with others."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from bench.analyse.noise import Place, called_beyond
from bench.analyse.scores import SCORES, paired
from bench.analyse.statistics import ratio
from bench.findings import Comparison, Noise, Summary
from bench.records import METRICS, ONE_LAUNCH, SIZES, Answers, RunRecord, Subject
from bench.units import percent, quantity

Kind = Literal["variant", "device", "runtime"]
LEVEL = 0.05
"""A paired test calls a difference below this p."""


def compare(
    summaries: Sequence[Summary],
    run: RunRecord,
    answers: Mapping[Subject, Answers],
    noises: Mapping[Place, Noise] | None = None,
) -> tuple[Comparison, ...]:
    """All comparisons that the summaries allow, per metric and in their order.

    * `variant`: the ordinary network ÷ each other variant, same device, runtime and setting;
    * `device`: a runtime on the desktop against the same on each phone, same variant and setting;
    * `runtime`: the reference runtime against another on the desktop, same variant and setting. For accuracy the
      reference's row of any setting serves: it computes in fp32, and its answers do not depend on threads. And the
      first of several runtimes that the plan names ÷ each other of them, on the same device.

    A ratio is *called* when its interval excludes 1, it is beyond the noise floor of its places and of these launches,
    and both sides are usable; sizes in bytes are exact. Scores of variants are compared by a paired test over the
    samples that both answered.
    """
    relations = _Relations.of(run)
    found: dict[tuple[Kind, str, Subject, Subject | None], Comparison] = {}
    for right in summaries:
        for left in summaries:
            kind = relations.kind(left, right)
            if kind is None:
                continue
            if right.metric in SCORES and METRICS[right.metric].better != "equal":
                if kind != "variant":  # one answer is enough, whatever the setting of the left side
                    found.setdefault((kind, right.metric, right.subject, None), _same(kind, left, right, summaries))
                else:
                    found[kind, right.metric, right.subject, left.subject] = _paired(left, right, answers)
            elif METRICS[right.metric].unit in ("ns", "B", "J") and right.metric not in ONE_LAUNCH:
                found[kind, right.metric, right.subject, left.subject] = _ratio(kind, left, right, noises or {})
    return tuple(found.values())


@dataclass(frozen=True)
class _Relations:
    """The roles in a run: the ordinary variants, the desktop, the reference runtime, the first of several others."""

    ordinary: frozenset[tuple[str, str]]
    desktop: str
    reference: str
    first: str

    @classmethod
    def of(cls, run: RunRecord) -> _Relations:
        ordinary = frozenset((a.model, a.variant) for a in run.artifacts if a.ordinary)
        desktop = next((d.serial for d in run.devices if d.kind == "desktop"), "")
        named = run.plan.get("runtime", "")
        return cls(ordinary, desktop, run.reference, named[0] if isinstance(named, list | tuple) and named else "")

    def kind(self, left: Summary, right: Summary) -> Kind | None:
        a, b = left.subject, right.subject
        if left.metric != right.metric or a.model != b.model or a == b:
            return None
        setting = (a.threads, a.precision) == (b.threads, b.precision)
        if a.variant != b.variant:
            same_place = (a.device, a.runtime) == (b.device, b.runtime) and setting
            return "variant" if same_place and (a.model, a.variant) in self.ordinary else None
        if a.device == self.desktop != b.device:
            same_runner = a.runtime == b.runtime != self.reference and setting
            return "device" if same_runner and left.metric not in (*SIZES, "contended") else None
        if a.device == b.device == self.desktop and a.runtime == self.reference != b.runtime:
            return "runtime" if setting or METRICS[left.metric].pass_ == "accuracy" else None
        if a.device == b.device and a.runtime == self.first and b.runtime not in (self.first, self.reference):
            return "runtime" if setting and METRICS[left.metric].pass_ != "accuracy" else None
        return None


def _ratio(kind: Kind, left: Summary, right: Summary, noises: Mapping[Place, Noise]) -> Comparison:
    a, b = left.statistics, right.statistics
    between = partial(Comparison, kind, right.metric, left.subject, right.subject)
    if a is None or b is None:
        return between(None, None, "failed", (left if a is None else right).verdict)
    if b.median == 0:
        return between(None, None, "failed", "nothing to divide by: the right side is 0")
    if METRICS[right.metric].pass_ == "size":
        return between(a.median / b.median, None, "equal" if a.median == b.median else "differs", "exact")
    same_machine = left.subject.device == right.subject.device
    value, interval, _ = ratio(a.figures, b.figures, same_machine=same_machine)
    places = {Place(s.subject.device, s.subject.runtime, s.metric) for s in (left, right)}
    beyond = called_beyond(noises, places, a.figures, b.figures)
    between = partial(between, floor=beyond)
    unusable = [s.verdict for s in (left, right) if not s.usable]
    if unusable:
        translated = left.translated or right.translated
        return between(value, interval, "translated" if translated else "unusable", unusable[0])
    if interval is None:
        return between(value, interval, "no-interval", "too few launches for an interval")
    if abs(math.log(value)) <= math.log1p(beyond.value):
        return between(
            value, interval, "not-shown", f"within the noise floor of {percent(beyond.value)}: {beyond.words}"
        )
    if interval.excludes(1):
        return between(value, interval, "differs", "the interval excludes 1")
    return between(value, interval, "not-shown", "no difference shown: the interval includes 1")


def called(one: Summary, other: Summary, noises: Mapping[Place, Noise]) -> bool:
    """Whether a comparison of two variants' costs calls a difference."""
    return _ratio("variant", one, other, noises).called


def _paired(left: Summary, right: Summary, answers: Mapping[Subject, Answers]) -> Comparison:
    """Two variants' scores on the same samples; where these are not stored, only whether they read the same."""
    ours, theirs = answers.get(left.subject), answers.get(right.subject)
    if left.statistics is None or right.statistics is None or ours is None or theirs is None:
        return _same("variant", left, right, ())
    test = paired(SCORES[right.metric], ours, theirs)
    between = partial(
        Comparison, "variant", right.metric, left.subject, right.subject, None, test.interval,
        difference=test.difference, p_value=test.p_value,
    )  # fmt: skip
    values = " against ".join(quantity(s.statistics.median, s.unit) for s in (right, left) if s.statistics)
    words = f"{values}, p = {test.p_value:.2g} ({test.method})" if test.p_value is not None else values
    unusable = [s.verdict for s in (left, right) if not s.usable]
    if unusable:
        return between("unusable", unusable[0])
    if test.difference == 0:
        return between("equal", f"equal: {quantity(right.statistics.median, right.unit)}")
    if test.p_value is None:
        return between("no-interval", f"{values}: too few samples to tell")
    return between("differs" if test.p_value < LEVEL else "not-shown", words)


def _same(kind: Kind, left: Summary, right: Summary, summaries: Sequence[Summary]) -> Comparison:
    """Whether two scores are the same to the last digit printed, or the reason why not."""
    a, b = left.statistics, right.statistics
    between = partial(Comparison, kind, right.metric, left.subject, right.subject, None, None)
    if a is None or b is None:
        return between("failed", (left if a is None else right).verdict)
    if quantity(a.median, left.unit) == quantity(b.median, right.unit):
        return between("equal", f"equal to the last digit: {quantity(b.median, right.unit)}")
    why = ", ".join(_why(left, right, summaries))
    words = f"{quantity(a.median, left.unit)} against {quantity(b.median, right.unit)}"
    return between("differs", f"{words}: {why}" if why else words)


def _why(left: Summary, right: Summary, summaries: Sequence[Summary]) -> Iterator[str]:
    if left.subject.precision != right.subject.precision:
        yield f"{right.subject.precision} against {left.subject.precision}"
    for metric, words in (("agreement", "agreement with the reference"), ("max_abs_delta", "max |Δ|")):
        for s in summaries:
            if s.subject == right.subject and s.metric == metric and s.statistics:
                yield f"{words} {quantity(s.statistics.median, s.unit)}"
    if any(c.kind == "answers-vary" for c in (*left.caveats, *right.caveats)):
        yield "launches gave different answers"
