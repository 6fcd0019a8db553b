"""Parameters of our own layer `RankPass` in a graph: device_scripts/runner/layers/rank_pass.h says what they mean."""

from __future__ import annotations

from enum import StrEnum


class RankPass(StrEnum):
    """Names of the numbers that a graph file gives them; what is 0 or off is left out of the file."""

    CHANNELS = "0"
    RANK = "1"
    REDUCED = "2"
    TOTAL = "3"
    FIRST = "4"
    NORMALISED = "5"
    EPSILON = "6"
    RELU = "7"
    POOLED = "8"
    VECTORS = "9"
    ADDED = "10"
    KEPT = "11"
    KEPT_OUT = "12"
    SAMPLES = "13"
    POINTS = "14"
    WEIGHTS = "15"
    MEASURED = "20"
    DEFERRED = "21"
