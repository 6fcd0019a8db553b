"""Readers of data sets that a user has on disk, one file each: `EXPECTED`, `matches(folder)`, `load(folder)`."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from bench.data.dataset import Dataset
from bench.data.readers import carvana, cifar10, gtsrb, mnist
from bench.data.readers import folder as folders
from bench.errors import UnknownName, UsageError

READERS: dict[str, ModuleType] = {"mnist": mnist, "cifar10": cifar10, "carvana": carvana, "gtsrb": gtsrb}


def detect(folder: Path) -> str:
    """The name of the reader that `folder` is for. Raises UsageError, with what each of them expects."""
    found = folders.entries(folder)
    for name, reader in READERS.items():
        if reader.matches(folder):
            return name
    expected = "".join(f"\n  {name}: {reader.EXPECTED}" for name, reader in READERS.items())
    raise UsageError(
        f"{folder} holds no data set that bench can read; found {folders.few(found)}", f"Expected one of:{expected}"
    )


def load(folder: Path, reader: str | None = None) -> Dataset:
    """The data set in `folder`, by the reader of that name or the one that fits.

    Raises UnknownName (reader), UsageError (the folder is not what was expected) and CorruptData (a file is damaged).
    """
    if reader is not None and reader not in READERS:
        raise UnknownName.of("reader", reader, READERS)
    dataset: Dataset = READERS[reader or detect(folder)].load(folder)
    return dataset
