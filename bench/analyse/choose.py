"""Which variant of a run to take under a budget: limits held against stored figures and their intervals."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import get_args

from bench.choice import METRIC_OF, Axis, Candidate, Choice, Exclusion, Held, Limit, Met
from bench.contest import Contest
from bench.errors import UsageError
from bench.findings import Comparison, Findings, Interval, Summary
from bench.records import METRICS, RunRecord, Subject

_UNITS: dict[str, dict[str, float]] = {
    "latency": {"ns": 1, "us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9},
    "size": {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30},
    "accuracy": {"%": 0.01, "": 1, "dB": 1},
}
_FORMS = {
    "latency": "Write e.g. 30ms (ns, us, ms, s).",
    "memory": "Write e.g. 100MB (B, kB, MB, GB; KiB, MiB, GiB of 1024).",
    "bytes": "Write e.g. 2MB (B, kB, MB, GB; KiB, MiB, GiB of 1024).",
    "download": "Write e.g. 1MB (B, kB, MB, GB; KiB, MiB, GiB of 1024).",
    "accuracy": "Write e.g. 97%, 0.97, 30dB, or -1% for at most one point less than the ordinary network.",
}
_PREFERRED: tuple[Axis, ...] = ("accuracy", "bytes", "latency", "memory")
"""What is made best where nobody says: the first of these that has no limit, else accuracy."""
_WORDS = {
    "accuracy": "the best answers", "bytes": "the fewest bytes", "latency": "the shortest latency",
    "memory": "the least peak memory", "download": "the smallest download",
}  # fmt: skip


def limit(axis: Axis, text: str) -> Limit:
    """A limit as a person writes it. Raises UsageError, with the forms that it takes, for anything else."""
    advice = _FORMS[axis]
    signed = re.fullmatch(
        r"\s*([-+−]?)\s*(\d{1,15}(?:\.\d{1,9})?|\.\d{1,9})\s*([A-Za-zµ%]{0,3})\s*", text.replace("μ", "µ")
    )
    kind = axis if axis in ("latency", "accuracy") else "size"
    by_name = {unit.lower(): scale for unit, scale in _UNITS[kind].items()}
    unit = signed[3].lower() if signed else None
    if signed is None or unit not in by_name:
        raise UsageError(f"--{axis} {text[:40]!r} is not understood", advice)
    value, sign = float(signed[2]) * by_name[unit], signed[1]
    if axis != "accuracy":
        if sign or value <= 0:
            raise UsageError(f"--{axis} {text[:40]!r} is no more than nothing", advice)
        return Limit(axis, value, text.strip())
    if not sign and unit != "db" and not 0 < value <= 1:
        raise UsageError(f"--accuracy {text[:40]!r} is not between 0 and 100 %", advice)
    if sign and unit == "" and value >= 1:
        raise UsageError(f"--accuracy {text[:40]!r} lacks its unit", advice)
    return Limit(axis, -value if sign in ("-", "−") else value, text.strip(), relative=bool(sign))


def choose(
    findings: Findings, run: RunRecord, contest: Contest, limits: Sequence[Limit], best: Axis | None = None, *,
    sure: bool = False,
) -> Choice:  # fmt: skip
    """The choice in one contest. `best` is what decides among those that meet all limits; None takes the first of
    accuracy, bytes, latency and memory that has no limit. With `sure` only what meets them for sure is chosen.

    A figure that must not be used (tagged, failed, too few launches, translated) meets no limit, and a variant that has
    such a figure is chosen only where no other fits. One that failed, or whose answers were wrong, or that lacks the
    figure that decides, never is. Raises UsageError for a limit in a unit
    that the score does not have.
    """
    _check_units(limits, contest)
    table = _Table(findings, run, contest)
    found = tuple(table.candidate(subject, limits) for subject in contest.subjects)
    meeting = [one for one in found if one.met in _enough(sure=sure)]
    decides, why = _deciding(limits, best, lambda axis: any(table.metric(axis) in one.figures for one in meeting))
    fit = _fit(found, table.metric(decides), sure=sure)
    base = Choice(contest, decides, why, found)
    if meeting and not fit:
        return base
    if not fit:
        exclusions = tuple(_exclusions(found, limits, sure=sure))
        return replace(base, exclusions=exclusions, without=tuple(_without(found, limits, table, decides, sure=sure)))
    ordered = sorted(fit, key=lambda one: table.rank(one, decides))
    near = tuple(one for one in ordered[1:] if table.close(ordered[0], one, decides))
    return replace(base, chosen=ordered[0], near=near)


def _deciding(limits: Sequence[Limit], best: Axis | None, known: Callable[[Axis], bool]) -> tuple[Axis, str]:
    """The axis that decides among what meets all limits, and the rule in words. `known` says whether any of that has a
    figure there: what nobody measured decides nothing unless it is asked for."""
    if best:
        return best, _WORDS[best]
    limited = {one.axis for one in limits}
    for axis in _PREFERRED:
        if axis not in limited and known(axis):
            return axis, f"{_WORDS[axis]}, which has no limit"
    return "accuracy", _WORDS["accuracy"]


def _check_units(limits: Sequence[Limit], contest: Contest) -> None:
    unit = METRICS[contest.score].unit
    for one in limits:
        if one.axis == "accuracy" and (unit == "dB") != one.text.lower().endswith("db"):
            form = "30dB or -0.5dB" if unit == "dB" else "97% or -1%"
            raise UsageError(
                f"--accuracy {one.text}: the score of {contest.models[0]} is in {unit}", f"Write e.g. {form}."
            )


class _Table:
    """The figures of a contest, and how they compare with the ordinary network's."""

    def __init__(self, findings: Findings, run: RunRecord, contest: Contest) -> None:
        self._findings, self._contest = findings, contest
        self._ordinary = {(a.model, a.variant) for a in run.artifacts if a.ordinary}
        self._differences: dict[Subject, Comparison] = {
            c.right: c for c in findings.comparisons if c.kind == "variant" and c.metric == contest.score
        }

    def metric(self, axis: Axis) -> str:
        return METRIC_OF.get(axis, self._contest.score)

    def candidate(self, subject: Subject, limits: Sequence[Limit]) -> Candidate:
        """A variant with every limit held against it."""
        known = {axis: self._figure(subject, self.metric(axis)) for axis in get_args(Axis)}
        figures = {
            self.metric(axis): s.statistics.median for axis, s in known.items() if s and s.statistics and s.usable
        }
        remarks = dict.fromkeys(
            f"{c.text}" for s in known.values() if s for c in s.caveats if c.level == "care" or not s.usable
        )
        held = tuple(self._held(subject, one, known[one.axis]) for one in limits)
        wrong = any(c.kind in ("wrong-answers", "failed") for s in known.values() if s for c in s.caveats)
        return Candidate(
            subject, (subject.model, subject.variant) in self._ordinary, any(s.virtual for s in known.values() if s),
            held, {} if wrong else figures, any(s and not s.usable for s in known.values()), tuple(remarks),
        )  # fmt: skip

    def _figure(self, subject: Subject, metric: str) -> Summary | None:
        return self._findings.summary(subject, metric)

    def _held(self, subject: Subject, one: Limit, found: Summary | None) -> Held:
        metric = self.metric(one.axis)
        if found is None:
            return Held(one, metric, "unknown", why="not measured")
        if found.statistics is None or not found.usable:
            return Held(one, metric, "unknown", why=found.verdict)
        value, interval = found.statistics.median, found.statistics.interval
        if one.relative:
            return self._relative(subject, one, metric)
        if one.axis == "accuracy":
            return Held(one, metric, _at_least(value, interval, one.value), value, interval, value - one.value)
        exact = METRICS[metric].pass_ == "size"
        return Held(
            one, metric, _at_most(value, interval, one.value, exact=exact), value, interval, 1 - value / one.value
        )

    def _relative(self, subject: Subject, one: Limit, metric: str) -> Held:
        """Against the ordinary network on the same samples, by the paired interval of the difference."""
        if (subject.model, subject.variant) in self._ordinary:
            return Held(one, metric, "yes" if one.value <= 0 else "no", 0.0, None, -one.value)
        found = self._differences.get(subject)
        if found is None or found.difference is None:
            return Held(one, metric, "unknown", why="there is no paired comparison with the ordinary network")
        value = found.difference
        if found.outcome == "equal" and found.interval is None:
            return Held(one, metric, "yes" if value >= one.value else "no", value, None, value - one.value)
        return Held(one, metric, _at_least(value, found.interval, one.value), value, found.interval, value - one.value)

    def rank(self, one: Candidate, axis: Axis) -> tuple[float, ...]:
        """What sorts candidates, the best first; equals by their bytes."""
        value = one.figures[self.metric(axis)]
        return (-value if axis == "accuracy" else value, one.figures.get("deployed", math.inf))

    def close(self, one: Candidate, other: Candidate, axis: Axis) -> bool:
        """Whether the intervals of both overlap, so that neither is clearly better."""
        spans = []
        for candidate in (one, other):
            found = self._figure(candidate.subject, self.metric(axis))
            if found is None or found.statistics is None:
                return False
            within = found.statistics.interval
            spans.append((within.low, within.high) if within else (found.statistics.median,) * 2)
        return spans[0][0] <= spans[1][1] and spans[1][0] <= spans[0][1]


def _at_most(value: float, interval: Interval | None, most: float, *, exact: bool) -> Met:
    if value > most:
        return "no"
    return "yes" if exact or (interval and interval.high <= most) else "perhaps"


def _at_least(value: float, interval: Interval | None, least: float) -> Met:
    if value < least:
        return "no"
    return "yes" if interval and interval.low >= least else "perhaps"


def _enough(*, sure: bool) -> tuple[Met, ...]:
    """What counts as meeting a limit, the best first."""
    return ("yes",) if sure else ("yes", "perhaps")


def _fit(found: Sequence[Candidate], metric: str, *, sure: bool) -> list[Candidate]:
    """What meets all limits and has the figure that decides: for sure, else perhaps; what has a figure that must not be
    used, e.g. where the phone was warm, after all others."""
    known = [one for one in found if metric in one.figures]
    for doubtful in (False, True):
        for met in _enough(sure=sure):
            if fit := [one for one in known if one.met == met and one.doubtful == doubtful]:
                return fit
    return []


def _exclusions(found: Sequence[Candidate], limits: Sequence[Limit], *, sure: bool) -> Iterator[Exclusion]:
    """The limits that nothing meets; where there is no such one, all: it is their sum that excludes."""
    every = []
    for n, one in enumerate(limits):
        meeting = [c for c in found if c.held[n].met in _enough(sure=sure)]
        rest = [c for c in found if c.held[n].margin is not None and c not in meeting]
        nearest = max(rest, key=lambda c, n=n: c.held[n].margin or -math.inf, default=None)  # type: ignore[misc]
        every.append(Exclusion(one, len(meeting), nearest))
    yield from [one for one in every if not one.meeting] or every


def _without(
    found: Sequence[Candidate], limits: Sequence[Limit], table: _Table, decides: Axis, *, sure: bool
) -> Iterator[tuple[Limit, Candidate]]:
    """What would be chosen if one of several limits were dropped."""
    for n, one in enumerate(limits if len(limits) > 1 else ()):
        fewer = {id(c): _less(c, n) for c in found}
        fit = _fit(list(fewer.values()), table.metric(decides), sure=sure)
        if fit:
            chosen = min(fit, key=lambda c: table.rank(c, decides))
            yield one, next(c for c in found if c.subject == chosen.subject)


def _less(candidate: Candidate, n: int) -> Candidate:
    held = (*candidate.held[:n], *candidate.held[n + 1 :])
    return replace(candidate, held=held)


def contest(
    findings: Findings, *, network: str | None = None, device: str | None = None, runtime: str | None = None,
    threads: int | None = None,
) -> Contest:  # fmt: skip
    """The one contest that is meant; of one network alone where it is named. Raises UsageError, with what there is to
    choose from, where it is not clear which or there is none."""
    left = list(findings.contests)
    if not left:
        raise UsageError(
            "this run has nothing to choose from: no place where two variants were scored",
            "Measure several: bench run --model NETWORK --variant baseline --variant …",
        )
    wanted: tuple[tuple[str, object, Callable[[Contest], tuple[object, ...]]], ...] = (
        ("network", network, lambda one: one.models), ("device", device, lambda one: (one.device,)),
        ("runtime", runtime, lambda one: (one.runtime,)), ("threads", threads, lambda one: (one.threads,)),
    )  # fmt: skip
    for name, value, of in wanted:
        known = list(dict.fromkeys(str(each) for one in left for each in of(one)))
        if value is None and len({of(one) for one in left}) > 1:
            raise UsageError(f"this run has several of --{name}: {', '.join(known)}", f"Name one: --{name} {known[0]}.")
        if value is not None and str(value) not in known:
            raise UsageError(f"this run has no --{name} {str(value)[:60]} to choose in", f"It has {', '.join(known)}.")
        left = [one for one in left if value is None or str(value) in map(str, of(one))]
    found = left[0]
    if network is None:
        return found
    mine = tuple(subject for subject in found.subjects if subject.model == network)
    return replace(found, models=(network,), subjects=mine)
