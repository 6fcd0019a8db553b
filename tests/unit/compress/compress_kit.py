"""Small networks as a method sees them, and what they learn from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from bench.cache import Cache
from bench.compress.learner import Data, Learner
from bench.compress.training import Images


@dataclass(frozen=True)
class Input:
    shape: tuple[int, ...]
    dtype: str = "float32"


@dataclass(frozen=True)
class Small:
    """A network that `make` builds from the seed 0."""

    make: Callable[[], nn.Module]
    inputs: tuple[Input, ...]
    task: str = "classification"
    name: str = "small"
    learner: Callable[[], nn.Module] | None = None
    twin: Callable[[], nn.Module] | None = None
    graph: Path | None = None
    sources: tuple[Path | str | bytes, ...] = ("small",)
    coefficients: int | None = None

    def build(self) -> nn.Module:
        torch.manual_seed(0)
        return self.make().eval()


def small(make: Callable[[], nn.Module], *shape: int, task: str = "classification", graph: Path | None = None) -> Small:
    return Small(make, (Input(shape),), task=task, graph=graph)


def quiet(title: str) -> Callable[[float, str], None]:
    return lambda done, words: None


def learnt(network: Small, folder: Path) -> Learner:
    """With trained weights and nothing to learn from."""
    return Learner(network, Cache(folder), quiet, learnt=True)


def learning(network: Small, folder: Path, inputs: np.ndarray, answers: np.ndarray) -> Learner:
    """With `inputs` and `answers` to train and to be tested on."""
    samples = Images(inputs.astype(np.float32), answers)
    return Learner(network, Cache(folder), quiet, Data(samples, samples, "made up", "made up"))
