"""A run in which a machine learns by itself: the story of `bench train`, from data to a stored run with its report."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from importlib import metadata
from pathlib import Path

import bench
from bench import plan, runtimes
from bench.cache import Cache
from bench.campaign import past, session
from bench.campaign.learning import RUNTIME, Learnt, School, school
from bench.campaign.phones import Stages
from bench.devices.transport import Transport
from bench.errors import BenchError, DeadlineExceeded, RunnerFailed
from bench.findings import Findings
from bench.learnt import Right, TrainingRecord
from bench.measure import largest, station
from bench.measure.training import Training
from bench.networks import Network
from bench.prepare.learning import Lesson, lesson, ordinary, solved
from bench.records import RunRecord, SamplesRecord
from bench.results.folder import RunFolder, now
from bench.results.trainings import trainings


@dataclass(frozen=True)
class Asked:
    """What is to be learnt by `sizes` of hidden layers, or by what a search for the largest finds; with `compare` it is
    solved for on this computer, too, and the network itself is asked."""

    case: plan.Case
    network: Network
    first: Training
    """All but its neurons and classes."""
    sizes: tuple[int, ...]
    sweep: bool = False
    compare: bool = False
    deadline_s: float = 3600.0
    command: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """The run, what it shows, and the package of the last size; of a search, of the largest that was learnt."""

    folder: RunFolder
    findings: Findings
    neurons: int
    package: bytes


@dataclass(eq=False)
class _Class:
    """A school day: the run's folder, and what is compared with."""

    asked: Asked
    there: School
    folder: RunFolder
    record: RunRecord
    beside: Right | None
    stages: Stages
    done: list[Learnt]

    def keep(
        self, asked: Training, started: str, learnt: Learnt | None, error: BenchError | None, desktop: Right | None
    ) -> None:
        end = largest.end_of_launch(error) if error else None
        trainings(self.folder.path).append(
            TrainingRecord(
                id=self.record.id, started=started, bench_version=bench.__version__, model=self.asked.case.label,
                source=self.there.lesson.source, device=self.there.device.serial, neurons=asked.neurons,
                matrix=asked.matrix, seed=asked.seed, threads=asked.threads, alphas=tuple(asked.alphas),
                swept=self.asked.sweep, status="ok" if learnt else "failed", reason=error.what if error else "",
                memory=end is not None and end.memory, conditions=self.there.station.state(),
                trained=learnt.trained if learnt else None, desktop=desktop, ordinary=self.beside,
                sha256=hashlib.sha256(learnt.package).hexdigest() if learnt else "",
            )
        )  # fmt: skip

    def train(self, asked: Training, desktop: Right | None = None) -> Learnt:
        """Learn, and store what came of it. Raises what the school raises."""
        started = now()
        try:
            learnt = self.there.train(asked)
        except (RunnerFailed, DeadlineExceeded) as error:
            self.keep(asked, started, None, error, desktop)
            raise
        self.keep(asked, started, learnt, None, desktop)
        self.done.append(learnt)
        return learnt

    def solve(self, asked: Training) -> Right | None:
        if not self.asked.compare:
            return None
        progress = self.stages.stage(f"solve for {asked.neurons:,} neurons on this computer in float64")
        found = solved(self.there.lesson, asked.neurons, asked.seed, tuple(asked.alphas), progress)
        progress(1.0, f"alpha {found.alpha:g}")
        return found

    def hold(self) -> None:
        """All sizes. A size that fails leaves the others; the first failure is raised where none was learnt."""
        first = replace(self.asked.first, classes=self.there.lesson.classes)
        if self.asked.sweep:
            self.there.sweep(first, self.train)
            return
        failed: list[BenchError] = []
        for size in self.asked.sizes:
            training = replace(first, neurons=size)
            try:
                self.train(training, self.solve(training))
            except (RunnerFailed, DeadlineExceeded) as error:
                failed.append(error)
                self.stages.note(f"{size:,} neurons: {error.what}")
        if failed and not self.done:
            raise failed[0]


def run(asked: Asked, phone: Transport | None, results: Path, cache: Cache, stages: Stages) -> Outcome:
    """Learn on a phone, or on this computer where it is None, and store each training when it ends.

    Raises UsageError (data), what the school raises, and RunnerFailed or DeadlineExceeded where no size was learnt.
    """
    begun, started = time.monotonic(), datetime.now().astimezone()
    progress = stages.stage(f"prepare what {asked.case.label} learns from")
    taught = lesson(asked.network, asked.case.data, asked.first.seed, asked.first.alphas, cache)
    progress(1.0, taught.source)
    beside = ordinary(asked.network, taught, asked.first.seed, cache, stages.stage) if asked.compare else None
    with school(phone, taught, asked.deadline_s, cache, stages) as there:
        record = _record(asked, there, taught, started, time.monotonic() - begun)
        folder = RunFolder.create(results, record.name, started)
        folder.write_record(record)
        held = _Class(asked, there, folder, record, beside, stages, [])
        finished = False
        try:
            held.hold()
            finished = True
        except KeyboardInterrupt:
            station.end(there.station)
            raise KeyboardInterrupt(
                f"Interrupted. What was learnt by then is kept: bench report {folder.path}"
            ) from None
        finally:
            ended = {
                "finished": now() if finished else None, "wall_s": time.monotonic() - begun,
                "runner_s": sum(one.trained.seconds for one in held.done),
            }  # fmt: skip
            folder.write_record(record.model_copy(update=ended))
            stages.stage("report")
            findings = session.report(folder)
    best = max(held.done, key=lambda one: one.trained.neurons) if asked.sweep else held.done[-1]
    return Outcome(folder, findings, best.trained.neurons, best.package)


def _record(asked: Asked, there: School, taught: Lesson, started: datetime, preparation_s: float) -> RunRecord:
    name, serial = f"train-{asked.case.label}", there.device.serial
    program = there.station.programs[RUNTIME]
    test = taught.files["test"]
    return RunRecord(
        id=f"{started:%Y%m%dT%H%M%S}-{name}", name=name, started=started.isoformat(timespec="seconds"),
        bench_version=bench.__version__, plan=plan.Plan(name=name, cases=(asked.case,)).model_dump(mode="json"),
        reference=runtimes.reference().name,
        versions={name: metadata.version(name) for name in session.LIBRARIES},
        samples={
            asked.case.label: SamplesRecord(
                source=taught.source, count=len(taught.data.test), labelled=True, sha256=test.sha256
            )
        },
        toolchain={f"{RUNTIME}, {serial}": dict(program.facts)} if program.facts else {},
        programs={f"{RUNTIME}, {serial}": tuple(file.sha256 for file in program.files)},
        devices=(there.device,), artifacts=(), preparation_s=preparation_s, commit=past.commit(Path.cwd()),
        preflight={serial: there.station.gates} if there.station.is_phone else {}, command=asked.command,
    )  # fmt: skip


def tried(folder: RunFolder) -> Sequence[TrainingRecord]:
    """Every training of the run, in the order in which they ended."""
    return trainings(folder.path).read()
