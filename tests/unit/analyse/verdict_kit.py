"""Series for tests of verdicts: made up, and cut out of launches that were really recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from bench.analyse.series import Series, series
from bench.records import Subject

RECORDED = Path(__file__).parents[2] / "golden" / "launches"
"""See tests/golden/record_launches.py."""
SAME = {
    "inputs": "1x28x28", "samples": "s", "protocol": "w", "cores": "any", "os": "Android 14", "device_name": "a phone",
    "program": "p", "artifact": "a",
}  # fmt: skip


def made(values: Sequence[float], metric: str = "latency", run: str = "r", **more: Any) -> Series:
    """A series of launches with these medians."""
    subject = Subject(model="m", variant=more.pop("variant", "v"), device=more.pop("device", "p1"), runtime="ncnn")
    base = Series(
        subject, metric, (run,), (f"/runs/{run}",), dict(enumerate(values)), 0, "", "", virtual=False,
        translated=False, ordinary=True, conditions=SAME,
    )  # fmt: skip
    return replace(base, **more)


def recorded(network: str, metric: str = "latency") -> tuple[Series, Series]:
    """What was recorded of a network under its two labels, which are two names of the same thing."""
    rows = pq.read_table(RECORDED / f"{network}.parquet").to_pylist()
    a, b = (one for one in series(rows) if one.metric == metric)
    return a, b


def frame(network: str) -> pd.DataFrame:
    table: pd.DataFrame = pq.read_table(RECORDED / f"{network}.parquet").to_pandas()
    return table


def window(one: Series, first: int, count: int, factor: float = 1.0) -> Series:
    """The launches from `first` on, as a run of `count` launches would have had them, `factor` times as long."""
    return replace(one, launches={k: factor * one.launches[first + k] for k in range(count)})
