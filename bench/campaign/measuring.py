"""The measuring of a run: this host first and alone, then all phones beside each other, a lane for each. One thread,
the one that calls, stores what they measure."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from queue import Empty, SimpleQueue
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from bench import runtimes
from bench.campaign.adaptive import Goal
from bench.campaign.asked import Asked, entries
from bench.campaign.course import Course
from bench.campaign.health import Health
from bench.campaign.lane import Lane, Patience, Stopped
from bench.campaign.phones import HERE, Elsewhere
from bench.campaign.turns import Turns
from bench.measure import energy, gates, order, station, strip, trial
from bench.measure.gallery import Gallery
from bench.measure.order import Block
from bench.measure.station import Station
from bench.measure.trial import Outcome
from bench.prepare import Prepared
from bench.records import ArtifactFile, GoalRecord, Measurement, Progress, Trial
from bench.results.folder import RunFolder
from bench.results.pictures import Pictures

_ENDS_WITHIN_S = 10.0


class Watcher(Protocol):
    """Receives the progress of a run, of several lanes from several threads. Nothing below the command line prints."""

    def stage(self, title: str) -> Progress:
        """A stage begins; the result is called with its progress."""
        ...

    def lane(self, device: str, trials: int) -> None:
        """A device begins, or goes on with, so many trials."""
        ...

    def trial(self, measurement: Measurement) -> None:
        """A trial has ended and is stored."""
        ...

    def waits(self, device: str, title: str) -> Progress:
        """A device has to be waited for; the result is called with how that goes."""
        ...

    def goal(self, device: str, model: str, reached: float | None, wanted: float) -> None:
        """Launches of a network go on there: half the width of its widest interval now, and the one wanted, as parts
        of 1."""
        ...

    def note(self, sentence: str) -> None:
        """Something happened to a device or its files."""
        ...


class Ready(NamedTuple):
    """All that the trials need: machines, and each network by the label of its case."""

    asked: Asked
    stations: tuple[Station, ...]
    prepared: Mapping[str, Prepared]
    hosts: Mapping[str, Elsewhere] = HERE
    """Where phones of a farm hang, by serial."""
    libraries: Mapping[str, tuple[int, int]] = MappingProxyType({})
    """As a run stores them: `RunRecord.libraries`."""

    def files(self, machine: Station) -> list[ArtifactFile]:
        """What a machine needs beside its programs."""
        return [file for one in self.prepared.values() for file in one.files(machine.programs)]

    def blocks(self, machine: Station) -> tuple[Block, ...]:
        """What the plan is sure to have on a machine; a device that has no energy to measure is asked once for each
        variant."""
        phones = [s.device.serial for s in self.stations if s.is_phone]
        whole = order.blocks(self.asked.plan, entries(self.asked, phones))
        mine = order.of_device(whole, machine.device.serial)
        return tuple(order.once(mine, "energy") if energy.hindrance(machine.device) else mine)

    def goal(self, model: str) -> Goal | None:
        """How closely the ratios of a network shall be known; None where the plan does not say."""
        protocol = self.asked.plan.protocol_for(model)
        ordinary = {a.variant for a in self.prepared[model].artifacts if a.ordinary}
        return Goal(model, protocol, ordinary, {runtimes.reference().name}) if protocol.ratio_interval else None


@dataclass
class Progressed:
    """How far the trials got: what came of goals, what the reader has to know of devices, and whether every trial has
    ended. `ended` are the trials of an earlier attempt, by their id."""

    goals: list[GoalRecord] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    complete: bool = False
    ended: Mapping[str, Measurement] = field(default_factory=dict)


def measure(ready: Ready, folder: RunFolder, watcher: Watcher, progressed: Progressed, patience: Patience) -> None:
    """Do every trial of the plan, and those beyond it that its goals ask for. `progressed` says how far that got,
    however it ends. Raises HostFull, and KeyboardInterrupt: at the first Ctrl-C, or SIGTERM, the trials at work are
    finished, at the second they are ended."""
    watcher.stage("measure")
    with folder.log() as log:
        galleries = _galleries(ready, folder)

        def store(lane: Lane, outcome: Outcome) -> None:
            measured = outcome.measurement
            folder.append(measured, lane.machine.device, outcome.answers, outcome.layers)
            if outcome.output is not None:
                galleries[measured.trial.subject.model].keep(measured.trial.subject, outcome.output)
            log.info("trial", trial=measured.trial.id, status=measured.status, reason=measured.reason)
            watcher.trial(measured)

        made = _Lanes(ready, watcher, progressed, patience, log)
        phones, here = ([one for one in made.lanes if one.machine.is_phone is kind] for kind in (True, False))
        try:
            # Nothing else is to be at work on this host while it is measured itself.
            for lanes in (here, phones):
                _beside(lanes, made.stopping, watcher, store)
        finally:
            progressed.goals += [record for course in made.courses for record in course.goals()]
            progressed.notes += [note for one in made.lanes for note in one.notes]
            progressed.complete = all(course.complete for course in made.courses)
            for one in phones:
                one.remember(folder.path.name)


Store = Callable[[Lane, Outcome], None]


class _Lanes:
    """A lane and a course for each machine."""

    def __init__(self, ready: Ready, watcher: Watcher, progressed: Progressed, patience: Patience, log: Any) -> None:
        self.stopping = threading.Event()
        self.courses: list[Course] = []
        self._ready, self._watcher = ready, watcher
        self._cores = {case.label: case.cores for case in ready.asked.plan.cases}
        self._turns: defaultdict[str, Turns] = defaultdict(Turns)
        """By computer."""
        before = (one.trial.order for one in progressed.ended.values())
        places, health = count(max(before, default=-1) + 1), Health()
        self.lanes: list[Lane] = []
        for machine in ready.stations:
            course = Course(ready.blocks(machine), ready.goal, progressed.ended, places, self._further(machine))
            self.courses.append(course)
            self.lanes.append(
                Lane(machine, course, self._attempt(machine), partial(ready.files, machine), watcher.note, log,
                     health, patience, self.stopping)
            )  # fmt: skip
            watcher.lane(machine.device.serial, course.planned)

    def _further(self, machine: Station) -> Callable[[Goal, int], None]:
        def further(goal: Goal, trials: int) -> None:
            serial = machine.device.serial
            self._watcher.lane(serial, trials)
            self._watcher.goal(serial, goal.model, goal.reached(), goal.wanted)

        return further

    def _attempt(self, machine: Station) -> Callable[[Trial], Outcome]:
        elsewhere = self._ready.hosts.get(machine.device.serial)
        turns = self._turns[elsewhere.computer if elsewhere else ""]

        def attempt(one: Trial) -> Outcome:
            subject = one.subject
            prepared, protocol = self._ready.prepared[subject.model], self._ready.asked.plan.protocol_for(subject.model)
            machine.ready(
                one, protocol, lambda title: self._watcher.waits(machine.device.serial, title), self.stopping.wait
            )
            # A virtual phone is its computer: what is timed on one has it alone.
            own = turns.alone if one.pass_ in gates.TIMED else turns.shared
            with own() if machine.device.virtual else contextlib.nullcontext():
                if self.stopping.is_set():
                    raise Stopped
                return trial.measure(
                    one, machine, prepared.artifact(subject.variant, subject.runtime), *prepared.shown(one),
                    protocol, self._cores[subject.model],
                    trial.Coded(prepared.pictures, prepared.instructions, prepared.picture_names)
                    if prepared.pictures else None,
                )  # fmt: skip

        return attempt


class _Pressed:
    """Stands in the queue for a Ctrl-C or a SIGTERM."""


def _beside(lanes: Sequence[Lane], stopping: threading.Event, watcher: Watcher, store: Store) -> None:
    """Run these lanes at the same time until each has ended, and store what they give. Raises the first error of one,
    and KeyboardInterrupt."""
    given: SimpleQueue[tuple[Lane, Outcome | BaseException | None] | _Pressed] = SimpleQueue()
    # Daemons: after a second Ctrl-C nobody waits for what a phone may never answer.
    threads = [threading.Thread(target=_follow, args=(one, lanes, given.put), daemon=True) for one in lanes]
    going, error = len(lanes), None
    with _pressed(lambda: given.put(_Pressed())):
        try:
            for thread in threads:
                thread.start()
            while going:
                got = given.get()
                if isinstance(got, _Pressed):
                    if stopping.is_set():
                        raise KeyboardInterrupt
                    stopping.set()
                    watcher.note("finishing the trials at work; Ctrl-C again stops at once")
                    continue
                lane, outcome = got
                if isinstance(outcome, Outcome):
                    store(lane, outcome)
                    continue
                going -= 1
                if outcome is not None:
                    error = error or outcome
                    stopping.set()
        except BaseException as ending:
            stopping.set()
            _end(lanes, threads)
            if isinstance(ending, KeyboardInterrupt):
                _store_rest(given, store)
            raise
    if error:
        raise error
    if stopping.is_set():
        raise KeyboardInterrupt


def _end(lanes: Sequence[Lane], threads: Sequence[threading.Thread]) -> None:
    """End the launches at work, all at once, and wait a little for their lanes."""
    ending = [
        threading.Thread(target=station.end, args=(lane.machine,), daemon=True)
        for lane, thread in zip(lanes, threads, strict=True)
        if thread.is_alive()
    ]
    for thread in ending:
        thread.start()
    end = time.monotonic() + _ENDS_WITHIN_S
    for thread in (*ending, *(one for one in threads if one.is_alive())):
        thread.join(max(0.0, end - time.monotonic()))


def _store_rest(given: SimpleQueue[tuple[Lane, Outcome | BaseException | None] | _Pressed], store: Store) -> None:
    """What had ended before its lane heard that it shall stop."""
    while True:
        try:
            got = given.get_nowait()
        except Empty:
            return
        if not isinstance(got, _Pressed) and isinstance(got[1], Outcome):
            store(got[0], got[1])


@contextlib.contextmanager
def _pressed(tell: Callable[[], None]) -> Iterator[None]:
    """Call `tell` at each Ctrl-C and SIGTERM instead of breaking off: a trial is stored whole or not at all."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, lambda *of: tell())
        for number in (signal.SIGINT, signal.SIGTERM)
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _galleries(ready: Ready, folder: RunFolder) -> dict[str, Gallery]:
    """By network, with the pictures that are known before anything is measured."""
    device = next((s.device.serial for s in ready.stations if s.is_phone), ready.stations[0].device.serial)
    pictures = Pictures(folder.path)
    for label, one in ready.prepared.items():
        if shown := one.samples_record.drift:
            files = [drifted.samples for drifted in one.drifted]
            strip.keep(pictures, label, shown, files, one.samples_record.preprocess)
    return {
        label: Gallery(
            pictures, label, one.artifacts[0].task, one.samples, one.samples_record.preprocess, one.expected, device
        )
        for label, one in ready.prepared.items()
    }


def _follow(
    lane: Lane, all_lanes: Sequence[Lane], give: Callable[[tuple[Lane, Outcome | BaseException | None]], None]
) -> None:
    """All trials of a lane; its end, or what ended it, is given last."""
    try:
        while not lane.done:
            others = any(one.at_work for one in all_lanes if one is not lane)
            if (outcome := lane.step(others)) is not None:
                give((lane, outcome))
        give((lane, None))
    except BaseException as error:
        give((lane, error))
