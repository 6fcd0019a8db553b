"""The latencies of each launch as a distribution that a plot can show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.evidence import Distribution
from bench.records import Subject

DOTS = 50
"""Samples of a launch that are shown one by one; a box stands for all of them."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def distributions(frame: pd.DataFrame) -> tuple[Distribution, ...]:
    """One for each launch of the latency pass that gave samples, in the order of the run."""
    return tuple(_found(frame))


def _found(frame: pd.DataFrame) -> Iterator[Distribution]:
    timed = frame[(frame["metric"] == "latency") & (frame["status"] != "failed")]
    for key, rows in timed.groupby([*Subject.model_fields, "launch"], sort=False, observed=True):
        *names, launch = cast(tuple[Any, ...], key)
        values = rows["value"].to_numpy(dtype=np.float64)
        low, first, middle, third, high = (float(q) for q in np.quantile(values, QUANTILES))
        yield Distribution(
            Subject(**dict(zip(Subject.model_fields, names, strict=True))),
            int(launch),
            len(values),
            (low, first, middle, third, high),
            thinned(values),
            str(rows["reason"].iloc[0]) if rows["status"].iloc[0] == "tagged" else "",
        )


def thinned(values: NDArray[np.float64], most: int = DOTS) -> tuple[float, ...]:
    """At most so many of the values: equally spaced in time, and the extremes, which a plot must not lose."""
    if len(values) <= most:
        return tuple(map(float, values))
    spaced = np.linspace(0, len(values) - 1, most - 2).round().astype(int)
    return (*map(float, values[spaced]), float(values.min()), float(values.max()))
