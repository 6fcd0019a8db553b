"""Pictures from where a network is at work, added to the data that it is trained on: some are learnt from, others are
held apart, to measure on what no training has seen.

A burst of the camera, or the same sign photographed twice, is nearly one picture: such pictures are a group, and a
group is never divided. Which groups are held apart follows from a digest of what the pictures show, not from names,
order or number, so that a picture that is held apart stays so while others are added, as long as none joins its group.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.data.collection import Collection, Item
from bench.data.readers import read
from bench.data.readers.pictures import decoded
from bench.errors import CorruptData, UsageError

SHARE = 1 / 3
"""Of the groups, about how many are held apart."""
BURST_S = 2.0
"""Seconds between two pictures of one burst."""
LONGEST_BURST = 50
"""Pictures; more that follow each other so fast were copied, and their times say nothing."""
NEAR_BITS = 20
"""Of the 256 of two pictures' likenesses, how many may differ between two that are nearly the same."""
MOST = 10_000
_SIDE = 16
_SHOWN = 5
_SET_BITS = np.array([number.bit_count() for number in range(2**16)], np.uint8)


@dataclass(frozen=True, eq=False)
class Added:
    """Items with the numbers that their classes have in the data they are added to. `groups` counts those of both
    parts; `source` and `notes` are words for a report."""

    learnt: tuple[Item, ...]
    apart: tuple[Item, ...]
    groups: tuple[int, int]
    source: str
    notes: tuple[str, ...] = ()


class _Print(NamedTuple):
    digest: str
    likeness: bytes


def added(path: Path, base: Collection, data: Path, seed: int = 1) -> Added:
    """The pictures of `path` as additions to the data `base`, which comes from `data`.

    Raises UsageError for classes that the data does not have, for what has none, and where one part would be empty;
    CorruptData for a picture that cannot be read, and for one that has two classes.
    """
    if base.task != "classification" or base.ready:
        raise UsageError(f"{data} is not pictures with a class each, so none can be added", "Leave --add out.")
    found = read(path)
    if found.task != "classification" or found.ready:
        raise UsageError(f"{path} has no pictures with classes", f"Give them some: bench label {path} --classes {data}")
    items = _numbered([*found.train, *found.test], found, base, path, data)
    if len(items) > MOST:
        raise UsageError(f"{path} has {len(items):,} pictures, and at most {MOST:,} can be added", "Take some out.")
    prints = [_print(item) for item in items]
    _refuse_contradictions(items, prints)
    groups, notes = _groups(items, prints)
    names = {group: min(prints[k].digest for k in np.flatnonzero(groups == group)) for group in np.unique(groups)}
    held = {group: _draw(name, seed) < SHARE for group, name in names.items()}
    learnt = tuple(item for item, group in zip(items, groups, strict=True) if not held[group])
    apart = tuple(item for item, group in zip(items, groups, strict=True) if held[group])
    if not learnt or not apart:
        raise UsageError(
            f"{path} has {len(items):,} pictures in {len(held):,} groups of bursts and likenesses, too few to learn "
            "from some and to hold others apart",
            "Collect and label more, at other times and places.",
        )
    number = (len(held) - sum(held.values()), sum(held.values()))
    unseen = {item.answer for item in apart} - {item.answer for item in learnt}
    if unseen:
        notes += (f"{len(unseen)} of the classes held apart have no picture of the field to learn from.",)
    source = (
        f"{len(items):,} pictures from {path} in {len(held):,} groups (bursts, near-duplicates): {len(learnt):,} to "
        f"learn from, {len(apart):,} held apart"
    )
    return Added(learnt, apart, number, source, notes)


def _numbered(items: Sequence[Item], found: Collection, base: Collection, path: Path, data: Path) -> list[Item]:
    """The items with the data's own numbers. Raises UsageError for classes that it does not have."""
    if base.classes is not None:
        numbers = {name: place for place, name in enumerate(base.classes)}
    else:
        numbers = {str(item.answer): item.answer for item in (*base.train, *base.test) if isinstance(item.answer, int)}
    named = []
    unknown: Counter[str] = Counter()
    for item in items:
        assert isinstance(item.answer, int)
        name = found.classes[item.answer] if found.classes is not None else str(item.answer)
        if name in numbers:
            named.append(Item(item.name, item.picture, numbers[name], item.file))
        else:
            unknown[name] += 1
    if unknown:
        some = ", ".join(f"{name!r} ({count:,} pictures)" for name, count in unknown.most_common(_SHOWN))
        known = ", ".join(list(numbers)[:_SHOWN])
        raise UsageError(
            f"{path} has classes that {data} does not have: {some}",
            f"Rename or move these folders; {data} has {len(numbers):,} classes: {known}, …",
        )
    return named


def _print(item: Item) -> _Print:
    if item.file is not None:
        status = item.file.stat()
        return _print_of_file(item.file, status.st_size, status.st_mtime_ns)
    picture = item.picture()
    assert isinstance(picture, Image.Image)
    return _print_of(picture)


@lru_cache(maxsize=MOST)
def _print_of_file(path: Path, size: int, time: int) -> _Print:
    return _print_of(decoded(path))


def _print_of(picture: Image.Image) -> _Print:
    """The digest of the pixels, and 256 bits: whether each of 16×16 places is darker than the one to its right."""
    digest = hashlib.sha256(f"{picture.mode} {picture.size} ".encode() + picture.tobytes()).hexdigest()
    small = np.asarray(picture.convert("L").resize((_SIDE + 1, _SIDE), Image.Resampling.BILINEAR), np.int16)
    return _Print(digest, np.packbits(small[:, 1:] > small[:, :-1]).tobytes())


def _refuse_contradictions(items: Sequence[Item], prints: Sequence[_Print]) -> None:
    first: dict[str, Item] = {}
    for item, one in zip(items, prints, strict=True):
        other = first.setdefault(one.digest, item)
        if other.answer != item.answer:
            raise CorruptData(f"{other.name} and {item.name} show the same and have two classes", "Remove one of them.")


def _groups(items: Sequence[Item], prints: Sequence[_Print]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The group of each item, and what is to be told of the grouping."""
    parent = list(range(len(items)))

    def root(of: int) -> int:
        while parent[of] != of:
            parent[of] = parent[parent[of]]
            of = parent[of]
        return of

    likeness = np.frombuffer(b"".join(one.likeness for one in prints), np.uint16).reshape(len(items), -1)
    for place in range(len(items)):
        apart = _SET_BITS[likeness[place + 1 :] ^ likeness[place]].sum(axis=1)
        for other in np.flatnonzero(apart <= NEAR_BITS):
            parent[root(place + 1 + int(other))] = root(place)
    copied = 0
    for burst in _bursts(items):
        if len(burst) > LONGEST_BURST:
            copied += len(burst)
            continue
        for member in burst[1:]:
            parent[root(member)] = root(burst[0])
    notes = (
        f"The times of {copied:,} files follow each other without a pause, as those of copies do: which of these are "
        "of one burst is told by what they show alone."
    )
    return np.array([root(place) for place in range(len(items))]), (notes,) if copied else ()


def _bursts(items: Sequence[Item]) -> list[list[int]]:
    """Runs of pictures, each taken within BURST_S of the one before; of files alone, whose times are known."""
    times = sorted((item.file.stat().st_mtime, place) for place, item in enumerate(items) if item.file is not None)
    runs: list[list[int]] = []
    for (time, place), before in zip(times, [-np.inf, *(time for time, _ in times)], strict=False):
        if time - before > BURST_S:
            runs.append([])
        runs[-1].append(place)
    return runs


def _draw(name: str, seed: int) -> float:
    """A number in 0..1 that a group's name and the seed decide."""
    return int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:8], "big") / 2**64
