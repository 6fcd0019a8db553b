"""How the benchmarks of bench itself show what they found."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

HEADER = ("what", "median", "middle half", "n")


def row(name: str, values: Sequence[float], unit: str) -> tuple[str, str, str, str]:
    """A line under HEADER: the median of at least two values in that unit, their quartiles, and how many they are."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return name, f"{middle:.3g} {unit}", f"{low:.3g} … {high:.3g}", str(len(values))
