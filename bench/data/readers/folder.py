"""What a folder holds, and how to say that it is not what was expected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.errors import UsageError

_SHOWN = 8


@contextmanager
def readable(folder: Path) -> Iterator[None]:
    """Whatever the system says against reading `folder`, or what is in it, is a UsageError."""
    try:
        yield
    except OSError as error:
        place = error.filename or folder
        raise UsageError(
            f"{place} cannot be read as a folder: {error.strerror}", "Name the folder that holds the data set."
        ) from error


def entries(folder: Path) -> tuple[str, ...]:
    """Names in `folder`, sorted, folders with a / at the end. Raises UsageError when it is not a folder."""
    with readable(folder):
        return tuple(sorted(f"{path.name}/" if path.is_dir() else path.name for path in folder.iterdir()))


def few(names: Iterable[str]) -> str:
    """The first names of a list, and how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - _SHOWN:,} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more if listed else "nothing"


def unfit(folder: Path, what: str, missing: Iterable[str], expected: str) -> UsageError:
    """The error for a `folder` without the files that a data set, `what`, has."""
    return UsageError(
        f"{folder} is not {what}: {few(missing)} missing; found {few(entries(folder))}", f"Expected {expected}"
    )
