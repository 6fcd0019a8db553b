"""What load that goes on does to a network: cold against steady, when it throttles, whether variants change places.

The windows of a launch follow each other, and what one of them is depends on the ones before (heat, a governor's
clock): resampling them one by one would take them for so many observations and give intervals that are far too narrow.
They are resampled in blocks of neighbours instead (moving block bootstrap: H. R. Künsch, Annals of Statistics 17 (1989)
1217–1241), of √n windows rounded up.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.analyse.noise import Place, floor
from bench.analyse.statistics import LEVEL, SEED
from bench.endurance import SLOWER, Bounds, Moment, Sustained, Turn
from bench.findings import Noise
from bench.plan import of_run
from bench.records import RunRecord, Subject

if TYPE_CHECKING:
    import pandas as pd

MINUTE = 60
COLD_PART, STEADY_PART = 1 / 10, 1 / 3
MIN_WINDOWS = 6
"""Fewer windows than this, cold or steady, give no interval."""
RESAMPLES = 1_999

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
        cold=float(np.median(cold)),
        steady=float(np.median(steady)),
        ratio=float(np.median(steady) / np.median(cold)),
        bounds=ratio_bounds(steady, cold),
        throttled=throttled([median.value for median in medians]),
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


def throttled(medians: Sequence[float]) -> int | None:
    """The place of the first median from which all are above the first one by more than SLOWER; None where the last is
    not."""
    above = [median > (1 + SLOWER) * medians[0] for median in medians]
    if not above[-1]:
        return None
    return max((i for i, one in enumerate(above) if not one), default=-1) + 1


def ratio_bounds(over: Values, under: Values) -> Bounds | None:
    """The 95 % bounds of median(over) ÷ median(under) by the moving block bootstrap, each side by itself; None for too
    few windows."""
    if min(over.size, under.size) < MIN_WINDOWS:
        return None
    random = np.random.default_rng(SEED)
    ratios = _resampled(over, random) / _resampled(under, random)
    value = float(np.median(over) / np.median(under))
    low, high = np.quantile(ratios, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return min(float(low), value), max(float(high), value)


def _resampled(values: Values, random: np.random.Generator) -> Values:
    """Medians (RESAMPLES) of as many windows as there are, drawn in blocks of neighbours."""
    n = values.size
    length = math.ceil(math.sqrt(n))
    count = math.ceil(n / length)
    starts = random.integers(0, n - length + 1, (RESAMPLES, count))
    drawn = (starts[:, :, None] + np.arange(length)).reshape(RESAMPLES, -1)[:, :n]
    medians: Values = np.median(values[drawn], axis=1)
    return medians


def turns(found: Sequence[Sustained], noises: Mapping[Place, Noise]) -> tuple[Turn, ...]:
    """The pairs of variants that change places between the start and the end, in the order of `found`.

    A turn is called where both orders hold beyond what noise explains: the interval over windows excludes 1, and so
    does the noise floor of single launches of the place, which are all that there is of each variant.
    """
    return tuple(turn for one, two in combinations(found, 2) if (turn := _turn(one, two, noises)))


def _turn(one: Sustained, two: Sustained, noises: Mapping[Place, Noise]) -> Turn | None:
    a, b = one.subject, two.subject
    if b.model_copy(update={"variant": a.variant}) != a or one.translated or two.translated:
        return None
    early, late = (one, two) if one.cold < two.cold else (two, one)
    if early.cold == late.cold or early.steady <= late.steady:
        return None
    gain, loss = late.cold / early.cold, early.steady / late.steady
    noise = floor(noises.get(Place(a.device, a.runtime, "latency")), 1, 1, between_runs=False)
    windows = [parts(s.windows, s.seconds) for s in (early, late)]
    bounds = [ratio_bounds(windows[1][0], windows[0][0]), ratio_bounds(windows[0][1], windows[1][1])]
    clear = all(found is not None and found[0] > 1 for found in bounds)
    called = clear and min(gain, loss) > 1 + noise.value and not (one.doubts or two.doubts)
    return Turn(early.subject, late.subject, gain, loss, called)


def in_order(found: Sequence[Sustained], subjects: Sequence[Subject]) -> Iterator[Sustained]:
    """The launches in the order of these subjects; others are left out."""
    by_subject = {one.subject: one for one in found}
    yield from (by_subject[subject] for subject in subjects if subject in by_subject)
