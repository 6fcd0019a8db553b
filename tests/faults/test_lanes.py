"""Several phones beside each other, and the ends of a run: lanes of real trials on real virtual phones."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from bench.campaign.lane import Patience
from bench.campaign.measuring import Progressed, measure
from bench.devices.adb import FOLDER, AdbServer
from bench.measure import station
from bench.records import Measurement, Progress
from bench.results.folder import RunFolder
from bench.virtual import phone as phones
from bench.virtual.phone import VirtualPhone
from tests.e2e.conftest import Adb, PhoneMaker
from tests.faults.injector import Injector, until
from tests.faults.kit import END, Bed, beside, event

PATIENCE = Patience(comes_back_s=20, probe_every_s=0.3, set_aside_s=3)
MEMORY = (
    event("environment", contract=3, cpus_allowed="0-7")
    + event("load", ns=5)
    + event("first_inference", ns=7)
    + event("memory", vm_hwm=1000, pss=900, anonymous=800)
    + END
)


@pytest.fixture(autouse=True)
def interrupts() -> Iterator[None]:
    """Ctrl-C is heard, also by tests that run in the background of a shell, which makes its children deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@dataclass
class Seen:
    """A watcher that keeps what it is told; `then` is called with each trial."""

    then: Callable[[Measurement], object] = lambda one: None
    notes: list[str] = field(default_factory=list)
    lanes: list[tuple[str, int]] = field(default_factory=list)

    def stage(self, title: str) -> Progress:
        return lambda fraction, note: None

    def lane(self, device: str, trials: int) -> None:
        self.lanes.append((device, trials))

    def trial(self, measurement: Measurement) -> None:
        self.then(measurement)

    def waits(self, device: str, title: str) -> Progress:
        return lambda fraction, note: None

    def goal(self, device: str, model: str, reached: float | None, wanted: float) -> None:
        pass

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)


@pytest.fixture(scope="module")
def pair(phone_maker: PhoneMaker, virtual_phone: VirtualPhone) -> Iterator[tuple[VirtualPhone, VirtualPhone]]:
    second = phone_maker.start()
    yield virtual_phone, second
    if second in phones.running():
        phones.stop(second.serial)


@pytest.fixture
def beds(adb: Adb, pair: tuple[VirtualPhone, ...], tmp_path: Path) -> Iterator[Callable[[str], list[Bed]]]:
    """A bed on each of two phones, with this runner."""
    made: list[Bed] = []

    def make(runner: str) -> list[Bed]:
        server = AdbServer(*adb.address)
        made.extend(Bed.on(server.choose(one.serial), tmp_path / one.serial, runner) for one in pair)
        return made

    yield make
    for bed in made:
        station.leave(bed.machine)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "results", "lanes", datetime.now())


def at_work(bed: Bed) -> str:
    """What was started from the store of a phone and runs still, and what lies in its work folder."""
    asked = f"ps -ef | grep -e '[b]ench/store/' -e 'slee[p] '; ls {FOLDER}/work 2>/dev/null"
    return bed.machine.transport.run(["sh", "-c", asked], deadline_s=30).stdout.strip()


def span(one: Measurement) -> tuple[float, float]:
    begun = datetime.fromisoformat(one.started).timestamp()
    return begun, begun + one.wall_s


def of(folder: RunFolder, bed: Bed) -> list[Measurement]:
    return [one for one in folder.measurements() if one.trial.subject.device == bed.machine.device.serial]


def test_two_phones_run_beside_each_other_and_each_does_its_trials_in_order(
    beds: Callable[[str], list[Bed]], folder: RunFolder
) -> None:
    both, seen, progressed = beds("sleep 1\n" + MEMORY), Seen(), Progressed()
    measure(beside(both, 3), folder, seen, progressed, PATIENCE)
    assert progressed.complete
    assert sorted(seen.lanes) == sorted((bed.machine.device.serial, 3) for bed in both)
    for bed in both:
        own = of(folder, bed)
        assert [(one.trial.launch, one.status) for one in own] == [(0, "ok"), (1, "ok"), (2, "ok")], own
        spans = [span(one) for one in own]
        assert all(before[1] <= after[0] + 0.05 for before, after in pairwise(spans))
    first, second = (of(folder, bed) for bed in both)
    assert any(a[0] < b[1] and b[0] < a[1] for a in map(span, first) for b in map(span, second))
    assert len({one.trial.order for one in (*first, *second)}) == 6
    log = [json.loads(line) for line in (folder.path / "log.jsonl").read_text().splitlines()]
    assert len([entry for entry in log if entry["event"] == "trial"]) == 6


def test_a_phone_that_is_not_ready_is_asked_again_and_the_other_goes_on(
    beds: Callable[[str], list[Bed]], folder: RunFolder
) -> None:
    both = beds(MEMORY)
    serial = both[1].machine.device.serial
    both[1].machine.unready = f"{serial} has no room for weights"
    progressed, seen = Progressed(), Seen()
    measure(beside(both, 2), folder, seen, progressed, PATIENCE)
    assert {one.status for one in folder.measurements()} == {"ok"}
    assert f"{serial} was set aside: {serial} has no room for weights" in progressed.notes
    assert f"{serial} is back" in seen.notes


def test_one_that_never_becomes_ready_costs_its_own_trials(
    adb: Adb, beds: Callable[[str], list[Bed]], folder: RunFolder, phone_maker: PhoneMaker, tmp_path: Path
) -> None:
    gone = phone_maker.start()
    lost = Bed.on(AdbServer(*adb.address, patience_s=2).choose(gone.serial), tmp_path / "gone", MEMORY)
    Injector(phone_maker, gone).kill_phone()
    lost.machine.unready = f"{gone.serial} is gone"
    both = [beds(MEMORY)[0], lost]
    progressed = Progressed()
    measure(beside(both, 2), folder, Seen(), progressed, PATIENCE)
    assert [one.status for one in of(folder, both[0])] == ["ok", "ok"]
    assert [(one.status, one.fault) for one in of(folder, lost)] == [("failed", "DeviceOffline")] * 2
    assert all(one.reason.endswith(f"{gone.serial} is gone") for one in of(folder, lost))
    assert progressed.complete


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_after_one_ctrl_c_the_trials_at_work_are_finished_and_stored(
    number: signal.Signals, beds: Callable[[str], list[Bed]], folder: RunFolder
) -> None:
    both, progressed = beds("sleep 1\n" + MEMORY), Progressed()
    pressed: list[str] = []

    def press(one: Measurement) -> None:
        if not pressed:
            pressed.append(one.trial.id)
            os.kill(os.getpid(), number)

    seen = Seen(press)
    with pytest.raises(KeyboardInterrupt):
        measure(beside(both, 30), folder, seen, progressed, PATIENCE)
    assert seen.notes == ["finishing the trials at work; Ctrl-C again stops at once"]
    stored = folder.measurements()
    assert 2 <= len(stored) <= 5
    assert {one.status for one in stored} == {"ok"}
    assert not progressed.complete
    for bed in both:
        station.leave(bed.machine)
        assert at_work(bed) == ""


def test_after_two_the_trials_at_work_are_ended_and_what_had_ended_is_kept(
    beds: Callable[[str], list[Bed]], folder: RunFolder
) -> None:
    # The first launch of each is quick, and the next would take long.
    both = beds('[ -e "$0.first" ] && { sleep 60 & sleep 60; }; touch "$0.first"\n' + MEMORY)
    begun = time.monotonic()

    def press(one: Measurement) -> None:
        if len(folder.measurements()) == 2:
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        measure(beside(both, 5), folder, Seen(press), Progressed(), PATIENCE)
    assert time.monotonic() - begun < 45
    assert sorted(one.trial.launch for one in folder.measurements()) == [0, 0]
    for bed in both:
        assert "store" not in at_work(bed)
        bed.machine.transport.run(["sh", "-c", f"rm {FOLDER}/store/*.first"], deadline_s=20)
        station.leave(bed.machine)
        assert at_work(bed) == ""


def test_nobody_waits_for_a_phone_that_is_gone_after_a_ctrl_c(
    injector: Injector, own_server: Adb, folder: RunFolder, tmp_path: Path
) -> None:
    bed = Bed.on(AdbServer(*own_server.address, patience_s=2).choose(injector.phone.serial), tmp_path / "bed", MEMORY)

    def kill(one: Measurement) -> None:
        injector.kill_phone()

    class Pressing(Seen):
        def note(self, sentence: str) -> None:
            super().note(sentence)
            if "waiting up to" in sentence:
                os.kill(os.getpid(), signal.SIGINT)

    seen = Pressing(kill)
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        measure(beside([bed], 3), folder, seen, Progressed(), Patience(comes_back_s=300))
    assert time.monotonic() - begun < 60
    assert len(folder.measurements()) == 1


def test_a_launch_that_a_killed_bench_left_at_work_is_ended_before_the_next_run(
    adb: Adb, beds: Callable[[str], list[Bed]]
) -> None:
    bed, _ = beds("sleep 100\n" + MEMORY)
    stored = bed.machine.where[next(iter(bed.machine.programs.values())).files[0].sha256]
    serial = bed.machine.device.serial
    Adb(adb.program, adb.port, serial).shell(f"nohup setsid {stored} x >/dev/null 2>&1 & echo")
    until(lambda: "store" in at_work(bed))
    station.bring(bed.machine, bed.files(), bed.told.say)
    assert "store" not in at_work(bed)
    assert bed.machine.transport.run(["true"], deadline_s=20).status == 0


def test_a_file_that_changed_between_two_attempts_makes_doubtful_what_used_it(
    beds: Callable[[str], list[Bed]],
) -> None:
    bed, other = beds(MEMORY)
    weights = bed.artifact.file("weights")
    bed.machine.use(bed.artifact, bed.samples)
    damage = f"printf '\\377' | dd of={bed.machine.where[weights.sha256]} bs=1 seek=9 conv=notrunc"
    bed.machine.transport.run(["sh", "-c", damage], deadline_s=20)
    station.bring(bed.machine, bed.files(), bed.told.say)
    assert bed.machine.doubtful == {weights.sha256}
    assert any("was damaged" in said for said in bed.told.sentences)
    other.machine.transport.run(["true"], deadline_s=20)


def test_a_phone_is_left_clean_though_the_adb_server_was_just_killed(
    injector: Injector, own_server: Adb, tmp_path: Path
) -> None:
    bed = Bed.on(AdbServer(*own_server.address).choose(injector.phone.serial), tmp_path / "bed", MEMORY)
    injector.kill_adb_server()
    station.leave(bed.machine)
    assert "work" not in bed.machine.transport.run(["ls", FOLDER], deadline_s=30).stdout.split()
