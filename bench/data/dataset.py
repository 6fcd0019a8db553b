"""Data to train a network on and to test it with: what comes with bench, or the user's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from bench.data import digits, vehicles
from bench.data.added import Added, added
from bench.data.collection import Item, Part, Pictures, to_validate
from bench.data.readers import npz, read
from bench.errors import UnknownName, UsageError
from bench.preprocess import DEFAULT, Preprocess


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images with answers; without any where `task` is None. `source` is for a report; `classes` are names in the order
    of their numbers, where there are any; `preprocess` is how pictures become inputs, None where they are taken as they
    are."""

    name: str
    task: Literal["classification", "segmentation"] | None
    train: Part
    test: Part
    source: str
    preprocess: Preprocess | None
    classes: tuple[str, ...] | None = None
    added: FromField | None = None
    validation: Part | None = None
    """What neither trains nor tests, where a share of what there is to train on was asked for."""


@dataclass(frozen=True, eq=False)
class FromField:
    """Pictures that were added to the data: those that are `learnt` are in its `train` too, and nothing is trained on
    those held `apart`."""

    learnt: Part
    apart: Part
    source: str
    notes: tuple[str, ...]


def dataset(
    origin: Path | str,
    preprocess: Preprocess | None,
    shape: tuple[int, ...],
    *,
    classes: int | None = None,
    labels: bool = True,
    add: Path | None = None,
    validation: float | None = None,
) -> Dataset:
    """The data in a folder or file (a Path), or of a built-in kind, for a network with the input `shape` (C, H, W).

    `classes` is how many the network tells apart: a user's label beyond them is a UsageError when it is read. Drawn
    vehicles keep their own sizes, as a network that is convolutional throughout may have them. Without `labels` data
    that has none will do: all its pictures are to train on, and to test with. The pictures in `add` come to those to
    train on, but for the part held apart (`bench.data.added`). `validation` is the share, 0 to 1, of what the data
    itself has to train on that is held out (`collection.to_validate`). Raises UnknownName
    (kind), UsageError (nothing to train on, or to hold out) and CorruptData.
    """
    if len(shape) != 3:
        raise UsageError(
            f"pictures do not become an input of {'×'.join(map(str, shape))} values",
            "bench trains networks that take one picture: channels × height × width.",
        )
    if isinstance(origin, Path):
        return _own(origin, preprocess, shape, classes, labels, add, validation)
    if origin not in _KINDS:
        raise UnknownName.of("kind of data to train on", origin, _KINDS)
    found = _KINDS[origin](preprocess or DEFAULT, shape)
    if validation is None:
        return found
    if not isinstance(found.train, Pictures):
        raise UsageError(
            f"the {found.name} that come with bench are drawn while training, and none of them can be held out",
            "Leave `validation` out, or name data of your own.",
        )
    train, held = _apart(found.train.items, validation, found.source)
    return replace(found, train=replace(found.train, items=train), validation=replace(found.train, items=held))


def teaches(origin: Path | str) -> bool:
    """Whether there is something to train on: of the built-in kinds only some have answers."""
    return isinstance(origin, Path) or origin in _KINDS


def _own(
    path: Path, preprocess: Preprocess | None, shape: tuple[int, ...], classes: int | None, labels: bool,
    add: Path | None, validation: float | None,
) -> Dataset:  # fmt: skip
    collection = read(path)
    more = added(add, collection, path) if add else None
    if collection.task is None:
        if labels:
            raise UsageError(
                f"{path} has no labels to learn from",
                "Name data with class folders, labels or masks; or let a network that is made smaller learn from what "
                "the trained one answers: --unlabelled.",
            )
        collection = replace(collection, train=collection.test)
    if not collection.train or not collection.test:
        missing = "train on" if collection.test else "test with"
        raise UsageError(
            f"{path} has nothing to {missing}: {collection.source}",
            "Name a folder with train/ and test/, or one without either, which is then split.",
        )
    how = preprocess or collection.preprocess or DEFAULT
    learnt, held = _apart(collection.train, validation, str(path)) if validation is not None else (collection.train, ())
    learnt = (*learnt, *more.learnt) if more else learnt
    train, test, third = (Pictures(items, how, shape, classes) for items in (learnt, collection.test, held))
    if collection.ready and preprocess:
        npz.check_range(train.read(np.arange(min(_LOOKED_AT, len(train)))).inputs, preprocess, path)
    between = f"{len(third):,} for validation, " if held else ""
    source = f"{len(train):,} pictures to train on, {between}{collection.source}"
    used = None if collection.ready else how
    field = _from_field(more, how, shape, classes) if more else None
    return Dataset(
        collection.reader,
        collection.task,
        train,
        test,
        source,
        used,
        collection.classes,
        field,
        third if held else None,
    )


def _from_field(more: Added, how: Preprocess, shape: tuple[int, ...], classes: int | None) -> FromField:
    learnt, apart = (Pictures(items, how, shape, classes) for items in (more.learnt, more.apart))
    return FromField(learnt, apart, more.source, more.notes)


def _apart(items: Sequence[Item], share: float, source: str) -> tuple[list[Item], list[Item]]:
    """What is left to train on, and what is for validation."""
    chosen = to_validate(items, share)
    if not chosen.any():
        raise UsageError(
            f"{source} has nothing to hold out for validation: no class has two groups of pictures",
            "Leave `validation` out, or name more data.",
        )
    held = [item for item, is_held in zip(items, chosen, strict=True) if is_held]
    return [item for item, is_held in zip(items, chosen, strict=True) if not is_held], held


_LOOKED_AT = 256


def _digits(preprocess: Preprocess, shape: tuple[int, ...]) -> Dataset:
    data = digits.load()
    train = Pictures(digits.items(data.train_inputs, data.train_labels), preprocess, shape)
    test = Pictures(digits.items(data.test_inputs, data.test_labels), preprocess, shape)
    return Dataset("digits", "classification", train, test, digits.SOURCE, preprocess)


def _vehicles(preprocess: Preprocess, shape: tuple[int, ...]) -> Dataset:
    train, test = vehicles.to_train_on(preprocess), vehicles.to_test_on(preprocess)
    return Dataset("vehicles", "segmentation", train, test, f"{len(test)} drawn vehicles at 96×144", preprocess)


_KINDS = {"digits": _digits, "vehicles": _vehicles}
