"""What may happen to a phone, its storage and the adb server in the middle of a run: injected into a real virtual phone
behind a real adb server, while a lane measures on it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.campaign.lane import Lane, Patience
from bench.devices import deployment, presence
from bench.devices.adb import FOLDER, AdbTransport
from bench.errors import DeviceOffline, DiskFull, TransportBroken
from bench.measure import station
from bench.records import Measurement, Trial
from tests.faults.injector import Injector, until
from tests.faults.kit import GOOD, QUICK, Bed, run

SLOW = "sleep 1\n" + GOOD


@contextmanager
def meanwhile(*steps: Callable[[], object]) -> Iterator[None]:
    """Do this in another thread; what goes wrong there is raised at the end."""
    wrong: list[BaseException] = []

    def work() -> None:
        try:
            for step in steps:
                step()
        except BaseException as error:
            wrong.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join()
        assert not wrong, wrong


def runner_works(injector: Injector) -> Callable[[], None]:
    """Wait until a runner runs on the phone."""
    return lambda: until(lambda: f"{FOLDER}/store/" in injector.adb.shell("ps -ef | grep -v grep"))


def run_with(lane: Lane, *steps: Callable[[], object]) -> list[Measurement]:
    with meanwhile(*steps):
        return run(lane)


def statuses(ended: list[Measurement]) -> list[str]:
    return [one.status for one in ended]


# Gone, and back


def test_one_that_restarts_in_a_launch_loses_nothing_and_this_is_said(
    injector: Injector, broken: AdbTransport, tmp_path: Path
) -> None:
    bed = Bed.on(broken, tmp_path / "bed", SLOW)
    ended = run_with(bed.lane(bed.trials(3)), runner_works(injector), injector.restart_phone)
    assert statuses(ended) == ["ok"] * 3
    assert set(bed.told.actions()) == {"retry"}
    serial = broken.serial
    assert any(f"waiting up to 20 s for {serial}" in said for said in bed.told.sentences)
    assert f"{serial} restarted during the run" in bed.told.sentences


def test_one_that_never_comes_back_costs_its_own_trials_in_bounded_time(
    injector: Injector, broken: AdbTransport, tmp_path: Path
) -> None:
    bed = Bed.on(broken, tmp_path / "bed", SLOW)
    begun = time.monotonic()
    patience = Patience(comes_back_s=2, probe_every_s=0.3, set_aside_s=2)
    lane = bed.lane(bed.trials(4), patience, before=lambda one: injector.kill_phone() if one.launch == 1 else None)
    ended = run(lane)
    assert time.monotonic() - begun < 30
    assert statuses(ended) == ["ok", "failed", "failed", "failed"]
    serial = broken.serial
    for one in ended[1:]:
        assert f"{serial} was set aside and did not come back within" in one.reason
        assert "did not come back within 2 s" in one.reason
        assert one.fault == "DeviceOffline"
    lane.remember("a run")
    summary = bed.health.summary(serial)
    assert (summary.runs, summary.trials, summary.failures) == (1, 4, {"DeviceOffline": 3})
    assert "did not come back" in summary.set_aside_why


def test_one_that_was_set_aside_comes_back_and_its_trials_are_done(
    injector: Injector, broken: AdbTransport, tmp_path: Path
) -> None:
    bed = Bed.on(broken, tmp_path / "bed", SLOW)
    patience = Patience(comes_back_s=1, probe_every_s=0.3, set_aside_s=20)

    def kill(one: Trial) -> None:
        if one.launch == 1 and not bed.told.actions():
            injector.kill_phone()

    def start() -> None:
        until(lambda: bed.health.summary(broken.serial).set_aside_since)
        injector.start_phone()

    lane = bed.lane(bed.trials(3), patience, before=kill)
    ended = run_with(lane, start)
    assert statuses(ended) == ["ok"] * 3
    assert f"{broken.serial} is back" in bed.told.sentences
    lane.remember("a run")
    assert bed.health.summary(broken.serial).set_aside_since == ""


def test_while_others_are_at_work_one_that_is_gone_is_asked_and_not_waited_for(
    injector: Injector, broken: AdbTransport, tmp_path: Path
) -> None:
    bed = Bed.on(broken, tmp_path / "bed", GOOD)
    lane = bed.lane(bed.trials(1), Patience(comes_back_s=1, probe_every_s=0.2, set_aside_s=0))
    injector.kill_phone()
    assert lane.step() is None
    assert not lane.at_work
    for _ in range(3):
        assert lane.step(others_at_work=True) is None
        assert not lane.done
    (ended,) = run(lane)
    assert ended.status == "failed"


def test_one_that_still_starts_is_waited_for(transport: AdbTransport) -> None:
    transport.run(["setprop", "sys.boot_completed", "0"], deadline_s=20)
    said: list[str] = []
    try:
        with pytest.raises(DeviceOffline, match="did not come back within 1 s: it is still starting"):
            presence.wait(transport, 1, said.append)
        later = lambda: (time.sleep(1), transport.run(["setprop", "sys.boot_completed", "1"], deadline_s=20))  # noqa: E731
        with meanwhile(later):
            assert presence.wait(transport, 20, said.append).ready
    finally:
        transport.run(["rm", "-f", "/data/property/sys.boot_completed"], deadline_s=20)
    assert f"it is still starting; waiting up to 20 s for {transport.serial}" in said


def test_one_that_vanishes_in_a_push_may_be_tried_again(
    injector: Injector, broken: AdbTransport, tmp_path: Path
) -> None:
    (tmp_path / "large").write_bytes(bytes(300 << 20))
    there = lambda: until(lambda: injector.adb.shell(f"ls {FOLDER} 2>/dev/null; true"))  # noqa: E731
    with meanwhile(there, injector.kill_phone), pytest.raises((TransportBroken, DeviceOffline)) as caught:
        broken.push(tmp_path / "large", f"{FOLDER}/large", deadline_s=60)
    assert broken.serial in caught.value.what


def test_three_lost_trials_in_a_row_set_it_aside(injector: Injector, broken: AdbTransport, tmp_path: Path) -> None:
    """A phone that is there whenever it is asked, and whose every launch breaks off."""
    bed = Bed.on(broken, tmp_path / "bed", "kill -9 $PPID\n")
    ended = run(bed.lane(bed.trials(5), Patience(comes_back_s=5, probe_every_s=0.1, set_aside_s=5)))
    assert statuses(ended) == ["failed"] * 5
    actions = bed.told.actions()
    assert actions[:3] == ["retry", "retry", "requeue"]
    assert actions.count("quarantine") == 4
    assert "was given up after it had been set aside 3 times" in ended[-1].reason


# Its storage


def test_a_folder_removed_in_a_run_is_brought_again(injector: Injector, broken: AdbTransport, tmp_path: Path) -> None:
    bed = Bed.on(broken, tmp_path / "bed", GOOD)
    clean = lambda one: injector.remove_folder() if one.launch == 1 and not bed.told.actions() else None  # noqa: E731
    ended = run(bed.lane(bed.trials(3), before=clean))
    assert statuses(ended) == ["ok"] * 3
    assert bed.told.actions() == ["mend"]
    assert f"4 files had gone from {broken.serial} and were brought again" in bed.told.sentences
    assert not bed.machine.doubtful


def test_a_file_that_changed_is_replaced_and_what_had_used_it_is_doubtful(
    injector: Injector, broken: AdbTransport, tmp_path: Path
) -> None:
    graph = 'graph=$(sed -n "s/^graph = //p" "$1"); [ $(head -c 4 "$graph") = 7767 ] || exit 5\n'
    bed = Bed.on(broken, tmp_path / "bed", graph + GOOD)
    file = bed.artifact.file("graph")

    def damage(one: Trial) -> None:
        if one.launch == 1 and not bed.told.actions():
            injector.adb.shell(f"printf XX | dd of={FOLDER}/store/{file.sha256[:32]} bs=1 conv=notrunc")

    ended = run(bed.lane(bed.trials(3), before=damage))
    assert statuses(ended) == ["ok"] * 3
    assert f"graph was damaged on {broken.serial} and was replaced" in bed.told.sentences
    assert bed.machine.doubtful == {file.sha256}


def test_files_that_change_one_after_the_other_cost_no_trial(
    injector: Injector, broken: AdbTransport, tmp_path: Path
) -> None:
    whole = 'file=$(sed -n "s/^{0} = //p" "$1"); [ $(od -An -tx1 -N1 "$file") != 58 ] || exit 5\n'
    bed = Bed.on(broken, tmp_path / "bed", whole.format("graph") + whole.format("weights") + GOOD)

    def damage(one: Trial) -> None:
        role = {0: "graph", 1: "weights"}.get(len(bed.told.actions()))
        if role:
            name = bed.artifact.file(role).sha256[:32]
            injector.adb.shell(f"printf X | dd of={FOLDER}/store/{name} bs=1 conv=notrunc")

    (ended,) = run(bed.lane(bed.trials(1), before=damage))
    assert bed.told.actions() == ["mend", "mend"]
    assert ended.status == "ok", ended.reason


@pytest.mark.parametrize("injector", [8 << 20], indirect=True)
def test_a_full_phone_is_refused_before_anything_is_copied(
    injector: Injector, broken: AdbTransport, tmp_path: Path
) -> None:
    bed = Bed.on(broken, tmp_path / "bed", GOOD)
    big = tmp_path / "big"
    big.write_bytes(bytes(6 << 20))
    with pytest.raises(DiskFull, match="bytes free"):
        deployment.deploy(broken, [deployment.Payload(big, "f" * 64, big.stat().st_size)])
    injector.fill_disk()
    with pytest.raises(DiskFull, match="has no room for big"):
        broken.push(big, f"{FOLDER}/big", deadline_s=60)
    injector.empty_disk()
    assert statuses(run(bed.lane(bed.trials(1)))) == ["ok"]


@pytest.mark.parametrize("injector", [8 << 20], indirect=True)
def test_a_phone_that_fills_up_is_set_aside_until_there_is_room(
    injector: Injector, broken: AdbTransport, tmp_path: Path
) -> None:
    bed = Bed.on(broken, tmp_path / "bed", GOOD)

    def fill(one: Trial) -> None:
        if one.launch == 1 and not bed.told.actions():
            injector.fill_disk()

    def empty() -> None:
        until(lambda: bed.health.summary(broken.serial).set_aside_since)
        injector.empty_disk()

    ended = run_with(bed.lane(bed.trials(3), before=fill), empty)
    assert statuses(ended) == ["ok"] * 3
    assert "quarantine" in bed.told.actions()
    assert any("set aside" in said and "no room" in said for said in bed.told.sentences)


def test_storage_that_takes_nothing_more_is_said_to_be_so(transport: AdbTransport, tmp_path: Path) -> None:
    bed = Bed.on(transport, tmp_path / "bed", GOOD)
    work = f"{transport.folder}/work"

    def freeze(one: Trial) -> None:
        transport.run(["chmod", "555", work], deadline_s=20)

    try:
        (ended,) = run(bed.lane(bed.trials(1), Patience(1, 0.1, 0), before=freeze))
    finally:
        transport.run(["chmod", "755", work], deadline_s=20)
    assert ended.status == "failed"
    assert "refused" in ended.reason
    assert bed.told.actions()[0] == "mend"


# Its programs, and the adb server


def test_a_runner_that_somebody_kills_costs_its_trial(injector: Injector, broken: AdbTransport, tmp_path: Path) -> None:
    bed = Bed.on(broken, tmp_path / "bed", SLOW)
    kill = lambda: injector.signal_runner(signal.SIGKILL)  # noqa: E731
    ended = run_with(bed.lane(bed.trials(2)), lambda: until(kill))
    assert statuses(ended) == ["failed", "ok"]
    assert "killed (SIGKILL)" in ended[0].reason


def test_a_runner_that_is_stopped_is_ended_at_its_deadline_and_done_again(
    injector: Injector, broken: AdbTransport, tmp_path: Path
) -> None:
    bed = Bed.on(broken, tmp_path / "bed", SLOW)
    stop = lambda: injector.signal_runner(signal.SIGSTOP)  # noqa: E731
    ended = run_with(bed.lane(bed.trials(2), deadline_s=3), lambda: until(stop))
    assert [(one.trial.launch, one.status) for one in ended] == [(1, "ok"), (0, "ok")]
    assert f"{FOLDER}/store/" not in injector.adb.shell("ps -ef | grep -v grep")


def test_an_adb_server_that_is_killed_costs_nothing(injector: Injector, broken: AdbTransport, tmp_path: Path) -> None:
    bed = Bed.on(broken, tmp_path / "bed", SLOW)
    ended = run_with(bed.lane(bed.trials(3)), runner_works(injector), injector.kill_adb_server)
    assert statuses(ended) == ["ok"] * 3
    assert set(bed.told.actions()) == {"retry"}
    assert not any("restarted" in said for said in bed.told.sentences)


def test_nothing_is_left_on_the_phone_by_a_launch_that_broke(
    injector: Injector, broken: AdbTransport, tmp_path: Path
) -> None:
    bed = Bed.on(broken, tmp_path / "bed", "sleep 30 & wait\n")
    run_with(bed.lane(bed.trials(1), QUICK, deadline_s=2), runner_works(injector))
    assert "sleep 30" not in injector.adb.shell("ps -ef | grep -v grep")


def test_a_byte_that_changed_in_any_file_is_found(injector: Injector, broken: AdbTransport, tmp_path: Path) -> None:
    bed = Bed.on(broken, tmp_path / "bed", GOOD)
    assert not station.damaged(bed.machine, bed.files())
    name = injector.corrupt_file()
    (found,) = station.damaged(bed.machine, bed.files())
    assert found.startswith(name)
