"""Pictures with a mask each, such as Carvana's photographs of cars. Nothing is held in memory.

https://www.kaggle.com/c/carvana-image-masking-challenge
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.data.collection import Collection, Item, held_out
from bench.data.readers import folder as folders
from bench.data.readers import parts
from bench.data.readers.pictures import decoded, decoded_mask, pictures
from bench.errors import CorruptData, UsageError

EXPECTED = (
    "pictures in images/ (or imgs/, or Carvana's train/) and as many masks in masks/ (train_masks/), a mask named as "
    "its picture (with _mask or without), by the same number at least; or x.png beside x_mask.png; or either of these "
    "within train/ and val/ or test/."
)
_PLACES = (("train", "train_masks"), ("imgs", "masks"), ("images", "masks"))
_MASK = "_mask"
_FEWEST_GROUPS = 5
_FEWEST = 10
"""Pairs that are divided. From fewer no network learns, and a fifth says nothing of one that learnt elsewhere."""

Pair = tuple[Path, Path]
"""A picture and its mask."""


def matches(path: Path) -> bool:
    return path.is_dir() and any(_is_place(place) for place in (path, *_parts(path)))


def load(path: Path) -> Collection:
    """The pictures of `path` with the class of each pixel.

    Without folders for both parts a fixed fifth is to test with, and all of fewer than ten pairs. Names that differ
    behind their last underscore only, such as 16 views of one car, stay on one side, where there are five such groups.
    Raises UsageError for missing folders, pictures and masks.
    """
    if _is_place(path):
        first, second = _pairs(path), list[Pair]()
    else:
        places = (next(filter(_is_place, parts.folder_of(path, names)), None) for names in (parts.TRAIN, parts.TEST))
        first, second = (_pairs(place) if place else [] for place in places)
    if not first and not second:
        raise folders.unfit(path, "a folder of pictures and masks", ("images/, masks/",), EXPECTED)
    learnt, tested, held = parts.divided(path, first, second, lambda pairs: held_out(_groups(pairs)), _FEWEST)
    source = f"{len(tested):,} pictures{held} with their masks from {path}"
    return Collection("pairs", "segmentation", [*map(_item, learnt)], [*map(_item, tested)], source)


def _parts(path: Path) -> list[Path]:
    return parts.folder_of(path, (*parts.TRAIN, *parts.TEST))


def _place(folder: Path) -> Pair | None:
    """The folders of pictures and of masks in `folder`."""
    places = ((folder / images, folder / masks) for images, masks in _PLACES)
    return next((place for place in places if place[0].is_dir() and place[1].is_dir()), None)


def _is_place(folder: Path) -> bool:
    return _place(folder) is not None or any(path.stem.endswith(_MASK) for path in pictures(folder))


def _pairs(folder: Path) -> list[Pair]:
    """Every picture of a part with its mask, sorted by name."""
    place = _place(folder)
    if place:
        of_picture, of_mask = (sorted(pictures(path)) for path in place)
    else:
        files = sorted(pictures(folder))
        of_mask = [path for path in files if path.stem.endswith(_MASK)]
        of_picture = [path for path in files if not path.stem.endswith(_MASK)]
    if not of_picture:
        raise folders.unfit(place[0] if place else folder, "a folder of pictures", ("pictures",), EXPECTED)
    return _matched(of_picture, of_mask)


def _matched(of_picture: list[Path], of_mask: list[Path]) -> list[Pair]:
    """By name, or by number where no name fits. Raises UsageError for pictures without a mask."""
    masks = {mask.stem.removesuffix(_MASK): mask for mask in of_mask}
    keys = [picture.stem for picture in of_picture]
    if not any(key in masks for key in keys):
        masks = {_number(mask): mask for mask in of_mask}
        keys = [_number(picture) for picture in of_picture]
    alone = [picture.name for picture, key in zip(of_picture, keys, strict=True) if key not in masks]
    if alone:
        raise UsageError(
            f"{len(alone):,} of {len(of_picture):,} pictures in {of_picture[0].parent} have no mask: "
            f"{folders.few(alone)}",
            f"Expected {EXPECTED}",
        )
    return [(picture, masks[key]) for picture, key in zip(of_picture, keys, strict=True)]


def _number(path: Path) -> str:
    """The digits a name ends with, or the name."""
    digits = re.search(r"\d+$", path.stem.removesuffix(_MASK))
    return digits[0] if digits else path.stem


def _groups(pairs: list[Pair]) -> list[str]:
    stems = [picture.stem for picture, _ in pairs]
    groups = [stem.rpartition("_")[0] or stem for stem in stems]
    return groups if len(set(groups)) >= _FEWEST_GROUPS else stems


def _item(pair: Pair) -> Item:
    picture, mask = pair
    return Item(str(picture), partial(decoded, picture), partial(_mask, picture, mask), picture)


def _mask(picture: Path, mask: Path) -> NDArray[np.uint8]:
    classes, (width, height) = decoded_mask(mask), decoded(picture).size
    if classes.shape != (height, width):
        raise CorruptData(
            f"{mask} is {classes.shape[1]}×{classes.shape[0]} pixels, its picture {width}×{height}",
            "Get the mask again; the two must be one size.",
        )
    return classes
