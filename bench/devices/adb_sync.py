"""The sync protocol (AOSP, SYNC.TXT): a file to a device and back, over a connection that asked for `sync:`.

`stall_s` are the seconds without any progress after which the other side counts as gone; a slow link hands on what an
adb server has taken in one piece, 1 MiB, and is silent meanwhile.
"""

from __future__ import annotations

import socket
import stat
import struct
from pathlib import Path
from typing import BinaryIO

from bench.devices import adb_streams
from bench.devices.adb_streams import DATA_MAX, exactly, left
from bench.devices.words import clean


class Failed(Exception):
    """The device refused. The text is its reason, clean; it may be empty."""


class TooLong(Exception):
    """The device sent more than was due."""


def send(conn: socket.socket, local: Path, remote: str, end: float, stall_s: float) -> None:
    """Send a file. Raises Failed, EOFError, ConnectionError, TimeoutError."""
    target = f"{remote},{stat.S_IFREG | 0o644}".encode(errors="surrogateescape")
    with local.open("rb") as source:
        conn.settimeout(min(left(end), stall_s))
        conn.sendall(b"SEND" + struct.pack("<I", len(target)) + target)
        while chunk := source.read(DATA_MAX):
            conn.settimeout(min(left(end), stall_s))
            conn.sendall(b"DATA" + struct.pack("<I", len(chunk)) + chunk)
        conn.sendall(b"DONE" + struct.pack("<I", int(local.stat().st_mtime) & 0xFFFFFFFF))
    # All of it may still be in buffers on the way: what is left of the time is for that.
    kind, length = struct.unpack("<4sI", exactly(conn, 8, end))
    if kind != b"OKAY":
        raise Failed(clean(exactly(conn, min(length, DATA_MAX), end).decode(errors="replace")))


def receive(conn: socket.socket, remote: str, target: BinaryIO, most: int, end: float, stall_s: float) -> None:
    """Write a file of at most `most` bytes to `target`. Raises Failed, TooLong, adb_streams.Garbled, EOFError,
    ConnectionError, TimeoutError."""
    path = remote.encode(errors="surrogateescape")
    conn.settimeout(min(left(end), stall_s))
    conn.sendall(b"RECV" + struct.pack("<I", len(path)) + path)
    while True:
        kind, length = struct.unpack("<4sI", exactly(conn, 8, end, stall_s))
        if kind == b"DONE":
            return
        if length > DATA_MAX:
            raise adb_streams.Garbled("sent a malformed sync message")
        data = exactly(conn, length, end, stall_s)
        if kind != b"DATA":
            raise Failed(clean(data.decode(errors="replace")))
        most -= length
        if most < 0:
            raise TooLong
        target.write(data)
