"""The A/A noise of a place: what the same thing measured twice differs by, and what follows for any difference.

Per-launch medians are compared as logarithms, so that noise is relative to what is measured. Two things are estimated
from stored launches, pooled over all that ran in a place (a runtime on a device):

* s, the standard deviation of a launch within a run;
* S, that of run medians among runs in which artifact, program, system and protocol were the same.

Both come from the differences of neighbours in time, none further apart than nine: a launch is measured beside those
that it is compared with. The 80 % quantile of their sizes stands for the deviation, as in Rousseeuw and Croux's Qn
(JASA 88 (1993) 1273–1283) but higher: one launch in twenty that another program disturbed changes little, as it does
to medians, and one in five changes much.

Within a run, noise explains a ratio of two medians of m and n launches up to exp(t · √(π/2) · s · √(1/m + 1/n)), where
√(π/2) is what a median loses against a mean under normal noise and t is Student's two-sided quantile at 99 %. Between
runs it does up to exp(t · √2 · S). docs/measurement.md tells users.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from bench.findings import Floor, Noise, Reach, Summary
from bench.records import METRICS, NoiseRecord, RunRecord

if TYPE_CHECKING:
    import pandas as pd

LEVEL = 0.99
"""An A/A difference beyond the floor happens in 1 % of comparisons: a report holds dozens of them."""
WITHIN, BETWEEN = 0.05, 0.15
"""Floors where a place's own noise is not known. Runs on stock phones vary by 15 % and more from day to day."""
NOISY_PASSES = frozenset({"latency", "memory", "contended", "energy"})
"""Those whose launches differ by noise."""
LOUDER_LEVEL = 0.9
"""One comparison in ten rests on the spread of its own few launches although these are as quiet as the place is."""
MIN_FREEDOM = 4
"""Degrees of freedom below which the noise of launches counts as unknown."""
MIN_RUN_FREEDOM = 2
"""The same for runs: three of them."""
_QUANTILE = 0.8
"""Of the differences of neighbours; and how many places apart these are at most."""
_APART = 9
_NORMAL = math.sqrt(2) * float(special.ndtri(0.5 + _QUANTILE / 2))
"""That quantile under normal noise, in standard deviations of one value."""
_MEDIAN = math.sqrt(math.pi / 2)
_SUBJECT = ["key", "model", "variant", "runtime", "threads", "precision"]
_SAME = [
    "device", "device_name", "os", "model", "runtime", "threads", "precision", "inputs", "artifact", "program",
    "protocol", "cores",
]  # fmt: skip
"""What must be equal for two runs to be of the same thing; labels of variants may differ."""
COLUMNS = tuple(dict.fromkeys((*_SUBJECT, *_SAME, "metric", "launch", "value", "status", "unusable")))
"""What `noises` reads of the history."""


class Place(NamedTuple):
    """Where noise belongs to, and in what."""

    device: str
    runtime: str
    metric: str


def noises(frame: pd.DataFrame) -> dict[Place, Noise]:
    """The noise of every place in rows of the history with COLUMNS, in their order; launches that were tagged or
    unusable are left out."""
    kinds = {name for name, kind in METRICS.items() if kind.pass_ in NOISY_PASSES}
    fit = frame[
        frame["metric"].isin(kinds) & (frame["status"] == "ok") & (frame["unusable"] == "") & (frame["value"] > 0)
    ]
    if fit.empty:
        return {}
    fit = fit.assign(log=np.log(fit["value"]))
    medians = fit.groupby([*_SAME, "metric", "key"], sort=False)["log"].median().reset_index()
    launch = _spreads(*_coded(fit.sort_values("launch", kind="stable"), [*_SUBJECT, "device", "metric"]))
    run = _spreads(*_coded(medians, [*_SAME, "metric"]), shared=True)
    return {
        where: Noise(*_known(launch.get(where), MIN_FREEDOM), *_known(run.get(where), MIN_RUN_FREEDOM))
        for where in launch
    }


def own(summaries: Sequence[Summary]) -> dict[Place, Noise]:
    """The noise of places as far as one run's own launches tell, from the blocks it was measured in."""
    logs: list[float] = []
    groups: list[int] = []
    places: list[Place] = []
    for number, s in enumerate(summaries):
        if s.statistics and s.usable and METRICS[s.metric].pass_ in NOISY_PASSES:
            mine = [math.log(figure) for figure in s.statistics.figures.values() if figure > 0]
            logs += mine
            groups += [number] * len(mine)
            places += [Place(s.subject.device, s.subject.runtime, s.metric)] * len(mine)
    found = _spreads(np.array(logs), np.array(groups), places)
    return {where: Noise(*_known(one, MIN_FREEDOM)) for where, one in found.items()}


def of_pair(left: Mapping[int, float], right: Mapping[int, float]) -> Noise:
    """The noise of the launches of two subjects, by their number, by themselves: they may differ
    more among each other than what else ran in the place, on which its own noise rests."""
    place = Place("", "", "")
    above = [[side[k] for k in sorted(side) if side[k] > 0] for side in (left, right)]
    # Divided by one of them, so that their unit does not matter to the last bit.
    logs = [[math.log(value / mine[0]) for value in mine] for mine in above]
    groups = np.repeat([0, 1], [len(one) for one in logs])
    found = _spreads(np.array(logs[0] + logs[1]), groups, [place] * len(groups))
    return Noise(*_known(found.get(place), MIN_FREEDOM))


def called_beyond(
    noises: Mapping[Place, Noise],
    places: Iterable[Place],
    left: Mapping[int, float],
    right: Mapping[int, float],
    *,
    between_runs: bool = False,
) -> Floor:
    """The floor of the ratio of medians of launches of one run, or of two: the largest of those of the places, and of
    that of these launches themselves where they differ by more than the noise of the places explains."""
    counts = len(left), len(right)
    known = [noises.get(place) for place in places]
    floors = [floor(noise, *counts, between_runs=between_runs) for noise in known]
    mine = of_pair(left, right)
    if mine.launch is not None and all(_louder(mine, noise) for noise in known):
        words = f"these launches differ among themselves, {mine.launch_freedom} degrees of freedom"
        floors.append(replace(floor(mine, *counts, between_runs=False), words=words, own=True))
    return max(floors, key=lambda one: one.value)


def _louder(one: Noise, other: Noise | None) -> bool:
    """Whether launches are louder than another noise explains, by an F test; so they are where that is not known."""
    if one.launch is None or other is None or not other.launch:
        return True
    most = float(special.fdtri(one.launch_freedom, other.launch_freedom, LOUDER_LEVEL))
    return (one.launch / other.launch) ** 2 > most


def floor(noise: Noise | None, left: int, right: int, *, between_runs: bool) -> Floor:
    """The floor of a ratio of medians of `left` and `right` launches ≥ 1, taken in one run or in two."""
    within = None
    if noise and noise.launch is not None:
        within = _quantile(noise.launch_freedom, LEVEL) * _spread(noise.launch, left, right)
    if not between_runs:
        if noise is None or within is None:
            return Floor(WITHIN, False, f"its noise is not known, so {WITHIN:.0%} stands for it")
        return Floor(math.expm1(within), True, f"A/A noise of its launches, {noise.launch_freedom} degrees of freedom")
    if noise is None or noise.run is None:
        default = max(BETWEEN, math.expm1(within or 0.0))
        return Floor(default, False, f"its noise from run to run is not known, so {default:.0%} stands for it")
    between = _quantile(noise.run_freedom, LEVEL) * math.sqrt(2) * noise.run
    words = f"A/A noise of {noise.run_freedom} repeated runs"
    return Floor(math.expm1(max(between, within or 0.0)), True, words)


def detectable(noise: Noise, launches: int, power: float = 0.9) -> float:
    """The relative difference that two variants with so many launches each in one run show with probability `power`:
    the floor, and as much on top as the estimate may fall short. Noise of launches must be known."""
    assert noise.launch is not None
    spread = _spread(noise.launch, launches, launches)
    return math.expm1((_quantile(noise.launch_freedom, LEVEL) + float(special.ndtri(power))) * spread)


def launches_for(noise: Noise, difference: float, power: float = 0.9, most: int = 1000) -> int | None:
    """How many launches of each variant show that relative difference; None for more than `most`, or unknown noise."""
    if noise.launch is None:
        return None
    return next((n for n in range(3, most + 1) if detectable(noise, n, power) <= difference), None)


def reach(noises: Mapping[Place, Noise], launches: int) -> list[Reach]:
    """What so many launches can tell apart in each place, in the order of METRICS."""
    metrics = list(METRICS)
    order = sorted(noises, key=lambda place: (place.device, place.runtime, metrics.index(place.metric)))
    return [
        Reach(
            *place, launches, noises[place],
            floor(noises[place], launches, launches, between_runs=False),
            floor(noises[place], launches, launches, between_runs=True),
            detectable(noises[place], launches) if noises[place].launch is not None else None,
        )
        for place in order
    ]  # fmt: skip


def of_run(run: RunRecord, summaries: Sequence[Summary]) -> dict[Place, Noise]:
    """What a run is judged by: the noise that was known of each place when it began, or that of its own launches where
    this is larger or nothing was known."""
    known = {
        Place(one.device, one.runtime, one.metric): Noise(one.launch, one.launch_freedom, one.run, one.run_freedom)
        for one in run.noise
    }
    for place, ours in own(summaries).items():
        before = known.get(place)
        floors = [floor(noise, 5, 5, between_runs=False).value for noise in (before, ours)]
        if before is None or (ours.launch is not None and floors[1] > floors[0]):
            known[place] = ours
    return known


def recorded(noises: Mapping[Place, Noise]) -> tuple[NoiseRecord, ...]:
    """Noise as run.json holds it."""
    return tuple(
        NoiseRecord(
            **place._asdict(), launch=noise.launch, launch_freedom=noise.launch_freedom, run=noise.run,
            run_freedom=noise.run_freedom,
        )
        for place, noise in noises.items()
        if noise.launch is not None
    )  # fmt: skip


def spread_of_neighbours(logs: NDArray[Any]) -> float:
    """The standard deviation of noise in a series of at least two logarithms, from neighbours alone: a step among them
    is one difference of many."""
    return float(np.quantile(np.abs(np.diff(logs)), _QUANTILE)) / _NORMAL


def _coded(frame: pd.DataFrame, groups: list[str]) -> tuple[NDArray[Any], NDArray[Any], list[Place]]:
    """Logarithms, the number of the group of each, and its place."""
    places = [Place(*row) for row in zip(*(frame[name].tolist() for name in Place._fields), strict=True)]
    return frame["log"].to_numpy(), frame.groupby(groups, sort=False).ngroup().to_numpy(), places


def _spreads(
    logs: NDArray[Any], groups: NDArray[Any], places: Sequence[Place], *, shared: bool = False
) -> dict[Place, tuple[float, int]]:
    """By place, the standard deviation of logarithms within groups, and its degrees of freedom. `shared`: groups had
    the same disturbances, as variants in the same runs have, so that only the largest counts."""
    order = np.argsort(groups, kind="stable")
    logs, groups = logs[order], groups[order]
    numbers = {place: number for number, place in enumerate(dict.fromkeys(places))}
    where = np.array([numbers[place] for place in places], dtype=int)[order]
    sizes: list[NDArray[Any]] = [np.empty(0)]
    owners: list[NDArray[Any]] = [np.empty(0, dtype=int)]
    for apart in range(1, min(_APART, len(logs) - 1) + 1):
        same = groups[apart:] == groups[:-apart]
        sizes.append(np.abs(logs[apart:] - logs[:-apart])[same])
        owners.append(where[apart:][same])
    size, owner = np.concatenate(sizes), np.concatenate(owners)
    found = {}
    for place, number in numbers.items():
        mine = size[owner == number]
        if mine.size:
            counts = np.unique(groups[where == number], return_counts=True)[1] - 1
            freedom = int(counts.max() if shared else counts.sum())
            found[place] = (float(np.quantile(mine, _QUANTILE)) / _NORMAL, freedom)
    return found


def _known(found: tuple[float, int] | None, least: int) -> tuple[float | None, int]:
    deviation, freedom = found or (0.0, 0)
    return (deviation if freedom >= least else None), freedom


def _spread(launch: float, left: int, right: int) -> float:
    return _MEDIAN * launch * math.sqrt(1 / left + 1 / right)


def _quantile(freedom: int, level: float) -> float:
    return float(special.stdtrit(freedom, 0.5 + level / 2))
