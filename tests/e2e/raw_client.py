"""A client that speaks the ADB transport by hand, to say what no adb server would."""

from __future__ import annotations

import socket

from bench.virtual.wire import MAX_PAYLOAD, VERSION, Command, Header


def talk(port: int, sent: bytes) -> bytes:
    """Send bytes to a phone's port, everything at once, and read until it is silent or gone."""
    got = b""
    with socket.create_connection(("127.0.0.1", port), timeout=0.3) as connection:
        try:
            connection.sendall(sent)
            while data := connection.recv(1 << 16):
                got += data
        except (TimeoutError, ConnectionError):
            pass
    return got


def message(command: int, arg0: int, arg1: int, payload: bytes = b"") -> bytes:
    return Header(command, arg0, arg1, len(payload)).encode() + payload


HELLO = message(Command.CNXN, VERSION, MAX_PAYLOAD, b"host::")
