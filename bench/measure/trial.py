"""One trial: a launch on a machine, what it printed, and what it answered. Whatever goes wrong is a record."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_fixed

from bench import runtimes, tolerance
from bench.devices.transport import Transport
from bench.errors import BenchError, DeviceOffline, RunnerFailed, TransportBroken
from bench.measure import answers, gates, job, lines
from bench.measure.station import Station
from bench.plan import Protocol
from bench.records import (
    METRICS,
    Answers,
    Artifact,
    ArtifactFile,
    Expected,
    Measurement,
    Precision,
    Sample,
    Subject,
    Tensor,
    Trial,
)
from bench.results.folder import now
from bench.runtimes.launch import launch, work_path
from bench.runtimes.runtime import NO_FILE

EXACT: Precision = "fp32"
"""The precision whose answers must be the eager network's, but for rounding."""
LOST_AFTER = 3
"""Trials in a row that a device may lose to its connection before the rest of its trials are given up."""


class Outcome(NamedTuple):
    """A finished trial; where it was one of the accuracy pass, the facts of its `answers`, and its first output for all
    samples (N, *shape)."""

    measurement: Measurement
    answers: Answers | None = None
    output: NDArray[np.float32] | None = None


def measure(
    trial: Trial, station: Station, artifact: Artifact, samples: ArtifactFile, expected: Expected, protocol: Protocol,
    cores: str,
) -> Outcome:  # fmt: skip
    """Do one trial. Whatever goes wrong on the machine becomes a failed measurement with its reason; a doubtful
    condition tags it. Nothing but an interrupt is raised."""
    started, begun = now(), time.monotonic()
    common = {"trial": trial, "started": started}
    try:
        if station.lost >= LOST_AFTER:
            raise DeviceOffline(f"{station.device.serial} was given up after {LOST_AFTER} lost connections in a row")
        if trial.pass_ == "size":
            deployed = Sample("deployed", 0, float(artifact.deployed_bytes))
            return Outcome(
                Measurement(**common, status="ok", samples=(deployed,), wall_s=time.monotonic() - begun)
            )  # fmt: skip
        for attempt in Retrying(
            retry=retry_if_exception_type((DeviceOffline, TransportBroken)),
            stop=stop_after_attempt(3), wait=wait_fixed(2), reraise=True,
        ):  # fmt: skip
            with attempt:
                reading, answered, output = _once(trial, station, artifact, samples, expected, protocol, cores)
        station.lost = 0
    except BenchError as error:
        station.lost += isinstance(error, (DeviceOffline, TransportBroken))
        return Outcome(
            Measurement(
                **common, status="failed", reason=error.what, wall_s=time.monotonic() - begun,
                conditions=station.state(),
            )
        )  # fmt: skip
    doubts: tuple[str, ...] = ()
    if trial.pass_ == "latency":
        allowed = str(reading.environment.get("cpus_allowed", ""))
        doubts = gates.doubts(station.conditions)
        doubts += gates.placement_doubts(station.device, cores, trial.subject.threads, allowed)
    return Outcome(
        Measurement(
            **common,
            status="tagged" if doubts else "ok",
            reason="; ".join(doubts),
            samples=tuple(s for s in reading.samples if METRICS[s.metric].pass_ == trial.pass_),
            conditions=station.state() | {"warmup_iterations": reading.warmup_iterations, **reading.environment},
            wall_s=time.monotonic() - begun,
            runner_s=reading.runner_s,
        ),
        answered,
        output,
    )


def _once(
    trial: Trial, station: Station, artifact: Artifact, samples: ArtifactFile, expected: Expected, protocol: Protocol,
    cores: str,
) -> tuple[lines.Reading, Answers | None, NDArray[np.float32] | None]:  # fmt: skip
    """One launch, and for the accuracy pass what it answered. Raises RunnerFailed for answers of another network."""
    if trial.pass_ == "latency":
        station.look()
    mask = gates.affinity(station.device, cores)
    reading, remote = _launched(trial, station, artifact, station.where, samples, protocol, mask)
    if trial.pass_ != "accuracy":
        return reading, None, None
    outputs = fetched(station.transport, remote, artifact.outputs, len(expected.outputs[0]))
    if trial.subject.precision == EXACT:
        _hold(outputs, expected, artifact)
    return reading, answers.all_facts(outputs, expected.outputs, expected.labels, artifact.task), outputs[0]


def _hold(outputs: Sequence[NDArray[np.float32]], expected: Expected, artifact: Artifact) -> None:
    """Raise RunnerFailed for answers that rounding does not explain: of a damaged file, or a wrong kernel."""
    for tensor, ours, wanted in zip(artifact.outputs, outputs, expected.outputs, strict=True):
        worst = tolerance.worst(ours, wanted)
        if worst.headroom > 1:
            raise RunnerFailed(
                f"its answers are not the network's: {tensor.name} is {worst.found:.4g} where it should be "
                f"{worst.wanted:.4g} ± {worst.allowed:.2g}, in sample {worst.place[0]}",
                "Run `bench clean` for that device and try again; if it stays, the device computes wrongly.",
            )


def _launched(
    trial: Trial, station: Station, artifact: Artifact, where: Mapping[str, str], samples: ArtifactFile,
    protocol: Protocol, mask: int,
) -> tuple[lines.Reading, str]:  # fmt: skip
    """One launch of an artifact whose files are at `where`, by SHA-256; and the path of its answers."""
    graph, weights = (
        "-" if role == NO_FILE else where[artifact.file(role).sha256]
        for role in runtimes.runtime(artifact.runtime).roles
    )
    files = job.Files(graph, weights, where[samples.sha256], work_path(station.transport, f"{trial.file_stem}.out"))
    asked = job.Job(
        mode=job.MODES[trial.pass_],
        files=files,
        inputs=[tensor.name for tensor in artifact.inputs],
        outputs=[tensor.name for tensor in artifact.outputs],
        weights_format=artifact.weights_format,
        execution=artifact.execution,
        threads=trial.subject.threads,
        precision=trial.subject.precision,
        affinity=mask,
    )
    command = station.command(trial.subject.runtime)
    deadline_s = protocol.deadline_seconds
    done = launch(station.transport, command, asked.text(protocol), name=trial.file_stem, deadline_s=deadline_s)
    return lines.read(done.stdout.splitlines(), done.status, done.stderr), files.answers


def answered(
    station: Station, artifact: Artifact, samples: ArtifactFile, count: int
) -> tuple[NDArray[np.float32], ...]:
    """What an artifact answers to `count` packed samples on this host, outside of a run. Raises RunnerFailed.

    Outputs with an extent of 0, which is unknown, come as one row of values each.
    """
    subject = Subject(
        model=artifact.model, variant=artifact.variant, device=station.device.serial, runtime=artifact.runtime
    )
    where = {file.sha256: str(file.path) for file in (samples, *artifact.needed)}
    reading, remote = _launched(
        Trial(subject=subject, pass_="accuracy"), station, artifact, where, samples, Protocol(), mask=0
    )
    outputs = artifact.outputs
    if reading.answers and any(0 in tensor.shape for tensor in outputs):
        outputs = tuple(
            tensor.model_copy(update={"shape": (n,)}) for tensor, n in zip(outputs, reading.answers.counts, strict=True)
        )
    return fetched(station.transport, remote, outputs, count)


def fetched(
    transport: Transport, remote: str, outputs: tuple[Tensor, ...], count: int
) -> tuple[NDArray[np.float32], ...]:
    """The answers file of a launch as one array per output, (count, *shape). Raises RunnerFailed for another size."""
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder, "answers")
        transport.pull(remote, local, deadline_s=300)
        flat = np.fromfile(local, "<f4")
    sizes = [math.prod(tensor.shape) for tensor in outputs]
    if flat.size != count * sum(sizes):
        raise RunnerFailed(f"{flat.size:,} output values came back; {count * sum(sizes):,} were expected")
    parts = np.split(flat.reshape(count, -1), np.cumsum(sizes)[:-1], axis=1)
    return tuple(part.reshape(count, *tensor.shape) for part, tensor in zip(parts, outputs, strict=True))
