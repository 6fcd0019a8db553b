"""A host's cache of files by their SHA-256: each comes once, in parts, and counts when it is whole."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

from bench.errors import CorruptData, DiskFull
from bench.farm.messages import FILE_MAX
from bench.files import digest, is_full

ROOM = 32 << 30
"""Bytes that are kept; the files that were not used for longest go first."""


class Store:
    """`folder` is made; `room` is in bytes."""

    def __init__(self, folder: Path, room: int = ROOM) -> None:
        self._folder, self._room = folder, room
        self._lock = threading.Lock()
        self.taken = 0
        """Bytes that came by parts."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def find(self, sha256: str, size: int) -> Path | None:
        """The file, hashed again; None where it is not there or was damaged, which removes it."""
        path = self._folder / sha256
        try:
            if path.stat().st_size == size and digest(path) == sha256:
                os.utime(path)
                return path
            path.unlink()
        except OSError:
            pass
        return None

    def add(self, sha256: str, size: int, offset: int, data: bytes, who: str) -> None:
        """Take the part that begins at `offset`; the first begins anew. With the last the file is verified and moved
        into its place, in one step. `who` keeps two senders of one file apart.

        Raises CorruptData for a part that does not follow, for more than `size` bytes and for another content, DiskFull
        where there is no room.
        """
        draft = self._folder / f".{sha256[:32]}-{who[:16]}.part"
        with self._lock:
            there = draft.stat().st_size if offset and draft.exists() else 0
            if size > FILE_MAX or offset != there or offset + len(data) > size:
                draft.unlink(missing_ok=True)
                raise CorruptData(f"a part of {len(data):,} bytes at {offset:,} is not what follows {there:,} bytes")
            try:
                if not offset:
                    self._make_room(size)
                with draft.open("ab" if offset else "wb") as file:
                    file.write(data)
            except OSError as error:
                draft.unlink(missing_ok=True)
                if is_full(error):
                    raise DiskFull(f"no room for {size:,} bytes in {self._folder}", "Free some there.") from None
                raise
            self.taken += len(data)
            if offset + len(data) < size:
                return
            if digest(draft) != sha256:
                draft.unlink()
                raise CorruptData(f"what came as {sha256[:12]}… has another SHA-256", "Run the same command again.")
            draft.replace(self._folder / sha256)

    def _make_room(self, size: int) -> None:
        if size > self._room:
            raise DiskFull(f"a file of {size:,} bytes is more than the {self._room:,} bytes of {self._folder}")
        kept = sorted(
            ((found.st_mtime, found.st_size, path) for path in self._folder.iterdir() if (found := path.stat())),
            reverse=True,
        )
        total = size
        for _, bytes_, path in kept:
            total += bytes_
            if total > self._room:
                with contextlib.suppress(OSError):
                    path.unlink()
