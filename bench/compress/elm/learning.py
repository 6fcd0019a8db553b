"""The same machine as the runner trains on a phone (device_scripts/runner/elm/train.h), solved by scipy in float64."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from bench.compress.elm import random
from bench.compress.elm.package import Package, stored
from bench.errors import CorruptData, UsageError
from bench.records import Progress

if TYPE_CHECKING:
    from bench.compress.training import Samples

ALPHAS = (0.5, 5.0, 50.0, 500.0)
"""Regularisations that are tried; published is 0.5 (Akusok et al., 2019)."""
VALIDATION = 8
"""Of so many samples one is to choose the regularisation by, and is not learnt from."""
_BATCH = 1024
_SAME = 1e-9
"""A deviation below so much of the mean is none, as the runner has it."""


@dataclass(frozen=True, eq=False)
class Part:
    """Inputs (N, …) float32 and classes (N,)."""

    inputs: NDArray[np.float32]
    labels: NDArray[np.integer]

    def __len__(self) -> int:
        return len(self.inputs)

    def some(self, places: NDArray[np.integer]) -> Part:
        return Part(self.inputs[places], self.labels[places])


def part_of(samples: Samples) -> Part:
    """All of them, in memory."""
    inputs, labels = samples.read()
    return Part(inputs, labels.astype(np.int64))


def refuse_unteachable(data: Part, source: str) -> None:
    """Refuse what a machine of this kind learns nothing from, or of which whatever it answers is right; `source` says
    in words where the samples are from. Raises CorruptData for samples that all have the same values, UsageError for
    those of one class."""
    flat = data.inputs.reshape(len(data), -1)
    mean = flat.mean(dtype=np.float64)
    places = range(0, len(flat), _BATCH)
    squares = sum(float(np.square(flat[at : at + _BATCH] - mean, dtype=np.float64).sum()) for at in places)
    if not math.sqrt(squares / flat.size) > _SAME * abs(mean):
        raise CorruptData(
            f"{source}: all values of the {len(data):,} samples to learn from are the same",
            "Look at the pictures, and at how they are prepared (preprocess).",
        )
    classes = np.unique(data.labels)
    if len(classes) == 1:
        raise UsageError(
            f"{source}: the {len(data):,} samples to learn from are all of class {classes[0]}, so that whatever is "
            "learnt from them tells nothing apart",
            "Give data of two classes or more, e.g. a folder for each.",
        )


def refuse_beyond(data: Part, classes: int, source: str) -> None:
    """Refuse samples of classes that are not among the network's; `source` as above. Raises UsageError."""
    strange = data.labels[(data.labels < 0) | (data.labels >= classes)]
    if len(strange):
        raise UsageError(
            f"{source}: {len(strange):,} samples are of classes beyond the network's {classes:,}, e.g. {strange[0]} "
            "(the first is 0)",
            "Give data of the network's task, or a network for this data.",
        )


def parts(whole: Part, seed: int, alphas: Sequence[float]) -> tuple[Part, Part | None]:
    """What to learn from, and what to choose among several `alphas` by: a seeded choice. Raises UsageError."""
    if len(alphas) == 1:
        return whole, None
    order = np.random.default_rng(seed).permutation(len(whole))
    held = len(whole) // VALIDATION
    if held == 0:
        raise UsageError(
            f"{len(whole)} samples are too few to choose a regularisation by", f"Name one, or {VALIDATION} samples."
        )
    return whole.some(np.sort(order[held:])), whole.some(np.sort(order[:held]))


def gain_of(inputs: int) -> np.float32:
    """What the random weights are scaled by, so that what a neuron gets has a deviation of about 1."""
    return np.float32(math.sqrt(3.0 / inputs))


@dataclass(frozen=True, eq=False)
class Learnt:
    """The package, the alpha that was chosen, and for each alpha how many of the validation part it answers rightly."""

    package: Package
    alpha: float
    tried: dict[float, int]


def learn(
    data: Part, held: Part | None, classes: int, neurons: int, seed: int, alphas: Sequence[float], progress: Progress
) -> Learnt:
    """Solve (HᵀH + alpha·I) β = HᵀT for each alpha, largest first, and keep the β that answers most of `held` rightly,
    of equals that of the larger alpha. Raises UsageError for samples that all have the same values."""
    flat = data.inputs.reshape(len(data), -1)
    mean, deviation = np.float32(flat.mean(dtype=np.float64)), np.float32(flat.std(dtype=np.float64))
    if not deviation > _SAME * abs(mean):
        raise UsageError("all values of all samples are the same: there is nothing to learn from", "Check the data.")
    gain = gain_of(flat.shape[1])
    weights, biases = random.hidden(seed, flat.shape[1], neurons, gain)

    def answers(inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.tanh(((inputs - mean) / deviation) @ weights.T + biases).astype(np.float64)

    products = np.zeros((neurons, neurons))
    sides = np.zeros((neurons, classes))
    for first in range(0, len(data), _BATCH):
        hidden = answers(flat[first : first + _BATCH])
        products += hidden.T @ hidden
        sides += hidden.T @ np.eye(classes)[data.labels[first : first + _BATCH]]
        progress(0.7 * first / len(data), f"{first:,} of {len(data):,} samples")
    best: tuple[int, float, Package] | None = None
    tried: dict[float, int] = {}
    for number, alpha in enumerate(sorted(alphas, reverse=True)):
        progress(0.7 + 0.3 * number / len(alphas), f"solve for alpha {alpha:g}")
        matrix = products.copy()
        matrix.flat[:: neurons + 1] += alpha
        solved = scipy.linalg.solve(matrix, sides, assume_a="pos", overwrite_a=True)
        halves, exponent = stored(solved.T)
        machine = Package(flat.shape[1], seed, float(gain), float(mean), float(deviation), exponent, halves)
        right = 0
        if held is not None:
            right = tried[alpha] = right_of(machine, held)
        if best is None or right > best[0]:
            best = right, alpha, machine
    assert best is not None
    return Learnt(best[2], best[1], tried)


def right_of(machine: Package, data: Part) -> int:
    """How many samples the machine answers rightly as it is shipped."""
    weights, biases = random.hidden(machine.seed, machine.inputs, machine.neurons, np.float32(machine.gain))
    output = machine.output_weights().T
    right = 0
    for first in range(0, len(data), _BATCH):
        some = data.inputs[first : first + _BATCH].reshape(-1, machine.inputs)
        hidden = np.tanh((some - np.float32(machine.mean)) / np.float32(machine.deviation) @ weights.T + biases)
        right += int(np.sum((hidden @ output).argmax(1) == data.labels[first : first + _BATCH]))
    return right
