"""Small networks as a method sees them, and what they learn from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from bench.cache import Cache
from bench.compress.learner import Data, Learner
from bench.compress.training import Images
from bench.networks import Network
from bench.records import Tensor


def small(make: Callable[[], nn.Module], *shape: int, trained: bool = True, **more: Any) -> Network:
    """A network called small with one input."""
    return Network(
        "small", "Small", (Tensor(name="in0", shape=shape),), build=make, trained=trained, **{"task": "other", **more}
    )


def quiet(title: str) -> Callable[[float, str], None]:
    return lambda done, words: None


def learnt(network: Network, folder: Path) -> Learner:
    """With nothing to learn from."""
    return Learner(network, Cache(folder), quiet)


def learning(network: Network, folder: Path, inputs: NDArray[Any], answers: NDArray[Any]) -> Learner:
    """With `inputs` and `answers` to train and to be tested on."""
    samples = Images(inputs.astype(np.float32), answers)
    return Learner(network, Cache(folder), quiet, Data(samples, samples, "made up", "made up"))
