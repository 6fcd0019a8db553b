"""What a runner on a phone may do wrong: each costs its own trial, and the phone is measured on."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.devices.adb import AdbTransport
from tests.e2e.conftest import PhoneMaker
from tests.faults.kit import ANSWER, END, GOOD, Bed, event, run

SPOIL = 'case "$1" in *-t1-fp32-0-*) %s;; esac\n'
"""The first launch goes wrong, the others do not."""


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("kill -SEGV $$", "ended by signal 11 (SIGSEGV, it crashed)"),
        ("kill -ILL $$", "ended by signal 4 (SIGILL, an instruction that this processor does not have)"),
        ("kill -KILL $$", "killed (SIGKILL): most likely out of memory"),
        ("printf '\\200\\377\\033[2J\\001 garbage\\n\\000\\n'; exit 0", "the runner ended without its end marker"),
        ("yes garbage | head -c 100000; exit 3", "left with status 3"),
        (GOOD.splitlines()[0] + '; printf \'{"event":"iteration","i":0,"n\'; exit 0', "not an event"),
        (GOOD.splitlines()[0] + "; exit 0", "without its end marker"),
        (GOOD.splitlines()[0] + "; " + event("iteration", i=1, ns=5) + "exit 0", "a line was lost"),
        ('echo \'{"event":"load","ns":\'$(head -c 50000 /dev/zero | tr "\\0" 9)"}"; exit 0', "not an event"),
        ("exec /no/such/program", "is not there"),
    ],
)
def test_it_costs_its_own_trial_and_says_why(transport: AdbTransport, tmp_path: Path, fault: str, reason: str) -> None:
    bed = Bed.on(transport, tmp_path / "bed", SPOIL % fault + GOOD)
    ended = run(bed.lane(bed.trials(2)))
    assert [one.status for one in ended] == ["failed", "ok"]
    assert reason in ended[0].reason
    assert ended[0].reason.isprintable()
    assert len(ended[0].reason) < 400
    assert ended[0].fault == "RunnerFailed"
    assert bed.told.actions() == ["mend"]  # the files were looked at, and were whole


def test_one_that_hangs_is_killed_at_its_deadline_and_tried_once_more_at_the_end(
    transport: AdbTransport, tmp_path: Path
) -> None:
    bed = Bed.on(transport, tmp_path / "bed", SPOIL % "sleep 4444" + GOOD)
    ended = run(bed.lane(bed.trials(2), deadline_s=1))
    assert [(one.trial.launch, one.status) for one in ended] == [(1, "ok"), (0, "failed")]
    assert "did not end within 1 s" in ended[1].reason
    assert bed.told.actions() == ["requeue", "fail"]
    assert "sleep 4444" not in transport.run(["ps", "-ef"], deadline_s=20).stdout


def test_one_that_hung_by_chance_loses_nothing(transport: AdbTransport, tmp_path: Path) -> None:
    mark = f"{transport.folder}/work/hung-once"
    once = f"if mkdir {mark} 2>/dev/null; then sleep 4445; fi\n"
    bed = Bed.on(transport, tmp_path / "bed", once + GOOD)
    try:
        ended = run(bed.lane(bed.trials(2), deadline_s=1))
    finally:
        transport.run(["rm", "-rf", mark], deadline_s=20)
    assert [(one.trial.launch, one.status) for one in ended] == [(1, "ok"), (0, "ok")]


def test_wrong_answers_are_no_result(transport: AdbTransport, tmp_path: Path) -> None:
    bed = Bed.on(transport, tmp_path / "bed", ANSWER.replace("\\200", "\\201", 1) + END)
    (ended,) = run(bed.lane(bed.trials(1, "accuracy")))
    assert (ended.status, ended.fault) == ("failed", "RunnerFailed")
    assert ended.reason.startswith("its answers are not the network's: out0 is")


def test_right_answers_are(transport: AdbTransport, tmp_path: Path) -> None:
    bed = Bed.on(transport, tmp_path / "bed", ANSWER + END)
    (ended,) = run(bed.lane(bed.trials(1, "accuracy")))
    assert ended.status == "ok", ended.reason


def test_answers_longer_than_is_due_do_not_fill_this_computer(transport: AdbTransport, tmp_path: Path) -> None:
    flood = 'dd if=/dev/zero of="$out" bs=1 count=1 seek=9G 2>/dev/null\n'  # a file with a hole: no room is taken there
    bed = Bed.on(transport, tmp_path / "bed", ANSWER + flood + END)
    (ended,) = run(bed.lane(bed.trials(1, "accuracy")))
    assert (ended.status, ended.fault) == ("failed", "CorruptData")
    assert "has more than the 16 bytes that are due" in ended.reason


def test_one_that_takes_all_memory_is_killed_and_the_phone_lives(phone_maker: PhoneMaker, tmp_path: Path) -> None:
    from bench.devices.adb import AdbServer
    from bench.virtual import phone as phones

    phone = phone_maker.start(ram=64_000_000)
    try:
        transport = AdbServer(*phone_maker.adb.address).choose(phone.serial)
        hog = 'x=$(head -c 200000000 /dev/zero | tr "\\0" x); echo ${#x}; exit 0'
        bed = Bed.on(transport, tmp_path / "bed", SPOIL % hog + GOOD)
        ended = run(bed.lane(bed.trials(2)))
    finally:
        phones.stop(phone.serial)
    assert [one.status for one in ended] == ["failed", "ok"]
    assert "out of memory" in ended[0].reason
