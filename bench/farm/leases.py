"""Who has a host's phones: one coordinator each, for as long as it is heard of."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.devices import hold
from bench.devices.words import clean
from bench.errors import DeviceBusy

LAPSE_S = 60.0
"""A coordinator that is not heard of for so long has no phone any more."""


class Revoked(BaseException):
    """Raised into a command whose coordinator has gone: the transport then ends it on the phone. No Exception: nobody
    on the way is to take it for an error of the phone."""


@dataclass
class Lease:
    """A phone in the hands of the coordinator with that token; `busy` commands are at work on it."""

    token: str
    lock: contextlib.ExitStack
    heard: float
    busy: int = 0
    revoked: threading.Event = field(default_factory=threading.Event)

    def check(self, line: str = "") -> None:
        """Raises Revoked."""
        if self.revoked.is_set():
            raise Revoked


class Lost(Exception):
    """The phone is not the asker's."""


class Leases:
    """The leases of one worker. Each holds the kernel's lock of its phone in `locks`, which a local `bench` sees."""

    def __init__(self, locks: Path) -> None:
        self._locks = locks
        self._lock = threading.Lock()
        self._of: dict[str, Lease] = {}

    def claim(self, serial: str, token: str) -> None:
        """Raises DeviceBusy where another has it, or where a command of one who went is still at work."""
        with self._lock:
            lease = self._of.get(serial)
            if lease and lease.token == token and not lease.revoked.is_set():
                lease.heard = time.monotonic()
                return
            if lease:
                what = "a command from before the connection was lost is at work" if lease.revoked.is_set() else (
                    "another coordinator of the farm measures"
                )  # fmt: skip
                raise DeviceBusy(f"{what} on {clean(serial)}", "Wait until it is done.")
            stack = contextlib.ExitStack()
            stack.enter_context(hold.held(self._locks, [serial]))
            self._of[serial] = Lease(token, stack, time.monotonic())

    @contextlib.contextmanager
    def using(self, serial: str, token: str) -> Iterator[Lease]:
        """For one request. Raises Lost."""
        with self._lock:
            lease = self._of.get(serial)
            if lease is None or lease.token != token or lease.revoked.is_set():
                raise Lost(serial)
            lease.heard = time.monotonic()
            lease.busy += 1
        try:
            yield lease
        finally:
            with self._lock:
                lease.busy -= 1
                lease.heard = time.monotonic()
                self._drop_revoked()

    def release(self, serial: str, token: str) -> None:
        with self._lock:
            lease = self._of.get(serial)
            if lease and lease.token == token:
                lease.revoked.set()
            self._drop_revoked()

    def sweep(self, *, everything: bool = False) -> list[str]:
        """Take phones from coordinators that are not heard of, or from all; returns the serials."""
        with self._lock:
            taken = [
                serial
                for serial, lease in self._of.items()
                if not lease.revoked.is_set() and (everything or time.monotonic() - lease.heard > LAPSE_S)
            ]
            for serial in taken:
                self._of[serial].revoked.set()
            self._drop_revoked()
        return taken

    def _drop_revoked(self) -> None:
        for serial, lease in list(self._of.items()):
            if lease.revoked.is_set() and not lease.busy:
                lease.lock.close()
                del self._of[serial]
