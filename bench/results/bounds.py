"""What a stored figure may be: the bounds in which a runner's line is understood (`bench.measure.lines`), by metric.

A figure outside of them was not measured. It is refused where it is read, since logarithms, ratios and axes of it are
errors or nonsense.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from bench.errors import CorruptData
from bench.records import METRICS
from bench.text import visible

_LARGEST = 2.0**53
_BY_UNIT = {
    "ns": (0.0, _LARGEST), "B": (0.0, _LARGEST), "px": (1.0, _LARGEST), "Hz": (1.0, 1000 * _LARGEST),
    "J": (1e-12, 2e6), "°C": (-100.0, 300.0), "count": (0.0, 100.0), "fraction": (-1.0, 1.0 + 1e-6),
    "dB": (-1e4, 1e4), "1": (0.0, 3.5e38),
}  # fmt: skip
_TIMED = ("latency", "contended", "sustained", "first_inference")
"""No inference takes no time."""


def bounds(metric: str) -> tuple[float, float]:
    """The least and the largest value of a metric in its unit; of one that this bench does not know, any number."""
    if metric not in METRICS:
        return float(np.finfo(float).min), float(np.finfo(float).max)
    low, high = _BY_UNIT[METRICS[metric].unit]
    return (1.0 if metric in _TIMED else low), high


def check(table: pa.Table, path: Path, column: str = "value", *, optional: bool = False) -> None:
    """Raises CorruptData, which names the first of them, for values of a table with a column `metric` that cannot have
    been measured. A row without a metric has no value; one that is `optional` may be null."""
    if not table.num_rows:
        return
    metrics = pa.concat_arrays(table["metric"].chunks).dictionary_encode()
    names = [name or "" for name in metrics.dictionary.to_pylist()]
    which = np.asarray(metrics.indices.fill_null(-1))
    values = table[column].to_numpy()
    lows, highs = np.asarray([bounds(name) for name in names] or [(0.0, 0.0)]).T
    good = (values >= lows[which]) & (values <= highs[which])  # not a number is neither
    if optional:
        good |= np.asarray(table[column].is_null())
    good |= np.asarray([name == "" for name in names] or [False])[which]
    if good.all():
        return
    row = int(np.argmin(good))
    name = names[which[row]]
    low, high = bounds(name)
    unit = METRICS[name].unit if name in METRICS else ""
    raise CorruptData(
        f"{path} is damaged: {_whose(table, row)}: {visible(name)} of {values[row]:g} {unit}".rstrip()
        + f", which can only be from {low:g} to {high:g}",
        "Restore the file from a copy; a run's folder can also be measured again, and added again: bench results add.",
    )


def _whose(table: pa.Table, row: int) -> str:
    if "trial" in table.column_names:
        return f"trial {visible(str(table['trial'][row]))}"
    known = [name for name in ("run", "model", "variant", "device", "launch") if name in table.column_names]
    return visible(", ".join(f"{name} {table[name][row]}" for name in known)) or f"row {row}"
