"""The random numbers of a hidden layer: a function of a seed and a place, the same on every machine.

The twin of `device_scripts/runner/elm/random.h`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_GOLDEN, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def uniform(seed: int, places: NDArray[np.uint64]) -> NDArray[np.float32]:
    """Uniform in [-1, 1), in steps of 2^-23: the upper 24 bits of splitmix64's answers (Steele, Lea and Flood, 2014)
    number `places` after `seed`, in the shape of `places`."""
    z = np.uint64(seed) + (places + np.uint64(1)) * np.uint64(_GOLDEN)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(_FIRST)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(_SECOND)
    z ^= z >> np.uint64(31)
    return ((z >> np.uint64(40)).astype(np.int64) - 2**23).astype(np.float32) * np.float32(2.0**-23)


def hidden(seed: int, inputs: int, neurons: int, gain: np.float32) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The weights (neurons, inputs), times `gain`, and the biases (neurons,) of a hidden layer. Fewer neurons of the
    same seed are the first ones of more."""
    places = np.arange(neurons * (inputs + 1), dtype=np.uint64).reshape(neurons, inputs + 1)
    found = uniform(seed, places)
    return found[:, :inputs] * gain, found[:, inputs].copy()
