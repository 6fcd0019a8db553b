"""Every error that `bench` reports to a person, and the exit status of each kind.

    BenchError                    1
    ├── Stable                        trying again cannot help
    │   ├── UsageError            2   a flag or argument
    │   ├── PlanError             3   a plan file: names the line and the key
    │   ├── UnknownName           4   network, variant, suite, profile, …; with near matches
    │   ├── NoDevice              10
    │   ├── SeveralDevices        11
    │   ├── Unauthorized          12
    │   ├── WrongAbi              14
    │   ├── DiskFull              15
    │   ├── DeviceRefused         19  a file cannot be written there
    │   ├── HostFull              23  this computer's disk
    │   ├── ToolMissing           20  adb, compiler, qemu, namespaces
    │   ├── BuildFailed           21
    │   ├── ExportRefused         22  the artifact does not compute what the network does
    │   ├── RunnerFailed          30  the native runner refused its job, with its reason
    │   ├── CorruptData           31  a stored file, package or data set is not what it should be
    │   ├── NothingMeasured       32  every trial failed
    │   ├── NothingFits           34  no variant meets the budget
    │   └── VirtualPhoneError     40
    └── Transient                     the caller may try again
        ├── DeviceOffline         13
        ├── TransportBroken       16  the connection dropped in the middle of a command
        ├── DeadlineExceeded      17
        ├── DeviceBusy            18  another bench measures on it
        └── DeviceUnfit           33  a strict run refused it: too warm, low, or it does not say

Typer's own usage errors leave with 2, an interrupt with 130.
`bench` never shows a traceback for one of these; `bench.cli.main` prints `what` and `fix` and exits with `exit_status`.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterable, Iterator
from typing import ClassVar


class BenchError(Exception):
    """An error a person can read: what happened, to what, and what to do about it."""

    exit_status: ClassVar[int] = 1

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.what}\n{self.fix}" if self.fix else self.what


@contextlib.contextmanager
def naming(whose: str) -> Iterator[None]:
    """An error of what is done for one network among several begins with its name; an empty one adds nothing."""
    try:
        yield
    except BenchError as error:
        if whose and not error.what.startswith(whose):
            error.what = f"{whose}: {error.what}"
        raise


class Stable(BenchError):
    """Trying again cannot help."""


class Transient(BenchError):
    """Trying again may help."""


class UsageError(Stable):
    exit_status = 2


class PlanError(Stable):
    exit_status = 3


class UnknownName(Stable):
    exit_status = 4

    @classmethod
    def of(cls, kind: str, name: str, known: Iterable[str]) -> UnknownName:
        """The error for `name`, which is none of `known`, with the nearest of them."""
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
        hint = f"Did you mean {' or '.join(near)}? " if near else ""
        return cls(f"unknown {kind} {name!r}", f"{hint}Known: {', '.join(names)}.")


class NoDevice(Stable):
    exit_status = 10


class SeveralDevices(Stable):
    exit_status = 11


class Unauthorized(Stable):
    exit_status = 12


class DeviceOffline(Transient):
    exit_status = 13


class WrongAbi(Stable):
    exit_status = 14


class DiskFull(Stable):
    exit_status = 15


class TransportBroken(Transient):
    exit_status = 16


class DeadlineExceeded(Transient):
    exit_status = 17


class DeviceBusy(Transient):
    exit_status = 18


class DeviceUnfit(Transient):
    """What is unfit now may be fit later; what a phone does not report stays unknown."""

    exit_status = 33


class DeviceRefused(Stable):
    exit_status = 19


class ToolMissing(Stable):
    exit_status = 20


class BuildFailed(Stable):
    exit_status = 21


class ExportRefused(Stable):
    exit_status = 22


class RunnerFailed(Stable):
    exit_status = 30
    left: int | None = None
    """The status that the runner's process left with, where it ran at all."""


class CorruptData(Stable):
    exit_status = 31


class HostFull(Stable):
    exit_status = 23

    @classmethod
    def at(cls, place: object) -> HostFull:
        """The error for a write to `place` that the disk of this computer had no room for."""
        return cls(f"this computer has no room left for {place}", "Free some space there, then run the command again.")


class NothingMeasured(Stable):
    exit_status = 32


class NothingFits(Stable):
    exit_status = 34


class VirtualPhoneError(Stable):
    exit_status = 40
