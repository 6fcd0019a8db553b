"""Parameters of our own layers `RankPass` and `LowRankPass` in a graph: rank_pass.h and low_rank_pass.h in
device_scripts/runner/layers say what they mean."""

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


class LowRankPass(StrEnum):
    """The same of a pass whose matrices are loaded."""

    CHANNELS = "0"
    RANK = "1"
    REDUCED = "2"
    ACTIVATION = "3"
    A = "4"
    B = "5"
    POOLED = "6"
    ADDED = "7"
    WIDE = "8"
    HALF = "9"
