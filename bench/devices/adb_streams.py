"""Bytes between this host and an adb server: requests and answers, and the output of a command."""

from __future__ import annotations

import math
import re
import socket
import struct
import time
from collections.abc import Callable, Iterator

DATA_MAX = 64 * 1024
"""Longest DATA chunk of the sync protocol (AOSP, SYNC.TXT)."""
_PACKET_MAX = 16 << 20
"""No shell packet is longer than what an adb message holds, 1 MiB; a longer one is nonsense."""


class Garbled(Exception):
    """The other side does not speak the protocol. The text says what it did."""


class Refused(Exception):
    """The adb server answered FAIL. The text is its own."""


def left(end: float) -> float:
    """Seconds to the deadline; raises TimeoutError when it has passed."""
    seconds = end - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def exactly(conn: socket.socket, count: int, end: float, stall_s: float = math.inf) -> bytes:
    """`count` bytes; EOFError when the peer closes before, TimeoutError at the deadline or when nothing comes for
    `stall_s` seconds."""
    parts = []
    while count:
        conn.settimeout(min(left(end), stall_s))
        part = conn.recv(min(count, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def request(conn: socket.socket, text: str, end: float) -> None:
    """Ask an adb server for something, which it accepts. Raises Refused, Garbled, EOFError, TimeoutError."""
    data = text.encode(errors="surrogateescape")  # names of files on a phone are bytes
    conn.settimeout(left(end))
    conn.sendall(b"%04x" % len(data) + data)
    status = exactly(conn, 4, end)
    if status == b"FAIL":
        raise Refused(block(conn, end))
    if status != b"OKAY":
        raise Garbled(f"answered {status!r}")


def block(conn: socket.socket, end: float) -> str:
    """A text with its length before it, as an adb server writes them. Raises Garbled, EOFError, TimeoutError."""
    length = exactly(conn, 4, end)
    if not re.fullmatch(rb"[0-9a-fA-F]{4}", length):
        raise Garbled(f"answered {length!r} where a length was due")
    return exactly(conn, int(length, 16), end).decode(errors="replace")


def packets(conn: socket.socket, end: float) -> Iterator[tuple[int, bytes]]:
    """Shell v2 packets: (1, stdout) and (2, stderr) until the exit packet or the end of the connection. Raises Garbled,
    TimeoutError."""
    try:
        while True:
            kind, length = struct.unpack("<BI", exactly(conn, 5, end))
            if length > _PACKET_MAX:
                raise Garbled(f"announced a packet of {length:,} bytes")
            data = exactly(conn, length, end)
            if kind == 3:
                return
            yield kind, data
    except (EOFError, ConnectionError):
        return


def plain(conn: socket.socket, end: float) -> Iterator[tuple[int, bytes]]:
    """The old shell service: one stream, both outputs mixed. Raises TimeoutError."""
    while True:
        conn.settimeout(left(end))
        try:
            data = conn.recv(1 << 16)
        except ConnectionError:
            return
        if not data:
            return
        yield 1, data


class Marked:
    """Splits stdout into lines and takes out the two marks: `MARK pid [group]` begins, `MARK status` ends.

    Old shells are terminals: `terminal` says that every line ends with CR and LF. What a linker or a shell says of its
    own before a mark is kept as output.
    """

    def __init__(self, mark: str, on_line: Callable[[str], None] | None, *, terminal: bool) -> None:
        self._mark = re.compile(rb"(.*)" + re.escape(mark.encode()) + rb" (\d{1,10})(?: (\d{1,10}))?\r?", re.DOTALL)
        self._on_line = on_line
        self._terminal = terminal
        self._rest: list[bytes] = []
        self._lines: list[bytes] = []
        self.pid: int | None = None
        self.group: int | None = None
        """The shell around the command, which leads the group of all that the command starts."""
        self.status: int | None = None

    def feed(self, data: bytes) -> None:
        first, *more = data.split(b"\n")
        self._rest.append(first)
        for part in more:
            self._line(b"".join(self._rest))
            self._rest = [part]

    def _line(self, line: bytes) -> None:
        if found := self._mark.fullmatch(line):
            if self.pid is None:
                self.pid, self.group = int(found[2]), int(found[3]) if found[3] else None
            else:
                self.status = int(found[2])
            line = found[1]
            if not line:
                return
        elif self._terminal:
            line = line.removesuffix(b"\r")
        self._lines.append(line)
        if self._on_line:
            self._on_line(line.rstrip(b"\r").decode(errors="replace"))

    def text(self) -> str:
        # The mark begins with a newline of its own, which is not part of the output.
        return b"\n".join(self._lines).decode(errors="replace")
