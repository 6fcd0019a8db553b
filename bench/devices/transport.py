"""What every machine that runs trials must offer, be it a phone or this host."""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

OUTPUT_MAX = 64 << 20
"""Bytes that a command may print before it is stopped."""

PULL_MAX = 1 << 30
"""Bytes of a file that a machine may send when nobody says how many are due."""
_SLOWEST = 20_000
"""Bytes per second of a link that is slow but works, e.g. adb over a bad wireless network."""


@dataclass(frozen=True)
class Completed:
    """A finished command: its own exit status (128 + signal when a signal ended it) and what it printed."""

    status: int
    stdout: str
    stderr: str


class Transport(Protocol):
    """A way to a machine. Every call has a deadline in seconds and raises DeadlineExceeded when it passes,
    TransportBroken or DeviceOffline when the connection fails."""

    @property
    def serial(self) -> str:
        """The name under which results know this machine."""
        ...

    @property
    def folder(self) -> str:
        """The folder on the machine that belongs to bench."""
        ...

    def run(self, argv: Sequence[str], *, deadline_s: float, on_line: Callable[[str], None] | None = None) -> Completed:
        """Run a command to its end; each line of stdout is handed to `on_line` when it comes. When the deadline passes
        the command is killed on the machine, and when it prints more than OUTPUT_MAX, which raises RunnerFailed."""
        ...

    def push(self, local: Path, remote: str, *, deadline_s: float) -> None:
        """Copy a file to the machine, replacing it. Raises DiskFull."""
        ...

    def pull(self, remote: str, local: Path, *, deadline_s: float, most: int = PULL_MAX) -> None:
        """Copy a file of at most `most` bytes from the machine. Raises TransportBroken when it is not there, and
        CorruptData when it is longer; no more than `most` is written here."""
        ...

    def revive(self) -> None:
        """Do what may bring a lost connection to this machine back, and disturbs no other. Raises nothing."""
        ...


def transfer_s(size: int) -> float:
    """Seconds within which a file of that size must have come or gone, even over a slow link."""
    return min(60 + size / _SLOWEST, 86_400.0)


def free_bytes(transport: Transport) -> int | None:
    """Free bytes in the bench folder's file system, or None when the machine does not say (`df -k`)."""
    return free_in(transport.run(["df", "-k", transport.folder], deadline_s=30).stdout[-4096:])


def free_in(text: str) -> int | None:
    """Free bytes in what `df -k` printed of one file system, None where it does not say."""
    if rows := re.findall(r"\s\d+\s+\d+\s+(\d{1,15})\s+\d+%", text, re.ASCII):
        return int(rows[-1]) * 1024
    # Up to Android 6: no -k, and sizes such as 7.1G in the columns Size, Used, Free and Blksize.
    size = r"\s+([\d.]{1,12})([KMGT]?)"
    if rows := re.findall(rf"{size}{size}{size}\s+\d+\s*$", text, re.MULTILINE | re.ASCII):
        *_, number, unit = rows[-1]
        with contextlib.suppress(ValueError):
            return int(float(number) * 1024 ** " KMGT".index(unit or " "))
    return None


def quoted(argv: Sequence[str]) -> str:
    """An argument list as one command line for a POSIX shell (mksh on Android)."""
    return shlex.join(argv)
