"""Comparisons: the baseline with every other variant, the desktop with the phone, torch with the native runner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Literal

from bench.analyse.statistics import ratio
from bench.findings import Comparison, Subject, Summary
from bench.records import METRICS
from bench.units import percent, quantity

BASELINE = "baseline"
DESKTOP = "desktop"
Kind = Literal["variant", "device", "runtime"]


def compare(summaries: Sequence[Summary]) -> tuple[Comparison, ...]:
    """All comparisons that the summaries allow, per metric and in their order.

    * `variant`: baseline ÷ each other variant, same device, runtime and setting;
    * `device`: the native runner on the desktop against each phone, same variant and setting;
    * `runtime`: torch against the native runner on the desktop, same variant and setting. For accuracy the torch
      row of any setting serves: torch computes in fp32, and its answers do not depend on threads.

    A ratio is *called* when its interval excludes 1 and both sides are usable; sizes in bytes are exact.
    """
    found: dict[tuple[Kind, str, Subject, Subject | None], Comparison] = {}
    for right in summaries:
        for left in summaries:
            kind = _kind(left, right)
            if kind is None:
                continue
            if right.metric == "accuracy":
                if kind != "variant":  # one answer is enough, whatever the setting of the left side
                    found.setdefault((kind, right.metric, right.subject, None), _accuracy(kind, left, right, summaries))
            elif METRICS[right.metric].unit in ("ns", "B"):
                found[kind, right.metric, right.subject, left.subject] = _ratio(kind, left, right)
    return tuple(found.values())


def _kind(left: Summary, right: Summary) -> Kind | None:
    a, b = left.subject, right.subject
    if left.metric != right.metric or a.model != b.model or a == b:
        return None
    setting = (a.threads, a.precision) == (b.threads, b.precision)
    if a.variant != b.variant:
        same_place = (a.device, a.runtime) == (b.device, b.runtime) and setting
        return "variant" if same_place and a.variant == BASELINE else None
    if a.device == DESKTOP != b.device:
        same_runner = a.runtime == b.runtime == "native" and setting
        return "device" if same_runner and left.metric != "deployed" else None
    if a.device == b.device == DESKTOP and (a.runtime, b.runtime) == ("torch", "native"):
        return "runtime" if setting or left.metric == "accuracy" else None
    return None


def _ratio(kind: Kind, left: Summary, right: Summary) -> Comparison:
    a, b = left.statistics, right.statistics
    between = partial(Comparison, kind, right.metric, left.subject, right.subject)
    if a is None or b is None:
        return between(None, None, "failed", (left if a is None else right).verdict)
    if b.median == 0:
        return between(None, None, "failed", "nothing to divide by: the right side is 0")
    if METRICS[right.metric].pass_ == "size":
        return between(a.median / b.median, None, "equal" if a.median == b.median else "differs", "exact")
    same_machine = left.subject.device == right.subject.device
    value, interval, _ = ratio(_medians(left), _medians(right), same_machine=same_machine)
    unusable = [s.verdict for s in (left, right) if not s.usable]
    if unusable:
        translated = left.translated or right.translated
        return between(value, interval, "translated" if translated else "unusable", unusable[0])
    if interval is None:
        return between(value, interval, "no-interval", "too few launches for an interval")
    if interval.excludes(1):
        return between(value, interval, "differs", "the interval excludes 1")
    return between(value, interval, "not-shown", "no difference shown: the interval holds 1")


def _medians(summary: Summary) -> Mapping[int, float]:
    launches = summary.statistics.launches if summary.statistics else ()
    return {launch.launch: launch.median for launch in launches}


def _accuracy(kind: Kind, left: Summary, right: Summary, summaries: Sequence[Summary]) -> Comparison:
    """Whether two accuracies are the same to the last digit printed, or the reason why not."""
    a, b = left.statistics, right.statistics
    between = partial(Comparison, kind, right.metric, left.subject, right.subject, None, None)
    if a is None or b is None:
        return between("failed", (left if a is None else right).verdict)
    if percent(a.median) == percent(b.median):
        return between("equal", f"equal to the last digit: {percent(b.median)}")
    why = ", ".join(_why(left, right, summaries))
    return between("differs", f"{percent(a.median)} against {percent(b.median)}: {why}")


def _why(left: Summary, right: Summary, summaries: Sequence[Summary]) -> Iterator[str]:
    if left.subject.precision != right.subject.precision:
        yield f"{right.subject.precision} against {left.subject.precision}"
    for metric, words in (("agreement", "agreement with the reference"), ("max_abs_delta", "max |Δ|")):
        for s in summaries:
            if s.subject == right.subject and s.metric == metric and s.statistics:
                yield f"{words} {quantity(s.statistics.median, s.unit)}"
    if any(c.kind == "answers-vary" for c in (*left.caveats, *right.caveats)):
        yield "launches gave different answers"
