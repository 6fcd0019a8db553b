"""Files: replaced in one step, so that a reader sees the old one or the new one; read with bounds; hashed."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def digest(path: Path, algorithm: str = "sha256") -> str:
    """The digest of a file's bytes in lower-case hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


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


def ordinary(path: Path) -> os.stat_result:
    """The status of an ordinary file. Raises OSError, also for a folder, a pipe or a device."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(0, "it is not an ordinary file")
    return found


def read_bounded(path: Path, most: int) -> bytes:
    """The content of an ordinary file. Raises OSError, also for a pipe or a device, and for more than `most` bytes."""
    size = ordinary(path).st_size
    if size > most:
        raise OSError(0, f"it has {size:,} bytes, more than {most:,}")
    return path.read_bytes()


def reason(error: Exception) -> str:
    """The first line of what an error says, without the number of the system's own."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.partition("\n")[0]


def is_full(error: BaseException) -> bool:
    """Whether an error says that a file system of this host, or this user's share of it, is full."""
    # Arrow's errors carry the number in their words alone.
    full = (errno.ENOSPC, errno.EDQUOT)
    return isinstance(error, OSError) and (error.errno in full or f"[errno {errno.ENOSPC}]" in str(error).lower())
