"""Readers of data that a user has on disk, one file each: `EXPECTED`, `matches(path)`, `load(path)`."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from bench.data.collection import Collection
from bench.data.readers import cifar10, classes, gtsrb, mnist, npz, pairs, pictures
from bench.data.readers import folder as folders
from bench.errors import UnknownName, UsageError

READERS: dict[str, ModuleType] = {
    "npz": npz,
    "mnist": mnist,
    "cifar10": cifar10,
    "gtsrb": gtsrb,
    "pairs": pairs,
    "classes": classes,
    "pictures": pictures,
}
"""In the order in which they are tried: what looks for its own names first."""


def detect(path: Path) -> str:
    """The name of the reader that a folder or file is for. Raises UsageError, with what each of them expects."""
    with folders.readable(path):
        for name, reader in READERS.items():
            if reader.matches(path):
                return name
    found = folders.few(folders.entries(path))
    expected = "".join(f"\n  {name}: {reader.EXPECTED}" for name, reader in READERS.items())
    raise UsageError(f"{path} holds no data that bench can read; found {found}", f"Expected one of:{expected}")


def read(path: Path, reader: str | None = None) -> Collection:
    """What is in `path`, by the reader of that name or the one that fits.

    Raises UnknownName (reader), UsageError (the files are not what was expected) and CorruptData (a file is damaged).
    """
    if reader is not None and reader not in READERS:
        raise UnknownName.of("reader", reader, READERS)
    with folders.readable(path):
        collection: Collection = READERS[reader or detect(path)].load(path)
    return collection
