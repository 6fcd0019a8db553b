"""Runs that are killed, and what they must be in the end: for tests of `--resume`."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from bench.analyse import analyse
from bench.campaign import session
from bench.records import METRICS
from bench.results.folder import RunFolder
from tests.e2e import warm
from tests.faults.injector import until

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
