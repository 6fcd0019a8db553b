"""Runs that are killed or stopped at many moments, and go on."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.cache import Cache
from bench.campaign import past
from bench.campaign.phones import LOCKS
from bench.devices import hold
from bench.devices.adb import FOLDER
from bench.results.history import NAME, History
from bench.virtual.phone import VirtualPhone
from tests.e2e.conftest import Adb
from tests.e2e.resuming import Runs, is_whole, kill, same_as
from tests.faults.injector import until

pytestmark = [pytest.mark.timeout(1800), pytest.mark.slow_fault]


@pytest.fixture
def runs(virtual_phone: VirtualPhone, env: dict[str, str], tmp_path: Path) -> Callable[..., Runs]:
    def make(name: str, launches: int = 4, more: str = "") -> Runs:
        (tmp_path / name).mkdir()
        return Runs(tmp_path / name, virtual_phone.serial, env, launches, more)

    return make


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
        assert f"to go on with it: bench run --resume {one.folder.path}" in one.said.read_text()
        is_whole(one.folder)
        assert hold.holder(Cache().root / LOCKS, virtual_phone.serial) is None
        assert "work" not in device.shell(f"ls {FOLDER}").split()
        assert f"{FOLDER}/store" not in device.shell("ps -ef")
    one.to_the_end()
    assert one.folder.record().finished
    assert "Traceback" not in one.said.read_text()


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
