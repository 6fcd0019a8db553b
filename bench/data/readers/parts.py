"""What a data set has to train on and what to test with, by the names that people use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

TRAIN = ("train", "training")
TEST = ("test", "testing", "val", "valid", "validation")


def is_test(path: Path) -> bool:
    """Whether a folder's or a file's name says that all of it is to test with: `val`, `flowers-test`, `x_val.npz`."""
    return path.resolve().stem.lower().replace("-", "_").rpartition("_")[2] in TEST


def folder_of(root: Path, names: tuple[str, ...]) -> list[Path]:
    """The folders in `root` with one of these names, in the order of the names."""
    present = {path.name.lower(): path for path in root.iterdir() if path.is_dir()}
    return [present[name] for name in names if name in present]


def divided(
    path: Path, train: list[T], test: list[T], choose: Callable[[list[T]], NDArray[np.bool_]], fewest: int = 0
) -> tuple[list[T], list[T], str]:
    """What to train on, what to test with, and words for a report.

    Data that is not divided comes as `train`, and `choose` says which of it is to test with; all of it where the name
    of `path` says so, and where there are fewer than `fewest`.
    """
    if train and test:
        return train, test, ""
    if test or is_test(path) or len(train) < fewest:
        return [], test or train, ""
    chosen = choose(train)
    held = [one for one, is_held in zip(train, chosen, strict=True) if is_held]
    return [one for one, is_held in zip(train, chosen, strict=True) if not is_held], held, " (held out by bench)"
