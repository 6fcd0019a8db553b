"""Real inputs for the networks, all from packages that are installed: nothing is downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bench.data import digits, photos, vehicles
from bench.data.readers import READERS, detect, load

__all__ = ["READERS", "SampleSet", "detect", "load", "samples"]


@dataclass(frozen=True, eq=False)
class SampleSet:
    """Inputs (N, C, H, W) float32, their classes (N,) or those of their pixels (N, H, W), where there are any, and
    where they come from."""

    inputs: NDArray[np.float32]
    labels: NDArray[np.int64] | None
    source: str


def samples(kind: Literal["digits", "photos", "vehicles"], shape: tuple[int, int, int]) -> SampleSet:
    """The test samples of that kind, at (C, H, W) where the kind can be of any size."""
    match kind:
        case "digits":
            data = digits.load()
            return SampleSet(data.test_inputs, data.test_labels, digits.SOURCE)
        case "photos":
            return SampleSet(photos.load(*shape[1:]), None, photos.SOURCE)
        case "vehicles":
            drawn = vehicles.Vehicles(vehicles.TEST_SEED, vehicles.SHOWN, (shape[1:],))
            return SampleSet(*drawn.read(), vehicles.SOURCE)
