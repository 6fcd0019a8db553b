"""What a reader gives: images with answers to train on and to test on, in memory or read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


class Batch(NamedTuple):
    """`inputs` (N, C, H, W) float32; `answers` int64: classes (N,), or one class per pixel (N, H, W)."""

    inputs: NDArray[np.float32]
    answers: Integers


class Part(Protocol):
    """The images to train on, or those to test on."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of every image."""

    def __len__(self) -> int: ...

    def read(self, indices: Integers | None = None) -> Batch:
        """The images at `indices`, in that order; all without. Raises CorruptData for a file that cannot be read."""


@dataclass(frozen=True, eq=False)
class InMemory:
    """Images (N, C, H, W) uint8, which `read` gives as 0..1, with their classes (N,): a quarter of float32's space."""

    pixels: NDArray[np.uint8]
    classes: Integers

    @property
    def shape(self) -> tuple[int, int, int]:
        channels, height, width = self.pixels.shape[1:]
        return channels, height, width

    def __len__(self) -> int:
        return len(self.pixels)

    def read(self, indices: Integers | None = None) -> Batch:
        chosen = slice(None) if indices is None else indices
        inputs = self.pixels[chosen].astype(np.float32)
        inputs /= 255
        return Batch(inputs, self.classes[chosen])


@dataclass(frozen=True, eq=False)
class OnDisk:
    """Images that stay in their files: `load(i)` reads the i-th, as (C, H, W) float32 and its answer."""

    shape: tuple[int, int, int]
    count: int
    load: Callable[[int], tuple[NDArray[np.float32], Integers | int]]

    def __len__(self) -> int:
        return self.count

    def read(self, indices: Integers | None = None) -> Batch:
        chosen = range(self.count) if indices is None else indices.tolist()
        inputs = np.empty((len(chosen), *self.shape), np.float32)
        answers = []
        for place, index in enumerate(chosen):
            inputs[place], answer = self.load(index)
            answers.append(answer)
        return Batch(inputs, np.array(answers, np.int64))


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set on the user's disk. `classes` is how many different answers there are; `source` is for a report."""

    name: str
    task: Literal["classification", "segmentation"]
    classes: int
    train: Part
    test: Part
    source: str
