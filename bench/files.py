"""Files that are replaced in one step: a reader sees the old one or the new one, never half of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A draft beside `path` to write to; it takes the place of `path` at the end, and is removed on an error."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def replace(path: Path, content: bytes) -> None:
    """Write `content` as `path`, whole or not at all."""
    with replacing(path) as draft:
        draft.write_bytes(content)


def read_bounded(path: Path, most: int) -> bytes:
    """The content of an ordinary file. Raises OSError, also for a pipe or a device, and for more than `most` bytes."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(0, "it is not an ordinary file")
    if found.st_size > most:
        raise OSError(0, f"it has {found.st_size:,} bytes, more than {most:,}")
    return path.read_bytes()
