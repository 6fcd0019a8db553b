"""The folder of a virtual phone, `<user state>/fr-bench/phones/<serial>/`: its lock, record, log and root.

A phone lives as long as somebody holds its lock, whatever the process table says.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import platformdirs

from bench.errors import VirtualPhoneError

LOCK, RECORD, LOG = "lock", "record.json", "log.txt"


@dataclass(frozen=True)
class VirtualPhone:
    """A running virtual phone, or one that was just stopped."""

    serial: str
    port: int
    pid: int
    profile: str
    abi: str
    ram_bytes: int
    isolation: Literal["namespaces", "directory", "machine"]
    isolation_reason: str
    """Why there are no namespaces; empty when there are, or when it is a machine of its own."""
    folder: Path
    """Its log is `log.txt` in here."""
    tools: str = ""
    """What its shell and its tools are."""
    tools_reason: str = ""
    """Why they are not Android's; empty when they are."""
    translation: str = ""
    """What runs its programs' machine code: "qemu-user", "qemu-system", or nothing but this computer's processor."""


def phones_folder() -> Path:
    """Where the folders of all phones of this user are."""
    return Path(platformdirs.user_state_dir("fr-bench", appauthor=False)) / "phones"


def serial_of(port: int) -> str:
    """The name that an adb server gives to what it finds at that port."""
    return f"emulator-{port - 1}"


def is_locked(folder: Path) -> bool:
    """Whether the phone of this folder lives."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def take_lock(folder: Path) -> int:
    """A descriptor of the lock; it is held while any process of the phone's own has it. Raises VirtualPhoneError."""
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise VirtualPhoneError(
            "a virtual phone is running on this port already", "Stop it first: bench phone stop"
        ) from error
    return descriptor


def write(folder: Path, facts: dict[str, object]) -> None:
    """Put down what a phone is, but for its serial and its folder."""
    draft = (folder / RECORD).with_suffix(".tmp")
    draft.write_text(json.dumps(facts))
    draft.rename(folder / RECORD)


def read(folder: Path) -> VirtualPhone | None:
    """What was put down; None when there is nothing that is understood."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        facts = json.loads((folder / RECORD).read_text())
        return VirtualPhone(serial=folder.name, folder=folder, **facts)
    return None
