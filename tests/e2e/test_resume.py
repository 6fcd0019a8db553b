"""A run that is killed at whatever moment goes on where it was, and is in the end as if nothing had happened."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.campaign import past
from bench.devices.adb import FOLDER
from bench.results import prune
from bench.results.history import NAME, History
from bench.virtual.phone import VirtualPhone
from tests.e2e.conftest import Adb
from tests.e2e.resuming import NET, Runs, is_whole, kill, same_as

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def runs(virtual_phone: VirtualPhone, env: dict[str, str], tmp_path: Path) -> Callable[..., Runs]:
    def make(name: str, launches: int = 4, more: str = "") -> Runs:
        (tmp_path / name).mkdir()
        return Runs(tmp_path / name, virtual_phone.serial, env, launches, more)

    return make


def test_a_run_that_is_killed_again_and_again_ends_as_one_that_was_not(runs: Callable[..., Runs], device: Adb) -> None:
    whole, killed = runs("whole"), runs("killed")
    whole.to_the_end()
    dice = random.Random(11)
    for _ in range(4):
        with killed.at_work(dice.randint(1, 5)) as process:
            time.sleep(dice.uniform(0, 0.3))
            kill(process)
        is_whole(killed.folder)
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
