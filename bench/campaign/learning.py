"""An extreme learning machine trained on a phone: its samples brought there, the package fetched back."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench.cache import Cache
from bench.campaign.phones import Stages
from bench.devices.transport import Transport, transfer_s
from bench.errors import DeadlineExceeded, RunnerFailed
from bench.learnt import Trained
from bench.measure import gates, largest, station, training
from bench.measure.station import Station
from bench.measure.training import Places, Training
from bench.prepare.learning import Lesson
from bench.records import Device
from bench.runtimes.launch import launch, work_path

RUNTIME = "ncnn"
"""Whose runner trains."""
BLOCK = 1024
"""Neurons of a block of the matrix: the step of a search."""
MOST = 2**17
_PACKAGE_MOST = 2 * MOST * 1024 + 64


@dataclass(frozen=True)
class Learnt:
    """A training and the package that came of it."""

    trained: Trained
    package: bytes


@dataclass(eq=False)
class School:
    """A machine with the runner and the samples on it."""

    station: Station
    lesson: Lesson
    deadline_s: float
    stages: Stages

    @property
    def device(self) -> Device:
        return self.station.device

    def train(self, asked: Training) -> Learnt:
        """Raises RunnerFailed, DeadlineExceeded and what the transport raises."""
        transport = self.station.transport
        name = f"train-{asked.matrix}-{asked.neurons}"
        where = {role: self.station.where[file.sha256] for role, file in self.lesson.files.items()}
        places = Places(where["samples"], where.get("held", ""), where["test"], work_path(transport, f"{name}.elm"))
        title = f"train {asked.neurons:,} neurons on {self.device.serial}, matrix as {asked.matrix}"
        progress = self.stages.stage(title)
        done = launch(
            transport, self.station.command(RUNTIME), training.text(asked, places, gates.affinity(self.device, "any")),
            name=name, deadline_s=self.deadline_s, on_line=training.watch(progress),
        )  # fmt: skip
        trained = training.read(done.stdout.splitlines(), done.status, done.stderr)
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder, "package")
            transport.pull(
                places.package, local, deadline_s=transfer_s(trained.package_bytes), most=_PACKAGE_MOST
            )  # fmt: skip
            package = local.read_bytes()
        progress(1.0, "done")
        return Learnt(trained, package)

    def sweep(self, asked: Training, train: Callable[[Training], Learnt], most: int = MOST) -> None:
        """Sizes from one block on, doubled until memory ends, and then the gap halved; `train` is called with each.
        Raises RunnerFailed where not even one block can be trained, or for another reason than memory or time."""

        def answered(neurons: int) -> largest.End | None:
            try:
                train(replace(asked, neurons=neurons))
            except (RunnerFailed, DeadlineExceeded) as error:
                if (end := largest.end_of_launch(error)) is None:
                    raise
                return end
            return None

        largest.search(answered, BLOCK, BLOCK, most, "neurons")


@contextmanager
def school(
    phone: Transport | None, taught: Lesson, deadline_s: float, cache: Cache, stages: Stages
) -> Iterator[School]:
    """A phone, or this computer where it is None, ready to learn. Raises WrongAbi, BuildFailed, ToolMissing, DiskFull
    and what the transport raises."""
    if phone is None:
        there = station.desktop((RUNTIME,), cache, stages.stage("build the native runner for this host"))
    else:
        seen = station.seen(phone, (RUNTIME,))
        progress = stages.stage(f"build the native runner for {phone.serial}")
        there = station.phone(seen, (RUNTIME,), cache, progress)
    try:
        stages.stage("deploy")
        station.bring(there, taught.files.values(), stages.note)
        yield School(there, taught, deadline_s, stages)
    finally:
        station.leave(there)
