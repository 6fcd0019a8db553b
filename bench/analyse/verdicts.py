"""Verdicts: whether the right side of a comparison is faster, slower or the same, or that nobody can tell.

The interval of a ratio comes from the launches (`statistics.ratio`) and is never taken to be narrower than the noise
floor of the place, however alike a few launches happen to be. Of these bounds:

* all within the margin: the same, by an equivalence test (D. J. Schuirmann, J. Pharmacokin. Biopharm. 15 (1987)
  657–680, with intervals of 95 % where 90 % would do);
* else 1 is outside: better or worse, by what `METRICS` says is better of that figure;
* else nobody can tell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from bench.analyse.noise import NOISY_PASSES, Place, called_beyond, floor
from bench.analyse.scores import SCORES, paired
from bench.analyse.series import CONDITIONS, Series
from bench.analyse.statistics import MIN_LAUNCHES, ratio
from bench.errors import CorruptData
from bench.findings import Floor, Interval, Noise, Outcome, Verdict
from bench.records import METRICS, Answers, Subject
from bench.units import percent, quantity

MARGIN = 0.03
"""A smaller relative difference of times and bytes counts as the same unless another margin is asked for."""
SCORE_MARGIN = {"fraction": 0.01, "dB": 0.5}
"""The same for scores, by unit: a point, half a decibel."""
TEST_LEVEL = 0.05
ONCE = frozenset({"load", "decode", "first_inference"})
"""What happens once in a launch, with nothing to take a median of: launches of one subject may differ by factors where
another's do not, so that the noise of the place does not vouch for them."""
WORDS: dict[str, dict[Outcome, str]] = {
    "ns": {"better": "faster", "worse": "slower"},
    "B": {"better": "smaller", "worse": "larger"},
    "J": {"better": "less", "worse": "more"},
    "px": {"better": "larger", "worse": "smaller"},
}
"""Of outcomes, where better and worse have a plainer name."""
RESOLUTION = Floor(1.03**2 - 1, True, "the memory test ends when the side that was too much is 3 % larger")
"""Of the largest picture, in pixels."""
_TIMED = frozenset({"cores", "protocol"})
_FORBIDDING = {
    "accuracy": ("samples",),
    "latency": ("cores",),
    "contended": ("cores", "protocol"),
    "energy": ("cores",),
}
"""Conditions that must be equal, by pass; a difference of the others is a tag."""
_QUIET = {"accuracy": _TIMED | {"os", "program", "device_name"}, "size": _TIMED | {"os", "program", "samples"}}
"""Conditions that say nothing about figures of that pass."""

AnswersOf = Callable[[Series], Mapping[Subject, Answers]]
"""The stored answers of a series' run, by subject; empty where they are gone."""


def pairs(
    left: Sequence[Series], right: Sequence[Series], *, any_variant: bool
) -> Iterator[tuple[Series, Series | None]]:
    """The series of both sides that measured the same thing in the same place, in the order of the right side; then
    those that the right side lacks.

    `any_variant` matches whatever variants the sides have. Where the sides share no device, each having one phone or
    one desktop, these are matched.
    """

    def key(one: Series, *, place: bool) -> tuple[object, ...]:
        s = one.subject
        where = s.device if place else s.device == "desktop"
        return (one.metric, s.model, None if any_variant else s.variant, where, s.runtime, s.threads, s.precision)

    devices = [{s.subject.device for s in side if s.subject.device != "desktop"} for side in (left, right)]
    same_place = bool(devices[0] & devices[1]) or any(len(names) > 1 for names in devices) or not all(devices)
    of = partial(key, place=same_place)
    known: dict[tuple[object, ...], list[Series]] = {}
    for one in left:
        known.setdefault(of(one), []).append(one)
    for two in right:
        for one in known.get(of(two), ()):
            if one is not two:
                yield one, two
    there = {of(two) for two in right}
    yield from ((one, None) for one in left if of(one) not in there)


def gone(left: Series) -> Verdict:
    """The verdict on what was measured before and is missing after: a network that crashes is not as good as before."""
    return Verdict(
        left.metric, left.subject, left.subject, (left.median, None), (len(left.launches), 0), "cannot tell",
        "cannot tell", "measured before only: it failed after, or was not asked for", 0.0,
        counts=METRICS[left.metric].pass_ != "largest",
    )  # fmt: skip


def verdict(
    left: Series, right: Series, noises: Mapping[Place, Noise], answers: AnswersOf, margin: float = MARGIN
) -> Verdict:
    """What changed from `left` to `right`; see this module. `margin` is relative, and for costs alone."""
    kind = METRICS[right.metric]
    between = Verdict(
        right.metric, left.subject, right.subject, (left.median, right.median),
        (len(left.launches), len(right.launches)), "cannot tell", "cannot tell", "",
        SCORE_MARGIN.get(kind.unit, 0.0) if kind.pass_ == "accuracy" else margin, tags=tuple(_tags(left, right)),
    )  # fmt: skip
    if refusal := _refusal(left, right):
        return replace(between, reason=refusal)
    if kind.pass_ == "accuracy":
        return _score(between, left, right, answers)
    if kind.pass_ == "size":
        return _cost(between, left, right, Floor(0.0, True, "exact"), exact=True)
    if kind.pass_ == "largest":
        return _cost(between, left, right, RESOLUTION, exact=True)
    one_run = left.runs == right.runs and len(left.runs) == 1
    places = [Place(s.subject.device, s.subject.runtime, s.metric) for s in (left, right)]
    if right.metric in ONCE:
        beyond = called_beyond(noises, places, left.launches, right.launches, between_runs=not one_run)
    else:
        floors = [floor(noises.get(place), *between.launches, between_runs=not one_run) for place in places]
        beyond = max(floors, key=lambda f: f.value)
    return _cost(between, left, right, beyond, exact=False)


def _tags(left: Series, right: Series) -> Iterator[str]:
    kind = METRICS[right.metric].pass_
    if left.subject.device != right.subject.device:
        yield f"another device ({left.subject.device} and {right.subject.device})"
    for name in _differing(left, right):
        if name in _QUIET.get(kind, ()) or (name == "device_name" and left.subject.device != right.subject.device):
            continue
        if name != "artifact" or left.subject.variant == right.subject.variant:
            yield CONDITIONS[name]
    for side, words in ((left, "before"), (right, "after")):
        if side.left_out:
            yield f"{_count(side.left_out)} {words} left out ({side.why})"
    if right.virtual:
        yield "virtual"


def _differing(left: Series, right: Series) -> Iterator[str]:
    """Conditions that are known of both sides, and not the same."""
    for name in CONDITIONS:
        a, b = left.conditions.get(name), right.conditions.get(name)
        if a and b and a != b:
            yield name


def _refusal(left: Series, right: Series) -> str:
    """Why the two may not be compared; empty where they may."""
    kind = METRICS[right.metric].pass_
    for side, words in ((left, "before"), (right, "after")):
        if side.unusable:
            return f"{words}: {side.unusable}"
    if kind != "size" and left.virtual != right.virtual:
        return "one side is virtual and the other is not: they say nothing about each other"
    differing = set(_differing(left, right))
    for name in ("inputs", *_FORBIDDING.get(kind, ())):
        if name in differing:
            return f"{CONDITIONS[name]}: not comparable"
    for side, words in ((left, "before"), (right, "after")):
        if kind in NOISY_PASSES and len(side.launches) < MIN_LAUNCHES:
            left_out = f", and {side.left_out} left out ({side.why})" if side.left_out else ""
            return f"{words}: {_count(len(side.launches))}{left_out}, too few for an interval"
        if not side.launches:
            return f"{words}: nothing was measured"
    return ""


def _count(launches: int) -> str:
    return f"{launches} launch{'es' * (launches != 1)}"


def _cost(v: Verdict, left: Series, right: Series, noise_floor: Floor, *, exact: bool) -> Verdict:
    a, b = v.values
    if not a or not b:
        return replace(v, reason="a figure of 0 has no ratio")
    if exact:
        value, interval = b / a, None
    else:
        same_machine = left.runs == right.runs and left.subject.device == right.subject.device
        value, interval, _ = ratio(right.launches, left.launches, same_machine=same_machine)
    reach = 1 + noise_floor.value
    # A lower bound says nothing of how much more there would have been.
    low = 0.0 if left.bound else min(interval.low if interval else value, value / reach)
    high = math.inf if right.bound else max(interval.high if interval else value, value * reach)
    outcome, word, reason = _outcome(v.metric, value, low, high, v.margin)
    if not reason:
        reason = _unclear(value, interval, noise_floor)
        if left.bound or right.bound:
            sides = "both figures are" if left.bound and right.bound else "one figure is"
            reason = f"{sides} a lower bound: {left.bound or right.bound}"
    margin = v.margin
    not_worse = {"lower": high <= 1 + margin, "higher": low >= 1 / (1 + margin)}.get(METRICS[v.metric].better, False)
    return replace(
        v, outcome=outcome, word=word, reason=reason, ratio=value, interval=interval,
        bounds=None if left.bound or right.bound else (low, high), floor=noise_floor,
        not_worse=not_worse or outcome == "same", counts=not (left.bound and right.bound),
    )  # fmt: skip


def _outcome(metric: str, value: float, low: float, high: float, margin: float) -> tuple[Outcome, str, str]:
    """What bounds of a ratio say of that metric, in a word, and why; no reason where they say nothing."""
    kind = METRICS[metric]
    if 1 / (1 + margin) <= low and high <= 1 + margin:
        return "same", "same", f"within ±{_plain(margin)}"
    if low <= 1 <= high:
        return "cannot tell", "cannot tell", ""
    if kind.better == "equal":
        return "cannot tell", "differs", f"{_by(value)}, and neither is better"
    outcome: Outcome = "better" if (value > 1) == (kind.better == "higher") else "worse"
    return outcome, WORDS.get(kind.unit, {}).get(outcome, outcome), _by(value)


def _by(value: float) -> str:
    change = value - 1
    return f"by {_plain(abs(change))}" if change < 1 else f"{value:.2f} times as much"


def _unclear(value: float, interval: Interval | None, noise_floor: Floor) -> str:
    """Which of the two made the bounds too wide."""
    reach = 1 + noise_floor.value
    if noise_floor.own:
        return "these launches differ too much among themselves"
    if interval is None or (value / reach <= interval.low and interval.high <= value * reach) or interval.excludes(1):
        return f"within the noise floor of {_plain(noise_floor.value)}"
    return "these launches differ too much among themselves"


def _plain(fraction: float) -> str:
    """A small fraction as a percentage with two significant digits or more, e.g. `3 %` or `0.72 %`."""
    value = 100 * fraction
    digits = 0 if value >= 10 else 1 if value >= 1 else 2
    return f"{value:.{digits}f} %".replace(".0 %", " %")


def _score(v: Verdict, left: Series, right: Series, answers: AnswersOf) -> Verdict:
    kind, (a, b) = METRICS[v.metric], v.values
    assert a is not None
    assert b is not None
    words = f"{quantity(b, kind.unit)} after {quantity(a, kind.unit)}"
    ours, theirs = answers(left).get(left.subject), answers(right).get(right.subject)
    if v.metric not in SCORES or ours is None or theirs is None:
        if quantity(a, kind.unit) == quantity(b, kind.unit):
            return replace(v, outcome="same", word="same", reason="equal to the last digit", difference=b - a,
                           not_worse=True)  # fmt: skip
        return replace(v, difference=b - a, reason=f"{words}, and answers for a paired test are not stored")
    try:
        test = paired(SCORES[v.metric], ours, theirs)
    except CorruptData as error:
        return replace(v, reason=error.what)
    found = replace(v, difference=test.difference, interval=test.interval, p_value=test.p_value)
    sign = -1 if kind.better == "lower" else 1
    if test.difference == 0 and _identical(ours, theirs, SCORES[v.metric].needs):
        return replace(found, outcome="same", word="same", reason="the same answers to every sample", not_worse=True)
    interval = test.interval
    if interval is not None:
        worst = interval.low if sign > 0 else -interval.high
        found = replace(found, not_worse=worst >= -v.margin and kind.better != "equal")
        if -v.margin <= interval.low and interval.high <= v.margin:
            text = percent(v.margin) if kind.unit == "fraction" else quantity(v.margin, kind.unit)
            return replace(found, outcome="same", word="same", reason=f"within ±{text}")
    if test.p_value is None:
        return replace(found, reason=f"{words}: too few samples to tell")
    tested = f"{words}, p = {test.p_value:.2g} ({test.method})"
    if test.p_value < TEST_LEVEL:
        if kind.better == "equal":
            return replace(found, word="differs", reason=f"{tested}, and neither is better")
        outcome: Outcome = "better" if sign * test.difference > 0 else "worse"
        return replace(found, outcome=outcome, word=outcome, reason=tested)
    return replace(found, reason=tested)


def _identical(ours: Answers, theirs: Answers, needs: Sequence[str]) -> bool:
    names = [name for name in ours if name.partition(".")[0] in needs]
    return bool(names) and all(name in theirs and np.array_equal(ours[name], theirs[name]) for name in names)


def overall(verdicts: Sequence[Verdict]) -> int:
    """0 where nothing became worse, 1 where something did, 2 where that cannot be told, or nothing was compared."""
    if any(v.outcome == "worse" for v in verdicts):
        return 1
    fine = [v.outcome in ("better", "same") or v.not_worse for v in verdicts if v.counts]
    return 0 if fine and all(fine) else 2
