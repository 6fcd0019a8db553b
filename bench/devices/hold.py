"""One bench at a time on a device: a lock of the kernel's, which ends with its process, and in it who has it."""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import hashlib
import json
import os
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from bench.devices.words import clean
from bench.errors import DeviceBusy

_LOOKING_S = 0.5
"""Somebody who looks at a lock has it for a moment."""
_MOST_BYTES = 4096


class Holder(NamedTuple):
    """Who measures on a device. `since` is ISO 8601 in UTC."""

    pid: int
    user: str
    command: str
    since: str

    def __str__(self) -> str:
        return f"{self.user}'s `{self.command}` (process {self.pid}, since {self.since})"


@contextlib.contextmanager
def held(folder: Path, serials: Sequence[str]) -> Iterator[None]:
    """Have these devices, by the locks in `folder`. Raises DeviceBusy, with who has one."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        for serial in serials:
            descriptor = os.open(_file(folder, serial), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            stack.callback(os.close, descriptor)
            if not _taken(descriptor):
                who = holder(folder, serial)
                raise DeviceBusy(
                    f"another bench is measuring on {clean(serial)}{f': {who}' if who else ''}",
                    "Wait until it is done; two at once would disturb each other.",
                )
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(_self()._asdict()).encode(), 0)
            stack.callback(os.ftruncate, descriptor, 0)
        yield


def holder(folder: Path, serial: str) -> Holder | None:
    """Who has a device; None when nobody has. What a process that was killed left behind counts for nothing."""
    try:
        descriptor = os.open(_file(folder, serial), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except OSError:
        return _read(os.pread(descriptor, _MOST_BYTES, 0))
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    end = time.monotonic() + _LOOKING_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            if time.monotonic() > end:
                return False
            time.sleep(0.02)


def _self() -> Holder:
    command = shlex.join([Path(sys.argv[0]).name.replace("__main__.py", "bench"), *sys.argv[1:]])
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a user without a name
        user = str(os.getuid())
    return Holder(os.getpid(), clean(user, 40), clean(command), datetime.now(UTC).isoformat(timespec="seconds"))


def _read(content: bytes) -> Holder:
    """What the holder wrote; between its lock and its words there is a moment."""
    try:
        found = json.loads(content)
        pid, words = int(found["pid"]), [clean(str(found[key])) for key in ("user", "command", "since")]
        return Holder(pid, *words)
    except (ValueError, TypeError, KeyError):
        return Holder(0, "somebody", "unknown", "unknown")


def _file(folder: Path, serial: str) -> Path:
    name = "".join(c if c.isascii() and c.isalnum() else "_" for c in serial)[:80]
    return folder / f"{name}-{hashlib.sha256(serial.encode()).hexdigest()[:8]}.lock"
