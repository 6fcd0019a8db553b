"""Class folders: pictures lie in a folder for each class, as torchvision's ImageFolder has them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path

from bench.data.collection import Collection, Item, split
from bench.data.readers import folder as folders
from bench.data.readers import parts
from bench.data.readers.pictures import decoded, is_picture, pictures

EXPECTED = (
    "a folder for each class with its pictures, or such folders within train/ and val/ or test/; classes are numbered "
    "in the order of their names, or by them where all names are numbers."
)
_NOT_CLASSES = frozenset(("__MACOSX", "@eaDir"))


def matches(path: Path) -> bool:
    return path.is_dir() and any(_hold_pictures(place) for place in (path, *_train(path), *_test(path)))


def load(path: Path) -> Collection:
    """The pictures of `path` with the numbers of their classes.

    Without folders for both parts a fixed, class-balanced fifth is to test with; all of it where the folder's name says
    so (val, test). An empty class folder keeps its number. Raises UsageError where there is no picture.
    """
    train, test = (next(filter(_hold_pictures, places), None) for places in (_train(path), _test(path)))
    whole = None if train or test else path
    roots = [root for root in (train or whole, test) if root]
    names = sorted({folder.name for root in roots for folder in _folders(root)})
    numbered = all(name.isascii() and name.isdecimal() for name in names)
    numbers = {name: int(name) if numbered else place for place, name in enumerate(names)}
    first, second = (_items(root, numbers) if root else [] for root in (train or whole, test))
    if not first and not second:
        raise folders.unfit(path, "a folder of class folders", ("pictures",), EXPECTED)
    learnt, tested, held = parts.divided(path, first, second, lambda items: split([item.answer for item in items]))
    source = f"{len(tested):,} pictures{held} of {len(names):,} class folders from {path}"
    return Collection("classes", "classification", learnt, tested, source, None if numbered else tuple(names))


def is_class_name(name: str) -> bool:
    """Whether a folder of that name is a class, on every system: no path, nothing hidden, no control characters."""
    printable = name == name.strip() and name.isprintable() and not set(name) & set('/\\:*?"<>|')
    return bool(name) and printable and len(name.encode(errors="replace")) <= 200 and _is_class(name)


def _is_class(name: str) -> bool:
    return not name.startswith(".") and name not in _NOT_CLASSES


def _train(path: Path) -> list[Path]:
    return parts.folder_of(path, parts.TRAIN)


def _test(path: Path) -> list[Path]:
    return parts.folder_of(path, parts.TEST)


def _folders(root: Path) -> Iterator[Path]:
    return (path for path in root.iterdir() if path.is_dir() and _is_class(path.name))


def _hold_pictures(root: Path) -> bool:
    return next(chain.from_iterable(map(pictures, _folders(root))), None) is not None


def _items(root: Path, numbers: dict[str, int]) -> list[Item]:
    """The pictures of every class folder, at any depth."""
    return [
        Item(str(path), partial(decoded, path), numbers[folder.name], path)
        for folder in sorted(_folders(root))
        for path in sorted(filter(is_picture, folder.rglob("*")))
    ]
