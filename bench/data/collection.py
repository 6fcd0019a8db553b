"""What a reader found on disk, and its pictures as inputs of a network, read when they are asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.errors import CorruptData, UsageError
from bench.preprocess import Preprocess

Integers = NDArray[np.int64]
Floats = NDArray[np.float32]
SPLIT_SEED = 2304_07973
TEST_SHARE = 0.2
UNLABELLED = -1


class Batch(NamedTuple):
    """`inputs` (N, C, H, W) float32; `answers` int64: classes (N,), or one class per pixel (N, H, W)."""

    inputs: Floats
    answers: Integers


class Part(Protocol):
    """The images to train on, or those to test on."""

    def __len__(self) -> int: ...

    def read(self, indices: Integers | None = None) -> Batch:
        """The images at `indices`, in that order; all without. Raises CorruptData for a file that cannot be read."""


@dataclass(frozen=True, eq=False, slots=True)
class Item:
    """One picture of a data set, read when it is asked for.

    `picture` gives an image of mode L or RGB, or an array (C, H, W) float32 that is an input already. `answer` is a
    class, or gives one for each pixel (H, W), or None. `name` is for an error's words: a path, or a place in a file.
    `file` is a file that is this picture and nothing else, where there is one. Pictures of one class and `group` show
    the same thing, e.g. a sign that a car drives up to, so that one of them tells what the others are.
    """

    name: str
    picture: Callable[[], Image.Image | Floats]
    answer: int | Callable[[], NDArray[np.integer[Any]]] | None = None
    file: Path | None = None
    group: str | None = None


@dataclass(frozen=True, eq=False)
class Collection:
    """What a reader found. `source` tells a report what and where; `classes` are names in the order of their numbers,
    where there are any; `preprocess` is how the data set's own studies look at it. With `ready` the pictures are arrays
    that are inputs already."""

    reader: str
    task: Literal["classification", "segmentation"] | None
    train: Sequence[Item]
    test: Sequence[Item]
    source: str
    classes: tuple[str, ...] | None = None
    preprocess: Preprocess | None = None
    ready: bool = False


@dataclass(frozen=True, eq=False)
class Pictures:
    """A part whose pictures stay where they are until they are read, as inputs of `shape` (C, H, W)."""

    items: Sequence[Item]
    preprocess: Preprocess
    shape: tuple[int, ...]
    classes: int | None = None
    """How many the network tells apart; other answers raise UsageError when they are read."""

    def __len__(self) -> int:
        return len(self.items)

    def read(self, indices: Integers | None = None) -> Batch:
        chosen = range(len(self.items)) if indices is None else indices.tolist()
        inputs = np.empty((len(chosen), *self.shape), np.float32)
        answers: list[int | Integers] = []
        damaged: list[CorruptData] = []
        for place, index in enumerate(chosen):
            item = self.items[index]
            try:
                inputs[place] = self._input(item)
                answers.append(self._answer(item))
            except CorruptData as error:
                damaged.append(error)
        if damaged:
            fine = f"{len(damaged):,} of {len(chosen):,} pictures cannot be used, the other {len(answers):,} are fine"
            raise CorruptData("\n".join([error.what for error in damaged[:_SHOWN]] + [fine]), damaged[0].fix)
        return Batch(inputs, np.array(answers, np.int64))

    def _input(self, item: Item) -> Floats:
        picture = item.picture()
        if isinstance(picture, Image.Image):
            return self.preprocess.apply(picture, self.shape)
        if picture.shape != self.shape:
            raise CorruptData(
                f"{item.name} has the shape {picture.shape}, and the network takes {self.shape}",
                "Images of floats are used as they are; store them as uint8 to have them resized.",
            )
        if not np.isfinite(picture).all():
            raise CorruptData(f"{item.name} has values that are not finite numbers", "Correct the file.")
        return picture

    def _answer(self, item: Item) -> int | Integers:
        if item.answer is None:
            return UNLABELLED
        height, width = self.shape[1:]
        answer = self.preprocess.apply_mask(item.answer(), (height, width)) if callable(item.answer) else item.answer
        if self.classes is not None and not 0 <= (largest := int(np.max(answer))) < self.classes:
            raise impossible(str(largest), item.name, self.classes)
        return answer


_SHOWN = 5
"""Damaged pictures that an error names."""


def impossible(label: str, name: str, classes: int) -> UsageError:
    """The error for a `label`, of the picture `name`, that a network with this many `classes` cannot give."""
    return UsageError(
        f"label {label} of {name} is not one of the network's {classes} classes, 0 to {classes - 1}",
        "Correct the label, or name data with this network's classes.",
    )


def from_pixels(pixels: NDArray[np.uint8], labels: NDArray[np.integer[Any]], file: Path) -> list[Item]:
    """Items of images (N, H, W) or (N, H, W, 3) in memory and their classes (N,), which come from `file`."""
    return [
        Item(f"image {index} of {file}", partial(Image.fromarray, image), int(label))
        for index, (image, label) in enumerate(zip(pixels, labels, strict=True))
    ]


def balanced(labels: Integers | None, total: int, count: int, seed: int) -> Integers:
    """A seeded choice of `count` of `total` places, ascending; with `labels` (N,), classes in equal numbers."""
    random = np.random.default_rng(seed)
    rank = np.zeros(total, np.int64)
    if labels is not None:
        for label in np.unique(labels):
            places = np.flatnonzero(labels == label)
            rank[places] = random.permutation(len(places))
    order = np.lexsort((random.permutation(total), rank))
    return np.sort(order[:count]).astype(np.int64)


def split(groups: Sequence[object], share: float = TEST_SHARE) -> NDArray[np.bool_]:
    """Which of N items are to test with, once and for all: the same `share` of each group, at least one and, where a
    group has two, not all."""
    random = np.random.default_rng(SPLIT_SEED)
    test = np.zeros(len(groups), bool)
    members: dict[object, list[int]] = {}
    for place, group in enumerate(groups):
        members.setdefault(group, []).append(place)
    for places in members.values():
        count = min(max(1, round(share * len(places))), max(1, len(places) - 1))
        test[random.permutation(places)[:count]] = True
    return test


def held_out(groups: Sequence[str], share: float = TEST_SHARE) -> NDArray[np.bool_]:
    """Which of N items are to test with, once and for all: whole groups, at least a `share` of them and never all."""
    names = sorted(set(groups))
    count = max(1, min(math.ceil(share * len(names)), len(names) - 1))
    chosen = {names[place] for place in np.random.default_rng(SPLIT_SEED).permutation(len(names))[:count]}
    return np.array([group in chosen for group in groups])


def to_validate(items: Sequence[Item], share: float) -> NDArray[np.bool_]:
    """Which of N items are for validation, once and for all: about that `share` of the groups of each class, whole
    ones, at least one and never all. An item without a group is one by itself."""
    random = np.random.default_rng(SPLIT_SEED)
    members: dict[int | None, dict[object, list[int]]] = {}
    for place, item in enumerate(items):
        label = item.answer if isinstance(item.answer, int) else None
        group: object = place if item.group is None else item.group
        members.setdefault(label, {}).setdefault(group, []).append(place)
    chosen = np.zeros(len(items), bool)
    for groups in members.values():
        names = list(groups)
        count = min(max(1, round(share * len(names))), len(names) - 1)
        for number in random.permutation(len(names))[:count]:
            chosen[groups[names[number]]] = True
    return chosen
