"""Every trial of a run, one after the other, each stored when it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple, Protocol

from bench import runtimes
from bench.campaign.adaptive import Goal
from bench.campaign.asked import Asked, entries
from bench.measure import order, trial
from bench.measure.order import Block
from bench.measure.station import Station
from bench.prepare import Prepared
from bench.records import ArtifactFile, GoalRecord, Measurement, Progress, Trial
from bench.results.folder import RunFolder


class Watcher(Protocol):
    """Receives the progress of a run. Nothing below the command line prints."""

    def stage(self, title: str) -> Progress:
        """A stage begins; the result is called with its progress."""
        ...

    def trial(self, done: int, total: int, measurement: Measurement) -> None:
        """A trial has ended and is stored."""
        ...

    def goal(self, model: str, reached: float | None, wanted: float) -> None:
        """Launches of a network go on: half the width of its widest interval now, and the one wanted, as parts of 1."""
        ...


class Ready(NamedTuple):
    """All that the trials need: machines, and each network by the label of its case."""

    asked: Asked
    stations: tuple[Station, ...]
    prepared: Mapping[str, Prepared]

    def files(self, machine: Station) -> list[ArtifactFile]:
        """What a machine needs beside its programs."""
        return [file for one in self.prepared.values() for file in one.files(machine.programs)]

    @property
    def blocks(self) -> tuple[Block, ...]:
        """What the plan is sure to have."""
        phones = [s.device.serial for s in self.stations if s.is_phone]
        return tuple(order.blocks(self.asked.plan, entries(self.asked, phones)))

    def goal(self, model: str) -> Goal | None:
        """How closely the ratios of a network shall be known; None where the plan does not say."""
        protocol = self.asked.plan.protocol_for(model)
        ordinary = {a.variant for a in self.prepared[model].artifacts if a.ordinary}
        return Goal(model, protocol, ordinary, {runtimes.reference().name}) if protocol.ratio_interval else None


@dataclass
class Progressed:
    """How far the trials got: what came of goals, and whether every trial has ended."""

    goals: list[GoalRecord] = field(default_factory=list)
    complete: bool = False


def measure(ready: Ready, folder: RunFolder, watcher: Watcher, progressed: Progressed) -> None:
    """Do every trial of the plan, and those beyond it that its goals ask for. `progressed` says how far that got,
    however it ends."""
    watcher.stage("measure")
    with folder.log() as log:
        lane = _Lane(ready, folder, watcher, log)
        for (model, pass_), blocks in groupby(ready.blocks, key=lambda block: (block.model, block.pass_)):
            goal = ready.goal(model) if pass_ == "latency" else None
            planned = [block.trials for block in blocks]
            if goal is None:
                lane.go(planned)
                continue
            try:
                lane.pursue(goal, planned)
            finally:
                progressed.goals += goal.records()
    progressed.complete = True


class _Lane:
    """A loop over blocks: measure, store, tell."""

    def __init__(self, ready: Ready, folder: RunFolder, watcher: Watcher, log: Any) -> None:
        self._ready, self._folder, self._watcher, self._log = ready, folder, watcher, log
        self._stations = {s.device.serial: s for s in ready.stations}
        self._cores = {case.label: case.cores for case in ready.asked.plan.cases}
        self._done = 0
        self._total = sum(len(block.trials) for block in ready.blocks)

    def go(self, blocks: Iterable[Sequence[Trial]], tell: Callable[[Measurement], None] | None = None) -> None:
        """Do the trials of these blocks, each of which may be made when its turn comes."""
        for block in blocks:
            for one in order.numbered(block, self._done):
                measured = self._measured(one)
                self._done += 1
                self._watcher.trial(self._done, self._total, measured)
                if tell:
                    tell(measured)

    def pursue(self, goal: Goal, planned: Iterable[Sequence[Trial]]) -> None:
        """The planned blocks, and further ones until the goal is reached or given up."""
        self.go(planned, goal.add)
        self.go(self._further(goal), goal.add)

    def _further(self, goal: Goal) -> Iterator[tuple[Trial, ...]]:
        while block := goal.block():
            self._total += len(block)
            self._watcher.goal(goal.model, goal.reached(), goal.wanted)
            yield block

    def _measured(self, one: Trial) -> Measurement:
        subject, ready = one.subject, self._ready
        machine, prepared = self._stations[subject.device], ready.prepared[subject.model]
        protocol = ready.asked.plan.protocol_for(subject.model)
        machine.ready(one, protocol, self._watcher.stage)
        measured, answers = trial.measure(
            one, machine, prepared.artifact(subject.variant, subject.runtime), prepared.samples,
            prepared.expected[subject.variant], protocol, self._cores[subject.model],
        )  # fmt: skip
        self._folder.append(measured, machine.device, answers)
        self._log.info("trial", trial=one.id, status=measured.status, reason=measured.reason)
        return measured
