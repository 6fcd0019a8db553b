"""Carvana: photographs of cars, and masks of where the car is.

https://www.kaggle.com/c/carvana-image-masking-challenge. Nothing is held in memory: 5,088 photographs of 1918×1280 are
40 GB once decoded.
"""

from __future__ import annotations

import math
import re
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.data.dataset import Dataset, Integers, OnDisk
from bench.data.readers import folder as folders
from bench.data.readers.pictures import opened
from bench.errors import CorruptData, UsageError

EXPECTED = (
    "photographs in train/, imgs/ or images/ and as many masks in train_masks/ or masks/, a mask named as its "
    "photograph (with _mask or without), by the same number at least; .jpg, .png or .gif."
)
SIZE = (320, 480)
"""Height and width that `bench` looks at by default: a quarter of Carvana's own, and its shape."""
TEST_SHARE = 0.1
_PLACES = (("train", "train_masks"), ("imgs", "masks"), ("images", "masks"))
_PICTURES = {".jpg", ".jpeg", ".png", ".gif"}
_SPLIT_SEED = 2304_07973

Pair = tuple[Path, Path]
"""A photograph and its mask."""


def matches(folder: Path) -> bool:
    return any((folder / images).is_dir() and (folder / masks).is_dir() for images, masks in _PLACES)


def load(folder: Path, size: tuple[int, int] = SIZE, test_share: float = TEST_SHARE) -> Dataset:
    """The photographs of `folder`, each made `size` (height, width) when it is read: colours in 0..1, masks of 0 and 1.

    Split by car, since there are 16 views of each: a seeded choice of cars, at least `test_share` of them, is the test
    set. Raises UsageError for missing folders, photographs and masks; CorruptData, at reading, for damaged ones.
    """
    pairs = _pairs(folder)
    cars = sorted({_car(photograph) for photograph, _ in pairs})
    chosen = np.random.default_rng(_SPLIT_SEED).permutation(len(cars))[: math.ceil(test_share * len(cars))]
    tested = {cars[place] for place in chosen}
    train = [pair for pair in pairs if _car(pair[0]) not in tested]
    test = [pair for pair in pairs if _car(pair[0]) in tested]
    source = (
        f"Carvana's form: {len(train):,} photographs to train on, {len(test):,} of {len(tested)} other cars to test "
        f"on, at {size[0]}×{size[1]}, from {folder}"
    )
    return Dataset("carvana", "segmentation", 2, _part(train, size), _part(test, size), source)


def _pairs(folder: Path) -> list[Pair]:
    """Every photograph with its mask, sorted by name."""
    found = [(folder / images, folder / masks) for images, masks in _PLACES]
    place = next(((images, masks) for images, masks in found if images.is_dir() and masks.is_dir()), None)
    if place is None:
        raise folders.unfit(folder, "Carvana", ("train/", "train_masks/"), EXPECTED)
    photographs, masks = (_pictures(path) for path in place)
    if not photographs:
        raise folders.unfit(place[0], "a folder of photographs", ("pictures",), EXPECTED)
    by_name = {mask.stem.removesuffix("_mask"): mask for mask in masks}
    if not any(photograph.stem in by_name for photograph in photographs):
        by_name = {_number(mask): mask for mask in masks}
        of = [by_name.get(_number(photograph)) for photograph in photographs]
    else:
        of = [by_name.get(photograph.stem) for photograph in photographs]
    alone = [photograph.name for photograph, mask in zip(photographs, of, strict=True) if mask is None]
    if alone:
        raise UsageError(
            f"{len(alone):,} of {len(photographs):,} photographs in {place[0]} have no mask in {place[1]}: "
            f"{folders.few(alone)}",
            f"Expected {EXPECTED}",
        )
    return [(photograph, mask) for photograph, mask in zip(photographs, of, strict=True) if mask is not None]


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in _PICTURES)


def _car(photograph: Path) -> str:
    """Which car it shows: Carvana's names are that, and the number of the view after a dash below."""
    return photograph.stem.rpartition("_")[0] or photograph.stem


def _number(path: Path) -> str:
    """The digits a name ends with, or the name."""
    digits = re.search(r"\d+$", path.stem.removesuffix("_mask"))
    return digits[0] if digits else path.stem


def _part(pairs: list[Pair], size: tuple[int, int]) -> OnDisk:
    return OnDisk((3, *size), len(pairs), partial(_read, pairs, size))


def _read(pairs: list[Pair], size: tuple[int, int], index: int) -> tuple[NDArray[np.float32], Integers]:
    height, width = size
    photograph, mask = pairs[index]
    with opened(photograph) as picture:
        original = picture.size
        picture.draft("RGB", (width, height))  # a JPEG is decoded at an eighth to a half of its size, if that will do
        colours = picture.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    with opened(mask) as picture:
        if picture.size != original:
            raise CorruptData(
                f"{mask} is {picture.width}×{picture.height} pixels, its photograph {original[0]}×{original[1]}",
                "Get the mask again; the two must be one size.",
            )
        grey = np.asarray(picture.convert("L").resize((width, height), Image.Resampling.NEAREST))
    inputs = np.asarray(colours, np.float32).transpose(2, 0, 1) / np.float32(255)
    # Masks are 0 and 255, or 0 and 1.
    return np.asarray(inputs, np.float32), (grey > grey.max() // 2).astype(np.int64)
