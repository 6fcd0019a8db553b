"""The `sync:` service: files in and out, after Android's `SYNC.TXT` and `file_sync_protocol.h`.

Version 1 (STAT, LIST, SEND, RECV) and version 2 (STA2, LST2, LIS2, SND2, RCV2) without compression.
"""

# Paths are bytes, as the client sent them: pathlib would take text, and tidy it up.
# ruff: noqa: PTH103, PTH108, PTH118, PTH120, PTH211

from __future__ import annotations

import contextlib
import errno
import os
import stat
import struct
from collections.abc import Callable, Iterator

from bench.virtual.wire import Closed, Stream

FEATURES = ("stat_v2", "ls_v2", "fixed_push_mkdir", "fixed_push_symlink_timestamp", "sendrecv_v2")
"""What this file implements, in the words of an ADB banner; `sendrecv_v2_dry_run_send` is beside them."""
DRY_RUN = 0x80000000
MAX_PATH = 1024
MAX_DATA = 64 << 10
_REQUEST = struct.Struct("<4sI")
_STAT2 = struct.Struct("<QQIIIIQqqq")
# The numbers on the wire are Linux's own; an error without a number there is an I/O error.
_WIRE_ERRNO = frozenset({1, 2, 13, 14, 17, 20, 21, 22, 23, 24, 26, 27, 28, 30, 36, 40, 75})


def _number(error: OSError) -> int:
    return error.errno if error.errno in _WIRE_ERRNO else errno.EIO


def _reason(error: OSError) -> str:
    return os.strerror(error.errno or errno.EIO)


def _stat1(found: os.stat_result) -> bytes:
    """Mode, size and mtime, each cut to 32 bits as version 1 has it."""
    return struct.pack("<III", found.st_mode, found.st_size & 0xFFFFFFFF, int(found.st_mtime) & 0xFFFFFFFF)


def _stat2(found: os.stat_result) -> bytes:
    return _STAT2.pack(
        found.st_dev,
        found.st_ino,
        found.st_mode,
        found.st_nlink,
        found.st_uid,
        found.st_gid,
        found.st_size,
        int(found.st_atime),
        int(found.st_mtime),
        int(found.st_ctime),
    )


def _listing(locate: Locate, path: bytes, v2: bool) -> Iterator[bytes]:
    folder = b""
    try:
        folder = locate(path, True)
        names = [b".", b"..", *os.listdir(folder)]
    except OSError:
        names = []
    for name in names:
        number, facts = 0, b""
        try:
            found = os.lstat(os.path.join(folder, name))
            facts = _stat2(found) if v2 else _stat1(found)
        except OSError as error:
            number, facts = _number(error), bytes(_STAT2.size)
            if not v2:
                continue
        length = struct.pack("<I", len(name))
        yield (b"DNT2" + struct.pack("<I", number) if v2 else b"DENT") + facts + length + name
    yield b"DONE" + bytes(72 if v2 else 16)


Locate = Callable[[bytes, bool], bytes]
"""Turns a path on the phone into one of this process; the second argument says whether a link at its end is followed.
Raises OSError for a path that is not the phone's."""


class Sync:
    """One client's session."""

    def __init__(self, stream: Stream, locate: Locate) -> None:
        self._stream = stream
        self._locate = locate

    async def serve(self) -> None:
        """Answer requests until QUIT. Raises Closed when the client goes away."""
        while True:
            kind, length = _REQUEST.unpack(await self._stream.exactly(_REQUEST.size))
            if kind == b"QUIT":
                return
            if length > MAX_PATH:
                await self._fail("path too long")
                return
            path = await self._stream.exactly(length)
            if kind == b"SEND":
                path, _, text = path.rpartition(b",")
            if b"\0" in path:
                await self._fail("path with a null byte")
                return
            match kind:
                case b"STAT" | b"STA2" | b"LST2":
                    await self._stat(kind, path)
                case b"LIST" | b"LIS2":
                    await self._stream.write(b"".join(_listing(self._locate, path, kind == b"LIS2")))
                case b"SEND" if text.isdigit() and len(text) < 12:
                    await self._receive_file(path, int(text), flags=0)
                case b"SND2":
                    _, mode, flags = struct.unpack("<4sII", await self._stream.exactly(12))
                    await self._receive_file(path, mode, flags)
                case b"RECV":
                    await self._send_file(path)
                case b"RCV2":
                    _, flags = _REQUEST.unpack(await self._stream.exactly(_REQUEST.size))
                    if flags:
                        await self._fail(f"unsupported flags {flags:#x}")
                        return
                    await self._send_file(path)
                case _:
                    await self._fail(f"unknown command {kind!r}")
                    return

    async def _fail(self, reason: str) -> None:
        text = reason.encode()
        await self._stream.write(b"FAIL" + struct.pack("<I", len(text)) + text)

    async def _stat(self, kind: bytes, path: bytes) -> None:
        number, facts = 0, b""
        try:
            follow = kind == b"STA2"
            found = (os.stat if follow else os.lstat)(self._locate(path, follow))
            facts = _stat1(found) if kind == b"STAT" else _stat2(found)
        except OSError as error:
            number, facts = _number(error), bytes(12 if kind == b"STAT" else _STAT2.size)
        await self._stream.write(kind + (b"" if kind == b"STAT" else struct.pack("<I", number)) + facts)

    async def _send_file(self, path: bytes) -> None:
        """A pull. DONE rides on the last data: a message of its own waits 40 ms for a delayed acknowledgement."""
        try:
            # Without O_NONBLOCK a FIFO that nobody writes would hold up the whole phone.
            descriptor = os.open(self._locate(path, True), os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError as error:
            await self._fail(f"open failed: {_reason(error)}")
            return
        try:
            per_message = max(1, self._stream.max_payload // (MAX_DATA + _REQUEST.size)) * MAX_DATA
            data = os.read(descriptor, per_message)
            while True:
                following = os.read(descriptor, per_message) if data else b""
                parts: list[bytes | memoryview] = []
                for start in range(0, len(data), MAX_DATA):
                    piece = memoryview(data)[start : start + MAX_DATA]
                    parts += [_REQUEST.pack(b"DATA", len(piece)), piece]
                if not following:
                    parts.append(_REQUEST.pack(b"DONE", 0))
                await self._stream.write(b"".join(parts))
                if not following:
                    return
                data = following
        except OSError as error:
            await self._fail(f"read failed: {_reason(error)}")
        finally:
            os.close(descriptor)

    async def _receive_file(self, path: bytes, mode: int, flags: int) -> None:
        """A push. After an error the rest is read and thrown away: only then does the client listen."""
        dry = flags == DRY_RUN
        try:
            target = _Target(self._locate(path, False), mode)
            problem = f"unsupported flags {flags:#x}" if flags & ~DRY_RUN else "" if dry else target.create()
        except OSError as error:
            target, problem = _Target(b"", mode), f"couldn't create file: {_reason(error)}"
        complete = False
        try:
            while True:
                kind, length = _REQUEST.unpack(await self._stream.exactly(_REQUEST.size))
                if kind == b"DONE":
                    break
                if kind != b"DATA" or length > MAX_DATA:
                    await self._fail("invalid data message")
                    raise Closed
                data = await self._stream.exactly(length)
                if not problem and not dry:
                    problem = target.write(data)
            if not problem and not dry:
                problem = target.finish(length)
            complete = not problem
        finally:
            target.close(keep=complete)
        if problem:
            await self._fail(problem)
        else:
            await self._stream.write(_REQUEST.pack(b"OKAY", 0))


class _Target:
    """What a push makes: a file or, when the mode says so, a symbolic link. Methods return what went wrong, or ""."""

    def __init__(self, path: bytes, mode: int) -> None:
        self._path = path
        self._link = stat.S_ISLNK(mode)
        # The owner's permissions go to everyone, as Android's daemon has it.
        owner = mode & 0o700
        self._mode = mode & 0o777 | owner >> 3 | owner >> 6
        self._text = bytearray()
        self._descriptor: int | None = None
        self._made = False

    def create(self) -> str:
        try:
            os.makedirs(os.path.dirname(self._path) or b".", 0o775, exist_ok=True)
        except OSError as error:
            return f"secure_mkdirs failed: {_reason(error)}"
        try:
            with contextlib.suppress(FileNotFoundError):
                there = os.lstat(self._path).st_mode
                # A new file instead of new content: a program that runs may not be written to.
                if stat.S_ISREG(there) or stat.S_ISLNK(there):
                    os.unlink(self._path)
            if not self._link:
                flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
                flags |= os.O_NOFOLLOW
                self._descriptor = os.open(self._path, flags, self._mode)
                self._made = stat.S_ISREG(os.fstat(self._descriptor).st_mode)
        except OSError as error:
            return f"couldn't create file: {_reason(error)}"
        return ""

    def write(self, data: bytes) -> str:
        if self._descriptor is None:
            self._text += data
            return "" if len(self._text) <= MAX_PATH else "symlink target too long"
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            return f"write failed: {_reason(error)}"
        return ""

    def finish(self, mtime: int) -> str:
        """Set mode and modification time (seconds since 1970)."""
        try:
            if self._descriptor is None:
                os.symlink(bytes(self._text).rstrip(b"\0"), self._path)
                os.utime(self._path, (mtime, mtime), follow_symlinks=False)
            elif self._made:
                os.fchmod(self._descriptor, self._mode)
                os.utime(self._descriptor, (mtime, mtime))
        except (OSError, ValueError) as error:
            return f"couldn't finish file: {_reason(error) if isinstance(error, OSError) else error}"
        return ""

    def close(self, keep: bool) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
        if self._made and not keep:
            with contextlib.suppress(OSError):
                os.unlink(self._path)
