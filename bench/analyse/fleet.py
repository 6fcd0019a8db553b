"""Series of several runs to figures that stand beside each other, each with what forbids to compare it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from bench.analyse.noise import Place, floor
from bench.analyse.series import CONDITIONS, Series
from bench.analyse.statistics import MIN_LAUNCHES, median_interval, ratio
from bench.findings import Noise
from bench.fleet import Figure, Standing
from bench.records import METRICS, Pass, Subject

SHOWN = ("latency", "vm_hwm", "deployed", "energy", "top1", "dice", "psnr")
EXACT = frozenset({"size", "accuracy"})
"""Passes whose figures are the same in every launch."""
_TIMED = ("inputs", "protocol", "cores")
_FORBIDDING: dict[Pass, tuple[str, ...]] = {
    "latency": _TIMED, "energy": _TIMED, "memory": ("inputs",), "size": (), "accuracy": ("inputs", "samples"),
}  # fmt: skip
"""Conditions that must be those of the first run, by pass."""


class Run(NamedTuple):
    """One run: its name, when it started, its commit, and its series."""

    name: str
    started: str
    commit: str
    series: Sequence[Series]


def fleet(runs: Sequence[Run], noises: Mapping[Place, Noise] | None = None) -> tuple[Standing, ...]:
    """Every subject of these runs, network by network, then run by run. Of each network the first run that has it sets
    what the others are held against."""
    found = [standing for run in runs for standing in _standings(run, noises or {})]
    models = list(dict.fromkeys(one.subject.model for one, _ in found))
    first: dict[str, tuple[Standing, Mapping[str, Series]]] = {}
    for one, mine in found:
        first.setdefault(one.subject.model, (one, mine))
    held = [_held(one, mine, *first[one.subject.model]) for one, mine in found]
    places = list(dict.fromkeys((one.run, one.subject.device) for one in held))
    return tuple(
        sorted(held, key=lambda one: (models.index(one.subject.model), places.index((one.run, one.subject.device))))
    )


def _standings(run: Run, noises: Mapping[Place, Noise]) -> Iterator[tuple[Standing, Mapping[str, Series]]]:
    subjects: dict[Subject, dict[str, Series]] = {}
    for one in run.series:
        if one.metric in SHOWN and METRICS[one.metric].pass_ != "size":
            subjects.setdefault(one.subject, {})[one.metric] = one
    for one in run.series:  # what is deployed does not depend on threads and precision
        if one.metric == "deployed":
            for subject, mine in subjects.items():
                if _same_place(subject, one.subject) and subject.variant == one.subject.variant:
                    mine["deployed"] = one
    for subject, mine in subjects.items():
        beside = next(
            (theirs for other, theirs in subjects.items() if _same_setting(other, subject) and _ordinary(theirs)), {}
        )
        any_ = next(iter(mine.values()))
        yield Standing(
            run.name, run.started, run.commit, subject, any_.conditions.get("device_name", ""),
            any_.conditions.get("os", ""), any_.virtual, any_.translated, _ordinary(mine),
            {m: _figure(one, beside.get(m), noises) for m, one in mine.items()},
        ), mine  # fmt: skip


def _ordinary(mine: Mapping[str, Series]) -> bool:
    return any(one.ordinary for one in mine.values())


def _same_place(a: Subject, b: Subject) -> bool:
    return (a.model, a.device, a.runtime) == (b.model, b.device, b.runtime)


def _same_setting(a: Subject, b: Subject) -> bool:
    return _same_place(a, b) and (a.threads, a.precision) == (b.threads, b.precision)


def _doubt(one: Series) -> str:
    """Why a run's figure may not be used, as its own report says it: the history keeps nothing that follows from the
    launches it has."""
    kind, count = METRICS[one.metric], len(one.launches)
    if one.translated and kind.pass_ not in EXACT:
        return "machine code was translated"
    if one.unusable:
        return one.unusable
    if one.left_out and count < MIN_LAUNCHES:
        return f"{one.left_out} of {one.left_out + count} launches tagged: {one.why or 'no reason given'}"
    if count < MIN_LAUNCHES and kind.pass_ not in EXACT and kind.unit != "B":
        return f"{count} launch{'es' * (count != 1)}, so no interval"
    return ""


def _figure(one: Series, ordinary: Series | None, noises: Mapping[Place, Noise]) -> Figure:
    kind, value, doubt = METRICS[one.metric], one.median, _doubt(one)
    if value is None:  # all launches were tagged: the figure is theirs, and says so
        return Figure(float(np.median(one.tagged)) if one.tagged else math.nan, doubt=doubt)
    exact = kind.pass_ in EXACT
    within = (
        one.interval if kind.pass_ == "accuracy" else None if exact else median_interval(list(one.launches.values()))
    )
    found = Figure(value, within, len(one.launches), doubt=doubt)
    before = ordinary.median if ordinary is not None and ordinary is not one else None
    if before is None or ordinary is None or ordinary.subject.variant == one.subject.variant:
        return found
    if kind.pass_ == "accuracy":
        return replace(found, difference=value - before)
    if not value or not before or doubt or _doubt(ordinary):
        return found
    if exact:
        return replace(found, ratio=before / value, called=before != value)
    times, interval, _ = ratio(ordinary.launches, one.launches)
    noise = noises.get(Place(one.subject.device, one.subject.runtime, one.metric))
    beyond = floor(noise, len(ordinary.launches), len(one.launches), between_runs=False)
    called = interval is not None and interval.excludes(1) and abs(math.log(times)) > math.log1p(beyond.value)
    return replace(found, ratio=times, within=interval, called=called)


def _held(one: Standing, mine: Mapping[str, Series], first: Standing, theirs: Mapping[str, Series]) -> Standing:
    """Each figure with what forbids to hold it against the first run's."""
    if one.run == first.run and one.subject.device == first.subject.device:
        return one
    figures = {}
    for metric, figure in one.figures.items():
        reference = theirs.get(metric) or next(iter(theirs.values()))
        reasons = list(_apart(mine[metric], reference, METRICS[metric].pass_))
        figures[metric] = replace(figure, apart="; ".join(reasons))
    remarks = []
    for name in ("os", "device_name"):
        a, b = (next(iter(side.values())).conditions.get(name) for side in (mine, theirs))
        if a and b and a != b and one.subject.device == first.subject.device:
            remarks.append(CONDITIONS[name])
    return replace(one, figures=figures, remarks=tuple(remarks))


def _apart(one: Series, first: Series, kind: Pass) -> Iterator[str]:
    for name in _FORBIDDING.get(kind, _TIMED):
        a, b = one.conditions.get(name), first.conditions.get(name)
        if a and b and a != b:
            yield CONDITIONS[name]
    if kind != "size" and one.subject.precision != first.subject.precision:
        yield f"{one.subject.precision} instead of {first.subject.precision}"
    if kind in ("latency", "energy"):
        if one.subject.threads != first.subject.threads:
            yield f"{one.subject.threads} instead of {first.subject.threads} threads"
        if one.virtual != first.virtual:
            yield "a virtual phone against a real one"
