"""A lane of real trials on a real transport, whose runner is a script that does what a test wants of it."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from bench.campaign.asked import Asked
from bench.campaign.course import Course
from bench.campaign.health import Health
from bench.campaign.lane import Lane, Patience
from bench.campaign.measuring import Ready
from bench.devices.transport import Transport
from bench.measure import station, trial
from bench.measure.job import CONTRACT
from bench.measure.order import Block
from bench.measure.station import Station
from bench.measure.trial import Outcome
from bench.plan import Case, Plan, Protocol, Variant
from bench.prepare import Prepared
from bench.records import (
    Artifact,
    ArtifactFile,
    Expected,
    Measurement,
    Pass,
    SamplesRecord,
    Subject,
    Tensor,
    Trial,
)
from bench.runtimes.runtime import Program

OUTPUT = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
"""What the network of these tests answers to its two samples."""


def event(kind: str, **facts: Any) -> str:
    return f"echo '{json.dumps({'event': kind, **facts})}'\n"


GOOD = (
    event("environment", contract=CONTRACT, cpus_allowed="0-7")
    + event("load", ns=5)
    + event("first_inference", ns=7)
    + event("iteration", i=0, ns=1000)
    + event("end", status="ok", exit=0, ns=5000)
)
"""What a runner prints that has measured one inference."""
_OCTAL = "".join(f"\\{byte:03o}" for byte in OUTPUT.tobytes())
ANSWER = f"""
out=$(sed -n 's/^answers = //p' "$1")
printf '{_OCTAL}' > "$out"
echo '{{"event":"environment","contract":{CONTRACT}}}'
echo '{{"event":"answers","path":"'"$out"'","samples":2,"bytes":16,"counts":[2]}}'
"""
"""A runner that answers as the network does. Its end marker is left to the test."""
END = event("end", status="ok", exit=0, ns=5000)

QUICK = Patience(comes_back_s=20, probe_every_s=0.3, set_aside_s=4)


@dataclass
class Told:
    """What a lane said, and its log."""

    sentences: list[str] = field(default_factory=list)
    log: list[dict[str, Any]] = field(default_factory=list)

    def say(self, sentence: str) -> None:
        self.sentences.append(sentence)

    def info(self, event: str, **facts: Any) -> None:
        self.log.append({"event": event, **facts})

    warning = info

    def actions(self) -> list[str]:
        """What was done after each error, in order."""
        return [entry["action"] for entry in self.log if entry["event"] == "fault"]


@dataclass
class Bed:
    """A station with one artifact, whose files are at `folder` of this host and on the machine."""

    machine: Station
    artifact: Artifact
    samples: ArtifactFile
    told: Told
    health: Health

    @classmethod
    def on(cls, transport: Transport, folder: Path, runner: str) -> Bed:
        """Deploy a `runner`, the text of a shell script that gets the path of a job, and the files of a network."""
        made = {"runner": f"#!/system/bin/sh\n{runner}".encode(), "graph": b"7767517\n" * 50, "weights": bytes(4000)}
        made |= {"samples": bytes(range(200))}
        folder.mkdir(exist_ok=True)
        files = {}
        for role, content in made.items():
            path = folder / role
            path.write_bytes(content)
            files[role] = ArtifactFile(
                role=role, path=path, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content)
            )
        seen = station.seen(transport, [])
        program = Program((files["runner"],), ("{0}",), {})
        machine = Station(transport, seen.device, {"ncnn": program}, conditions=seen.conditions, checked=seen.at)
        artifact = Artifact(
            model="net", variant="baseline", runtime="ncnn", ordinary=True,
            files=(files["graph"], files["weights"]), deployed=("graph", "weights"),
            inputs=(Tensor(name="in0", shape=(1, 4, 4)),), outputs=(Tensor(name="out0", shape=(2,)),),
            task="classification",
        )  # fmt: skip
        bed = cls(machine, artifact, files["samples"], Told(), Health(folder / "health"))
        station.bring(machine, bed.files(), bed.told.say)
        return bed

    def files(self) -> list[ArtifactFile]:
        return [self.samples, *self.artifact.needed]

    def trials(self, count: int, pass_: Pass = "latency") -> list[Trial]:
        subject = Subject(model="net", variant="baseline", device=self.machine.device.serial, runtime="ncnn")
        return [Trial(subject=subject, pass_=pass_, launch=n, order=n) for n in range(count)]

    def lane(
        self, trials: Sequence[Trial], patience: Patience = QUICK, *, deadline_s: float = 30,
        before: Callable[[Trial], None] = lambda one: None,
    ) -> Lane:  # fmt: skip
        """The lane of these trials; `before` is called with each before it is tried."""
        labels = np.zeros(len(OUTPUT), np.int32)
        expected = Expected(outputs=(OUTPUT,), labels=labels)
        protocol = Protocol(deadline_seconds=deadline_s, warmup_seconds=0, min_seconds=0)

        def attempt(one: Trial) -> Outcome:
            before(one)
            return trial.measure(one, self.machine, self.artifact, self.samples, expected, protocol, "any")

        block = Block("net", trials[0].pass_, tuple(trials))
        course = Course([block], lambda model: None, {}, count(), lambda goal, trials: None)
        return Lane(
            self.machine, course, attempt, self.files, self.told.say, self.told, self.health, patience,
            threading.Event(),
        )  # fmt: skip


class Beside(Ready):
    """Some passes of one network on several machines."""

    passes: ClassVar[tuple[Pass, ...]] = ("memory",)

    def blocks(self, machine: Station) -> tuple[Block, ...]:
        return tuple(one for one in super().blocks(machine) if one.pass_ in self.passes)


def beside(beds: Sequence[Bed], launches: int) -> Beside:
    """So many launches of the memory pass on each of these beds, a lane for each."""
    protocol = Protocol(deadline_seconds=30, memory_launches=launches)
    case = Case(model="net", label="net", variants=(Variant(name="baseline"),))
    plan = Plan(name="beside", desktop=(), protocol=protocol, cases=(case,))
    shown = SamplesRecord(source="none", count=2, labelled=True)
    expected = {"baseline": Expected(outputs=(OUTPUT,), labels=np.zeros(len(OUTPUT), np.int32))}
    prepared = Prepared((beds[0].artifact,), beds[0].samples, shown, expected, ())
    return Beside(Asked(plan, {}), tuple(bed.machine for bed in beds), {"net": prepared})


def run(lane: Lane) -> list[Measurement]:
    """All trials of a lane, in the order in which they ended."""
    ended = []
    while not lane.done:
        if outcome := lane.step():
            ended.append(outcome.measurement)
    return ended
