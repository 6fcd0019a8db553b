"""What load that goes on does to a network: cold against steady, when it throttles, whether variants change places.

The windows of a launch follow each other, and what one of them is depends on the ones before (heat, a governor's
clock): resampling them one by one would take them for so many observations and give intervals that are far too narrow.
They are resampled in blocks of neighbours instead (moving block bootstrap: H. R. Künsch, Annals of Statistics 17 (1989)
1217–1241). Blocks have n^⅔ windows, longer than what is best for a variance, because governors and heat have a long
memory; that leaves few blocks, so Student's t of their number takes the place of the normal quantile. How often such an
interval holds the truth is in docs/measurement.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from bench.analyse.noise import Place, floor
from bench.analyse.statistics import LEVEL, SEED
from bench.endurance import SLOWER, Bounds, Lead, Moment, Sustained, Turn
from bench.findings import Noise
from bench.plan import of_run
from bench.records import RunRecord, Subject

if TYPE_CHECKING:
    import pandas as pd

MINUTE = 60
COLD_PART, STEADY_PART = 1 / 10, 1 / 3
MIN_WINDOWS = 12
"""Fewer windows than this, cold or steady, give no interval."""
RESAMPLES = 1_999
MOSTLY = 0.8
"""The part of the medians since a phone throttles that are slower: a few dips do not undo it."""
LEAST_SECONDS = 3
"""Throttling for less than that is not told from a disturbance."""

Values = NDArray[np.float64]


def sustained(frame: pd.DataFrame, run: RunRecord) -> tuple[Sustained, ...]:
    """What came of each launch of the sustained pass that did not fail. `frame` has the columns of `results/README.md`.

    Raises CorruptData for a plan that is not understood.
    """
    plan = of_run(run)
    mine = frame[(frame["pass"] == "sustained") & (frame["status"] != "failed")]
    return tuple(
        found
        for _, rows in mine.groupby("trial", sort=False)
        if (found := _of_launch(rows, plan.protocol_for(str(rows["model"].iloc[0])).sustained_seconds))
    )


def _of_launch(rows: pd.DataFrame, seconds: float) -> Sustained | None:
    first = rows.iloc[0]
    windows = _moments(rows, "sustained")
    if not windows:
        return None
    cold, steady = parts(windows, seconds)
    bounds = ratio_bounds(steady, cold)
    begin, end = float(np.median(cold)), float(np.median(steady))
    unit_s = MINUTE if seconds >= MINUTE else 1
    medians = per_unit(windows, unit_s)
    # What a virtual phone says of clocks and heat is its profile's, and has nothing to do with these times.
    kinds = () if first["virtual"] else ("clock", "skin", "status")
    traces = {kind: _moments(rows, f"sustained_{kind}") for kind in kinds}
    return Sustained(
        subject=Subject.model_validate({name: first[name] for name in Subject.model_fields}),
        seconds=seconds,
        unit_s=unit_s,
        windows=windows,
        medians=medians,
        cold=begin,
        steady=end,
        ratio=end / begin,
        bounds=bounds,
        throttled=throttled([m.value for m in medians], begin, end, unit_s) if not bounds or bounds[0] > 1 else None,
        **traces,
        virtual=bool(first["virtual"]),
        translated=bool(first["translated"]),
        doubts=str(first["reason"]) if first["status"] == "tagged" else "",
    )


def _moments(rows: pd.DataFrame, metric: str) -> tuple[Moment, ...]:
    mine = rows[rows["metric"] == metric].sort_values("index", kind="stable")
    return tuple(Moment(float(i), float(v)) for i, v in zip(mine["index"], mine["value"], strict=True))


def parts(windows: Sequence[Moment], seconds: float) -> tuple[Values, Values]:
    """The windows at the start, which are cold, and those at the end, which are steady; at least one each."""
    end = max(seconds, windows[-1].second)
    values = np.array([window.value for window in windows])
    starts = np.array([window.second for window in windows])
    cold = values[starts < min(MINUTE, COLD_PART * end)]
    steady = values[starts >= (1 - STEADY_PART) * end]
    return (cold if cold.size else values[:1]), (steady if steady.size else values[-1:])


def per_unit(windows: Sequence[Moment], unit_s: int) -> tuple[Moment, ...]:
    """The median of the windows that begin in each unit. A last unit of which less than half was measured is left out,
    unless it is the only one."""
    units: dict[int, list[float]] = {}
    for window in windows:
        units.setdefault(int(window.second // unit_s), []).append(window.value)
    last = max(units)
    if len(units) > 1 and windows[-1].second + 1 - last * unit_s < unit_s / 2:
        del units[last]
    return tuple(Moment(float(unit * unit_s), float(np.median(values))) for unit, values in sorted(units.items()))


def throttled(medians: Sequence[float], cold: float, steady: float, unit_s: int) -> int | None:
    """The place of the first median from which most, and that one, are above `cold` by more than SLOWER; None where
    `steady` is not, or where that is for less than LEAST_SECONDS."""
    slow = (1 + SLOWER) * cold
    above = [median > slow for median in medians]
    if steady <= slow:
        return None
    starts = (
        i
        for i, one in enumerate(above)
        if one and sum(above[i:]) >= max(MOSTLY * len(above[i:]), LEAST_SECONDS / unit_s)
    )
    return next(starts, None)


def ratio_bounds(over: Values, under: Values) -> Bounds | None:
    """The 95 % bounds of median(over) ÷ median(under), all positive, by the moving block bootstrap, each side by
    itself; None for too few windows."""
    if min(over.size, under.size) < MIN_WINDOWS:
        return None
    random = np.random.default_rng(SEED)
    (a, free_a), (b, free_b) = (_variance(side, random) for side in (over, under))
    value = float(np.median(over) / np.median(under))
    if a + b == 0:
        return value, value
    freedom = (a + b) ** 2 / (a**2 / free_a + b**2 / free_b)  # Welch's
    reach = math.exp(float(special.stdtrit(freedom, 0.5 + LEVEL / 2)) * math.sqrt(a + b))
    return value / reach, value * reach


def _variance(values: Values, random: np.random.Generator) -> tuple[float, float]:
    """That of ln(median) when windows are drawn in blocks of neighbours, and its degrees of freedom: as many as there
    are blocks, less one. Blocks lie inside the series, which makes them too alike by (n − length) ÷ n."""
    n = values.size
    length = math.ceil(n ** (2 / 3))
    starts = random.integers(0, n - length + 1, (RESAMPLES, math.ceil(n / length)))
    drawn = (starts[:, :, None] + np.arange(length)).reshape(RESAMPLES, -1)[:, :n]
    logs = np.log(np.median(values[drawn], axis=1))
    return float(np.var(logs, ddof=1)) * n / (n - length), n / length - 1


def turns(found: Sequence[Sustained], noises: Mapping[Place, Noise]) -> tuple[Turn, ...]:
    """The pairs of variants that change places between the start and the end, in the order of `found`; of those that
    can be judged.

    A turn is called where both orders hold beyond what noise explains, as `leads` has them.
    """
    return tuple(turn for one, two in _rivals(found) if (turn := _turn(one, two, noises)))


def leads(found: Sequence[Sustained], noises: Mapping[Place, Noise]) -> tuple[Lead, ...]:
    """Which variants are ahead of which, at the start and at the end, of those that can be judged.

    One is ahead where the interval over windows says so, and noise does not explain it: the noise floor of single
    launches of the place, which are all that there is of each variant.
    """
    whens: tuple[Literal["cold", "steady"], ...] = ("cold", "steady")
    return tuple(
        Lead(when, ahead.subject, behind.subject)
        for pair in _rivals(found)
        for ahead, behind in (pair, pair[::-1])
        for when in whens
        if _ahead(ahead, behind, when, noises)
    )


def _rivals(found: Sequence[Sustained]) -> Iterator[tuple[Sustained, Sustained]]:
    """The pairs in the same place, none of which is in doubt."""
    for one, two in combinations([one for one in found if not (one.translated or one.doubts)], 2):
        if two.subject.model_copy(update={"variant": one.subject.variant}) == one.subject:
            yield one, two


def _turn(one: Sustained, two: Sustained, noises: Mapping[Place, Noise]) -> Turn | None:
    early, late = (one, two) if one.cold < two.cold else (two, one)
    if early.cold == late.cold or early.steady <= late.steady:
        return None
    called = _ahead(early, late, "cold", noises) and _ahead(late, early, "steady", noises)
    return Turn(early.subject, late.subject, late.cold / early.cold, early.steady / late.steady, called)


def _ahead(one: Sustained, two: Sustained, when: Literal["cold", "steady"], noises: Mapping[Place, Noise]) -> bool:
    noise = floor(noises.get(Place(one.subject.device, one.subject.runtime, "latency")), 1, 1, between_runs=False)
    fast, slow = (parts(s.windows, s.seconds)[when == "steady"] for s in (one, two))
    bounds = ratio_bounds(slow, fast)
    return bounds is not None and bounds[0] > 1 and float(np.median(slow) / np.median(fast)) > 1 + noise.value


def in_order(found: Sequence[Sustained], subjects: Sequence[Subject]) -> Iterator[Sustained]:
    """The launches in the order of these subjects; others are left out."""
    by_subject = {one.subject: one for one in found}
    yield from (by_subject[subject] for subject in subjects if subject in by_subject)
