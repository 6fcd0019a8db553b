"""What becomes of a trial that went wrong, and of its device: decided here for every error there is.

A fault in one trial costs that trial at most, one of a phone costs that phone, and only this host's own stops a run.
docs/faults.md has the table, with the test of each.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from bench.devices.words import clean
from bench.errors import (
    BenchError,
    DeadlineExceeded,
    DeviceBusy,
    DeviceOffline,
    DeviceRefused,
    DiskFull,
    HostFull,
    NoDevice,
    RunnerFailed,
    ToolMissing,
    TransportBroken,
    Unauthorized,
)
from bench.files import is_full

TRIES = 3
"""Times in a row that one trial is tried over a connection that breaks."""
REQUEUES = 2
"""Times that one trial is put off to the end of the run."""
LOST_AFTER = 3
"""Trials in a row that a device may lose to itself before it is set aside."""
SET_ASIDE = 3
"""Times in a run that a device may be set aside before it is given up."""

TRANSIENT = frozenset(
    kind.__name__
    for kind in (DeviceOffline, TransportBroken, DeadlineExceeded, DeviceBusy, Unauthorized, NoDevice, ToolMissing,
                 DiskFull, DeviceRefused, HostFull)
)  # fmt: skip
"""Kinds of errors, by name, after which a resumed run tries a trial again."""


class Action(StrEnum):
    """What to do next."""

    RETRY = "retry"
    """Wait until the device answers, bring what it lost, and do the same trial again."""
    MEND = "mend"
    """Look whether the device still has what was brought there: bring it and do the trial again, else fail it."""
    REQUEUE = "requeue"
    """Do the trial once more when the device's others are done."""
    FAIL = "fail"
    """The trial has failed; the next one."""
    QUARANTINE = "quarantine"
    """Set the device aside until it answers a probe; this trial and the rest are done then."""
    STOP = "stop"
    """The run cannot go on."""


class Past(NamedTuple):
    """What has happened before the error: to its trial, and to its device.

    `tries` of the trial in a row, the one that failed included; `requeued`: how often it was put off; `mended`: its
    files were looked at already, and were whole, or this was done often enough; `alike`: trials of the same subject and
    pass that ended with the same kind of error; `lost`: trials in a row that the device lost to itself, this one not
    counted.
    """

    tries: int = 1
    requeued: int = 0
    mended: bool = False
    alike: int = 0
    lost: int = 0


def after(error: BaseException, past: Past) -> Action:
    """What to do after a trial's error."""
    if isinstance(error, HostFull) or is_full(error):
        return Action.STOP
    if isinstance(error, Unauthorized | ToolMissing | NoDevice | DiskFull | DeviceBusy):
        return Action.QUARANTINE
    if isinstance(error, DeviceRefused):  # The folder is gone, or the storage takes nothing more.
        return Action.QUARANTINE if past.mended else Action.MEND
    if isinstance(error, RunnerFailed):
        return Action.FAIL if past.mended else Action.MEND
    if isinstance(error, DeviceOffline | TransportBroken) and past.tries < TRIES:
        return Action.RETRY
    if is_devices(error):
        if past.lost + 1 >= LOST_AFTER:
            return Action.QUARANTINE
        # A deadline is long: a subject that is too slow for it costs one more, not one more for each launch.
        hopeless = isinstance(error, DeadlineExceeded) and past.alike
        return Action.FAIL if hopeless or past.requeued >= REQUEUES else Action.REQUEUE
    return Action.FAIL


def is_devices(error: BaseException) -> bool:
    """Whether the device, or the way to it, may be to blame and not the trial."""
    return isinstance(
        error,
        DeviceOffline | TransportBroken | DeadlineExceeded | Unauthorized | ToolMissing | NoDevice | DiskFull
        | DeviceBusy | DeviceRefused,
    )  # fmt: skip


def reason(error: BaseException) -> str:
    """One sentence for the record: the error's own, or the name of what nobody expected and its first line."""
    if isinstance(error, BenchError):
        return error.what
    return clean(f"{type(error).__name__}: {error}".strip(": "))
