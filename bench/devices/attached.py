"""Phones that are reached by TCP, e.g. those of an STF farm: connected for a command, and let go after it."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator, Sequence

from bench.devices import adb_states
from bench.devices.adb import AdbServer
from bench.devices.words import clean
from bench.errors import BenchError, DeviceOffline, Unauthorized

PATIENCE_S = 20.0
"""Seconds within which a phone that was connected has to be ready."""
_POLL_S = 0.2
_REASONS = (
    ("refused", "nothing listens there"),
    ("failed to authenticate", "it has not authorised this computer"),
    ("resolve", "there is no host of that name"),
    ("no route", "there is no way to that host"),
    ("unreachable", "there is no way to that host"),
    ("timed out", "nothing answers there"),
    ("operation now in progress", "nothing answers there"),
)


def is_address(serial: str) -> bool:
    """Whether a serial is `host:port`, an IPv6 address in brackets."""
    found = re.fullmatch(r"(?:[\w.-]+|\[[0-9a-fA-F:.%\w]+\]):(\d{1,5})", serial, re.ASCII)
    return bool(found and 0 < int(found[1]) < 65536)


@contextlib.contextmanager
def attached(server: AdbServer, serials: Sequence[str], *, patience_s: float = PATIENCE_S) -> Iterator[None]:
    """Have those of the serials that are `host:port` connected, as `adb connect` does; those that were not before are
    disconnected at the end.

    Raises DeviceOffline, with why, and Unauthorized.
    """
    with contextlib.ExitStack() as leaving:
        known = {one.address: one.state for one in server.devices()} if any(map(is_address, serials)) else {}
        for serial in dict.fromkeys(filter(is_address, serials)):
            if known.get(serial) == "device":
                continue
            if serial not in known:
                leaving.callback(_disconnect, server, serial)
            _connect(server, serial, patience_s)
        yield


def _connect(server: AdbServer, serial: str, patience_s: float) -> None:
    said = server.ask(f"host:connect:{serial}")
    lower = said.lower()
    if "failed to authenticate" in lower:
        # It is listed from now on, and becomes a device when somebody accepts the question on its screen.
        lower = "connected to"
    if "connected to" not in lower:
        why = next((why for word, why in _REASONS if word in lower), clean(said))
        raise DeviceOffline(
            f"{serial} cannot be connected: {why}",
            "Look whether adb listens there (`adb tcpip 5555`, or the port that the farm shows), and at the network.",
        )
    end = time.monotonic() + patience_s
    while True:
        state = next((one.state for one in server.devices() if one.address == serial), "offline")
        if state == "device":
            return
        if time.monotonic() > end:
            raise _not_ready(serial, state)
        time.sleep(_POLL_S)


def _not_ready(serial: str, state: str) -> BenchError:
    error = adb_states.state_error(serial, state)
    if isinstance(error, Unauthorized):
        return error
    return DeviceOffline(f"{error.what} since it was connected", "Look at its network, and run the same command again.")


def _disconnect(server: AdbServer, serial: str) -> None:
    with contextlib.suppress(BenchError):  # it may be gone by itself
        server.ask(f"host:disconnect:{serial}")
