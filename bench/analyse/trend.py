"""A figure over many nights, and the nights since which it has been another.

Change points are found by PELT (R. Killick, P. Fearnhead, I. Eckley, JASA 107 (2012) 1590–1598; the package
`ruptures`) in the logarithms of the nights' medians, with a penalty of 3 S² ln(nights). S is the noise from night to
night, from differences of neighbours (`noise`), so that a step does not count as noise. A single odd night is cut to
what its neighbours allow before, since a night that was disturbed is no change.

Each one found must then hold by itself: the medians of the nights before and after it, as far as the next changes,
differ by more than the margin and by more than noise explains, else the weakest is dropped and the rest is asked again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import special

from bench.analyse.noise import spread_of_neighbours
from bench.errors import ToolMissing
from bench.findings import Change, Night, Trend
from bench.records import Subject

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "key", "started", "folder", "commit", "device", "model", "variant", "runtime", "threads", "precision", "metric",
    "launch", "value", "status", "unusable", "virtual",
)  # fmt: skip
"""What `trends` reads of the history."""
LEAST = 3
"""Nights before and after a change; fewer may be chance."""
LEVEL = 0.999
"""A change is believed beyond this quantile of noise: a year has many nights on which one could be."""
_PENALTY = 3.0
_ODD = 4.0
"""Noise deviations from the median of it and its neighbours at which a night is cut."""
_BESIDE = 2
"""Neighbours on either side."""
_MEDIAN = math.sqrt(math.pi / 2)


def trends(frame: pd.DataFrame, margin: float) -> list[Trend]:
    """A trend for each subject and metric in rows of the history, in the order of their runs.

    Raises ToolMissing without the package ruptures.
    """
    fit = frame[(frame["status"] == "ok") & (frame["unusable"] == "") & (frame["value"] > 0)]
    names = [*Subject.model_fields, "metric"]
    found = []
    for of, mine in fit.groupby(names, sort=False):
        *who, metric = of if isinstance(of, tuple) else (of,)
        subject = Subject.model_validate(dict(zip(Subject.model_fields, who, strict=True)))
        runs = mine.groupby("key", sort=False)
        figures = runs["value"].quantile(np.array([0.25, 0.5, 0.75])).unstack().to_numpy().tolist()
        facts = runs[["started", "folder", "commit"]].first().reset_index().to_dict("records")
        nights = tuple(
            Night(
                str(fact["key"]), fact["started"].isoformat(timespec="seconds"), str(fact["folder"]),
                str(fact["commit"]), middle, low, high, int(count),
            )
            for fact, (low, middle, high), count in zip(facts, figures, runs.size().tolist(), strict=True)
        )  # fmt: skip
        found.append(Trend(subject, str(metric), bool(mine["virtual"].any()), nights, changes(nights, margin)))
    return found


def changes(nights: Sequence[Night], margin: float) -> tuple[Change, ...]:
    """The nights since which the figure has been another; none of fewer than twice LEAST nights."""
    if len(nights) < 2 * LEAST:
        return ()
    logs = np.log([night.median for night in nights])
    noise = spread_of_neighbours(logs)
    borders = _borders(logs, noise)
    while len(borders) > 2:
        found = [_change(nights, logs, noise, *borders[i - 1 : i + 2]) for i in range(1, len(borders) - 1)]
        weak = [
            i
            for i, (change, needed) in enumerate(found)
            if abs(math.log(change.ratio)) <= max(needed, math.log1p(margin))
        ]
        if not weak:
            return tuple(change for change, _ in found)
        worst = min(weak, key=lambda i: abs(math.log(found[i][0].ratio)) / (found[i][1] or 1e-12))
        del borders[worst + 1]
    return ()


def _borders(logs: NDArray[np.float64], noise: float) -> list[int]:
    """Where segments begin, and the end."""
    try:
        import ruptures  # half a second, for this alone
    except ImportError:
        raise ToolMissing(
            "the package ruptures is missing, which finds change points", "pip install ruptures"
        ) from None
    around = np.pad(logs, _BESIDE, mode="edge")
    middle = np.median(np.lib.stride_tricks.sliding_window_view(around, 2 * _BESIDE + 1), axis=1)
    reach = _ODD * max(noise, 1e-9)
    calm = np.clip(logs, middle - reach, middle + reach)
    search = ruptures.KernelCPD(kernel="linear", min_size=LEAST).fit(((calm - calm.mean()) / max(noise, 1e-9))[:, None])
    return [0, *(int(border) for border in search.predict(pen=_PENALTY * math.log(len(logs))))]


def _change(
    nights: Sequence[Night], logs: NDArray[np.float64], noise: float, begin: int, at: int, end: int
) -> tuple[Change, float]:
    """The change at a border between two segments, and how much of a log ratio noise explains there."""
    before, after = float(np.median(logs[begin:at])), float(np.median(logs[at:end]))
    needed = float(special.ndtri(0.5 + LEVEL / 2)) * _MEDIAN * noise * math.sqrt(1 / (at - begin) + 1 / (end - at))
    ratio = math.exp(after - before)
    return Change(at, nights[at], math.exp(before), math.exp(after), ratio, at - begin, end - at), needed
