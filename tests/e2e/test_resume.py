"""A run that is killed at whatever moment goes on where it was, and is in the end as if nothing had happened."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from bench.analyse import analyse
from bench.cache import Cache
from bench.campaign import past, session
from bench.campaign.phones import LOCKS
from bench.devices import hold
from bench.devices.adb import FOLDER
from bench.records import METRICS
from bench.results import prune
from bench.results.folder import RunFolder
from bench.results.history import NAME, History
from bench.virtual.phone import VirtualPhone
from tests.e2e import warm
from tests.e2e.conftest import Adb
from tests.faults.injector import until

pytestmark = pytest.mark.timeout(900)

NET = """
from torch import nn

def build():
    return nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(96, {classes}))
"""
PLAN = """
name = "resumed"
desktop = ["ncnn"]
[protocol]
launches = {launches}
reference_launches = 1
memory_launches = 2
warmup_iterations = 1
warmup_seconds = 0
min_iterations = 3
min_seconds = 0.1
{more}
[[cases]]
model = "{net}:build"
label = "net"
input = "1x16x16"
variants = ["baseline", "half"]
"""


class Runs:
    """Runs of a plan on the session's phone, as processes that can be killed."""

    def __init__(self, place: Path, serial: str, env: dict[str, str], launches: int, more: str) -> None:
        self.results, self.said = place / "results", place / "said"
        self.net, self.plan = place / "net.py", place / "plan.toml"
        self.net.write_text(NET.format(classes=5))
        self.plan.write_text(PLAN.format(net=self.net, launches=launches, more=more))
        self._serial, self._env = serial, env

    @property
    def folder(self) -> RunFolder:
        (record,) = self.results.glob("*/run.json")
        return RunFolder(record.parent)

    def ended(self) -> int:
        return sum(path.read_bytes().count(b"\n") for path in self.results.glob("*/trials.jsonl"))

    def begin(self) -> BaseProcess:
        """Begin the run, or go on with it."""
        if list(self.results.glob("*/run.json")):
            return self.resume()
        arguments = ("run", "-s", self._serial, "--plan", self.plan, "--results", self.results)
        return warm.start(arguments, self._env, self.said)

    def resume(self, *more: str) -> BaseProcess:
        return warm.start(("run", "--resume", self.folder.path, *more), self._env, self.said)

    def to_the_end(self, status: int = 0) -> str:
        """Until the process has left with that status; what it said."""
        before = self.said.stat().st_size if self.said.exists() else 0
        process = self.begin()
        process.join(300)
        said = self.said.read_bytes()[before:].decode()
        assert process.exitcode == status, said
        assert "Traceback" not in said, said
        return said

    @contextmanager
    def at_work(self, trials: int) -> Iterator[BaseProcess]:
        """While so many trials more have ended, or the process has."""
        due, process = self.ended() + trials, self.begin()
        until(lambda: self.ended() >= due or process.exitcode is not None, 120)
        assert process.exitcode in (None, 0), self.said.read_text()
        yield process
        process.join(120)


def kill(process: BaseProcess) -> None:
    if process.exitcode is None and process.pid:
        os.kill(process.pid, signal.SIGKILL)


@pytest.fixture
def runs(virtual_phone: VirtualPhone, env: dict[str, str], tmp_path: Path) -> Callable[..., Runs]:
    def make(name: str, launches: int = 4, more: str = "") -> Runs:
        (tmp_path / name).mkdir()
        return Runs(tmp_path / name, virtual_phone.serial, env, launches, more)

    return make


def timeless(folder: RunFolder) -> list[tuple[Any, ...]]:
    """What an analysis finds that does not depend on time: sizes, and what is said of answers."""
    record, frame = folder.record(), folder.consolidate()
    kept = (
        one
        for one in analyse(frame, record, folder.answers()).summaries
        if METRICS[one.metric].pass_ in ("size", "accuracy")
    )
    return sorted(
        (one.subject.model_dump_json(), one.metric, one.statistics and one.statistics.median, one.usable)
        for one in kept
    )


def is_whole(folder: RunFolder, *, report: bool = False) -> None:
    """The store opens and can be analysed, and a report can be made of it, which takes seconds."""
    stored = folder.measurements()
    timeless(folder)
    if report:
        session.report(folder)
    assert len({one.trial.id for one in stored}) == len(stored)


def test_a_run_that_is_killed_again_and_again_ends_as_one_that_was_not(runs: Callable[..., Runs], device: Adb) -> None:
    whole, killed = runs("whole"), runs("killed")
    whole.to_the_end()
    dice = random.Random(11)
    for n in range(4):
        with killed.at_work(dice.randint(1, 5)) as process:
            time.sleep(dice.uniform(0, 0.3))
            kill(process)
        is_whole(killed.folder, report=n == 1)
    name = killed.folder.record().id
    killed.to_the_end()
    same_as(killed.folder, whole.folder)
    assert killed.folder.record().id == name
    assert sum(note.startswith("Resumed on ") for note in killed.folder.record().notes) >= 1
    assert [run.run for run in past.runs(History(killed.results / NAME))] == [name]
    before = killed.ended()
    assert "is complete: there is nothing left to do" in killed.to_the_end()
    assert killed.ended() == before
    assert "work" not in device.shell(f"ls {FOLDER}").split()


def same_as(folder: RunFolder, whole: RunFolder) -> None:
    stored, wanted = folder.measurements(), whole.measurements()
    assert sorted(one.trial.id for one in stored) == sorted(one.trial.id for one in wanted)
    assert {one.status for one in stored} == {"ok"}
    assert len({one.trial.order for one in stored}) == len(stored)
    assert folder.record().finished
    frame, answers = folder.consolidate(), folder.answers()
    assert folder.missing(frame, answers) == ()
    found = timeless(folder)
    assert found
    assert found == timeless(whole)


@pytest.mark.slow_fault
def test_one_that_is_killed_at_twenty_random_moments_ends_as_one_that_was_not(runs: Callable[..., Runs]) -> None:
    whole, killed = (runs(name, launches=20) for name in ("whole", "killed"))
    whole.to_the_end()
    dice = random.Random(20)
    for _ in range(20):
        process = killed.begin()
        time.sleep(dice.uniform(0.1, 6))
        kill(process)
        process.join(60)
        if list(killed.results.glob("*/run.json")):
            is_whole(killed.folder, report=True)
    killed.to_the_end()
    same_as(killed.folder, whole.folder)
    assert len(past.runs(History(killed.results / NAME))) == 1


@pytest.mark.slow_fault
def test_ctrl_c_ends_with_130_keeps_what_ended_and_locks_nobody_out(
    runs: Callable[..., Runs], virtual_phone: VirtualPhone, device: Adb
) -> None:
    one = runs("pressed")
    for presses, number in ((1, signal.SIGINT), (2, signal.SIGINT), (1, signal.SIGTERM)):
        with one.at_work(2) as process:
            for _ in range(presses):
                assert process.pid
                os.kill(process.pid, number)
                time.sleep(0.2)
        assert process.exitcode == 130, one.said.read_text()
        is_whole(one.folder)
        assert hold.holder(Cache().root / LOCKS, virtual_phone.serial) is None
        assert "work" not in device.shell(f"ls {FOLDER}").split()
        assert f"{FOLDER}/store" not in device.shell("ps -ef")
    one.to_the_end()
    assert one.folder.record().finished
    assert "Traceback" not in one.said.read_text()


@pytest.mark.slow_fault
@pytest.mark.parametrize("stage", ["native runner", "deploy", "measure"])
def test_ctrl_c_before_the_first_trial_leaves_with_130(
    stage: str, runs: Callable[..., Runs], virtual_phone: VirtualPhone
) -> None:
    one = runs("early")
    process = one.begin()
    until(lambda: one.said.exists() and stage in one.said.read_text(), 60)
    assert process.pid
    os.kill(process.pid, signal.SIGINT)
    process.join(60)
    assert process.exitcode == 130, one.said.read_text()
    assert "Traceback" not in one.said.read_text()
    assert hold.holder(Cache().root / LOCKS, virtual_phone.serial) is None


def test_a_run_goes_on_only_with_what_it_was_begun_with(runs: Callable[..., Runs]) -> None:
    one = runs("changed")
    with one.at_work(3) as process:
        kill(process)
    stored = one.ended()
    one.net.write_text(NET.format(classes=6))
    said = one.to_the_end(2)
    assert f"{one.folder.path} cannot be resumed: " in said
    assert "the files of net/baseline for ncnn are not the same" in " ".join(said.split())
    process = one.resume("--launches", "9")
    process.join(60)
    assert process.exitcode == 2
    assert "other flags would change it" in one.said.read_text()
    assert one.ended() == stored
    (one.folder.path / prune.MARK).write_text('{"when": "2026-11-26T00:00:00+00:00"}')
    assert "were pruned on 2026-11-26" in " ".join(one.to_the_end(2).split())


@pytest.mark.slow_fault
def test_a_goal_is_pursued_further_with_the_same_trials(runs: Callable[..., Runs]) -> None:
    one = runs("goal", more="ratio_interval = 0.0001\nbudget_seconds = 8")
    with one.at_work(24) as process:
        kill(process)
    is_whole(one.folder)
    one.to_the_end()
    launches: dict[str, list[int]] = {}
    for stored in one.folder.measurements():
        if stored.trial.pass_ == "latency":
            launches.setdefault(stored.trial.subject.model_dump_json(), []).append(stored.trial.launch)
    assert launches
    for own in launches.values():
        assert sorted(own) == list(range(len(own)))
    assert any(len(own) > 4 for own in launches.values())
    assert one.folder.record().goals
