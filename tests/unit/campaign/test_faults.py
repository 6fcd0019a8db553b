"""What becomes of each error."""

from __future__ import annotations

import errno

import pytest

from bench import errors
from bench.campaign.faults import LOST_AFTER, REQUEUES, TRIES, Action, Past, after, reason
from bench.errors import (
    BenchError,
    CorruptData,
    DeadlineExceeded,
    DeviceOffline,
    DeviceRefused,
    DiskFull,
    HostFull,
    RunnerFailed,
    ToolMissing,
    TransportBroken,
    Unauthorized,
    UsageError,
    WrongAbi,
)


@pytest.mark.parametrize(
    ("error", "past", "action"),
    [
        (TransportBroken("x"), Past(), Action.RETRY),
        (DeviceOffline("x"), Past(tries=TRIES - 1), Action.RETRY),
        (TransportBroken("x"), Past(tries=TRIES), Action.REQUEUE),
        (TransportBroken("x"), Past(tries=TRIES, requeued=REQUEUES), Action.FAIL),
        (TransportBroken("x"), Past(tries=TRIES, lost=LOST_AFTER - 1), Action.QUARANTINE),
        (DeadlineExceeded("x"), Past(), Action.REQUEUE),
        (DeadlineExceeded("x"), Past(alike=1), Action.FAIL),
        (DeadlineExceeded("x"), Past(lost=LOST_AFTER - 1), Action.QUARANTINE),
        (RunnerFailed("x"), Past(), Action.MEND),
        (RunnerFailed("x"), Past(mended=True), Action.FAIL),
        (RunnerFailed("x"), Past(mended=True, lost=LOST_AFTER), Action.FAIL),
        (DeviceRefused("x"), Past(), Action.MEND),
        (DeviceRefused("x"), Past(mended=True), Action.QUARANTINE),
        (DiskFull("x"), Past(), Action.QUARANTINE),
        (Unauthorized("x"), Past(), Action.QUARANTINE),
        (ToolMissing("x"), Past(), Action.QUARANTINE),
        (HostFull("x"), Past(), Action.STOP),
        (OSError(errno.ENOSPC, "No space left on device"), Past(), Action.STOP),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), Past(), Action.STOP),
        (OSError("[Errno 28] Error writing bytes to file. Detail: [errno 28] No space left"), Past(), Action.STOP),
        (OSError(errno.EMFILE, "Too many open files"), Past(), Action.FAIL),
        (CorruptData("x"), Past(), Action.FAIL),
        (UsageError("x"), Past(), Action.FAIL),
        (WrongAbi("x"), Past(), Action.FAIL),
        (ZeroDivisionError(), Past(), Action.FAIL),
        (MemoryError(), Past(), Action.FAIL),
    ],
)
def test_every_error_has_its_own_end(error: BaseException, past: Past, action: Action) -> None:
    assert after(error, past) is action


@pytest.mark.parametrize(
    "kind", [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, BenchError)]
)
def test_no_error_is_tried_for_ever(kind: type[BenchError]) -> None:
    """Whatever it is, a trial that meets it again and again ends: failed, or with its device set aside."""
    past, taken = Past(), []
    for _ in range(20):
        action = after(kind("x"), past)
        taken.append(action)
        match action:
            case Action.RETRY:
                past = past._replace(tries=past.tries + 1)
            case Action.MEND:
                past = past._replace(mended=True, tries=past.tries + 1)
            case Action.REQUEUE:
                past = Past(requeued=past.requeued + 1, lost=past.lost + 1, alike=past.alike + 1)
            case _:
                return
    pytest.fail(f"{taken}")


def test_what_nobody_expected_is_named_and_cannot_drive_a_terminal() -> None:
    assert reason(ZeroDivisionError("division by zero")) == "ZeroDivisionError: division by zero"
    assert reason(ZeroDivisionError()) == "ZeroDivisionError"
    assert reason(ValueError("\x1b[2Jx\ny" * 1000)).isprintable()
    assert reason(TransportBroken("it broke", "Do this.")) == "it broke"
