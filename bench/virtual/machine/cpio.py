"""The archive that Linux unpacks as its first file system: cpio, "newc" (Documentation/driver-api/early-userspace)."""

from __future__ import annotations

import stat
from pathlib import PurePosixPath


class Archive:
    """Files for the machine, all of them root's; folders above a file come by themselves."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._known: set[str] = set()

    def file(self, path: str, content: bytes, executable: bool = False) -> None:
        """An ordinary file at that path, without a slash at its beginning."""
        self._above(path)
        self._entry(path, stat.S_IFREG | (0o755 if executable else 0o644), content)

    def link(self, path: str, target: str) -> None:
        """A symbolic link."""
        self._above(path)
        self._entry(path, stat.S_IFLNK | 0o777, target.encode())

    def folder(self, path: str) -> None:
        """A folder."""
        self._above(f"{path}/x")

    def finish(self) -> bytes:
        """The whole archive; another may follow it in the same file."""
        self._entry("TRAILER!!!", 0, b"")
        self._bytes.extend(bytes(-len(self._bytes) % 512))
        return bytes(self._bytes)

    def _above(self, path: str) -> None:
        for parent in reversed(PurePosixPath(path).parents):
            if (name := str(parent)) != "." and name not in self._known:
                self._known.add(name)
                self._entry(name, stat.S_IFDIR | 0o755, b"")

    def _entry(self, name: str, mode: int, content: bytes) -> None:
        coded = name.encode() + b"\0"
        # inode, mode, uid, gid, links, time, size, device of the file and its own (two numbers each), name, check sum.
        # Number 0 for all would make hard links of files; each has its place as its number.
        numbers = (len(self._bytes) + 1, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(coded), 0)
        self._bytes += b"070701" + b"".join(b"%08X" % number for number in numbers) + coded
        self._bytes += bytes(-len(self._bytes) % 4)
        self._bytes += content
        self._bytes += bytes(-len(self._bytes) % 4)
