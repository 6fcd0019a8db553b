"""A machine in a run: what it is, what was brought there, and how one trial is done on it."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_fixed

from bench.analyse import accuracy
from bench.cache import Cache, sha256_file
from bench.data import packed
from bench.devices import facts
from bench.devices.deployment import Payload, deploy
from bench.devices.host import HostTransport
from bench.devices.transport import Transport
from bench.errors import BenchError, DeviceOffline, RunnerFailed, TransportBroken, WrongAbi
from bench.measure import gates, job, lines
from bench.plan import Case, Protocol
from bench.prepare import Prepared
from bench.records import METRICS, Artifact, Device, Execution, Measurement, Progress, Sample, Trial, WeightsFormat
from bench.runtimes.build import ABIS, NativeBinary, build, host_abi
from bench.runtimes.launch import TORCH_PROGRAM, launch, work_path
from bench.store import now

CONDITIONS_EVERY_S = 10.0
LOST_AFTER = 3
"""Trials in a row that a device may lose to its connection before the rest of its trials are given up."""

VERIFY_DEADLINE_S = 300.0
SCORES = {"classification": accuracy.top1, "segmentation": accuracy.dice}
"""What tells how right a network's answers are, by its task."""


@dataclass
class Station:
    """A machine, the native runner for it, and the paths of what is there, by SHA-256."""

    transport: Transport
    device: Device
    binary: NativeBinary
    where: dict[str, str] = field(default_factory=dict)
    conditions: facts.Conditions = field(default_factory=facts.Conditions)
    checked: float = float("-inf")
    lost: int = 0

    @property
    def is_phone(self) -> bool:
        return self.device.kind == "phone"


def desktop_station(cache: Cache, progress: Progress) -> Station:
    """This host with its native runner. Raises BuildFailed, ToolMissing."""
    abi = host_abi()
    binary = build(abi, cache, progress)
    # A folder of this process: other benches may use this host at the same time, each with a phone of its own.
    station = Station(HostTransport(cache.root / "host" / str(os.getpid())), facts.desktop(abi), binary)
    station.where[binary.sha256] = str(binary.path)
    Path(station.transport.folder, "work").mkdir(exist_ok=True)
    return station


def phone_station(transport: Transport, cache: Cache, progress: Progress) -> Station:
    """A phone with the native runner for its first ABI that we build for. Raises WrongAbi, BuildFailed, ToolMissing."""
    sections = facts.probe(transport)
    device = facts.phone(transport.serial, sections)
    fitting = [abi for abi in device.abis if abi in ABIS]
    if not fitting:
        raise WrongAbi(
            f"{device.serial} ({device.name}) runs {', '.join(device.abis) or 'an ABI it does not tell'}",
            f"The native runner is built for {', '.join(ABIS)}.",
        )
    binary = build(fitting[0], cache, progress)
    return Station(transport, device, binary, conditions=facts.conditions(sections), checked=time.monotonic())


def bring(station: Station, prepared: Iterable[Prepared]) -> int:
    """Deploy the runner, the variants and their samples; returns the bytes copied. On this host files stay where they
    are. Raises DiskFull and what the transport raises."""
    binary = station.binary
    payloads = [Payload(binary.path, binary.sha256, binary.bytes, executable=True)]
    for one in prepared:
        samples = one.samples
        payloads.append(Payload(samples, sha256_file(samples), samples.stat().st_size))
        payloads += [
            Payload(f.path, f.sha256, f.bytes) for a in one.artifacts for f in a.files if f.role != "torchscript"
        ]
    if not station.is_phone:
        station.where |= {p.sha256: str(p.path) for p in payloads}
        return 0
    station.where |= {p.sha256: p.remote(station.transport.folder) for p in payloads}
    return deploy(station.transport, payloads)


def leave(station: Station) -> None:
    """Remove what launches left on the machine; what was deployed stays for the next run."""
    with contextlib.suppress(BenchError):  # A phone that is gone is no reason to lose the run.
        folder = station.transport.folder
        station.transport.run(["rm", "-rf", f"{folder}/work" if station.is_phone else folder], deadline_s=30)


def native_outputs(
    desktop: Station, files: Mapping[str, Path], weights_format: WeightsFormat, execution: Execution,
    inputs: NDArray[np.float32],
) -> NDArray[np.float32]:  # fmt: skip
    """What the native runner on this host computes for inputs (N, C, H, W): flat float32, all samples in order.

    `files` has the paths of "graph" and "weights". Raises RunnerFailed.
    """
    with tempfile.TemporaryDirectory() as folder:
        samples, outputs = Path(folder, "samples"), Path(folder, "outputs")
        packed.write(samples, inputs)
        trial = Trial(model="verify", variant="verify", device="desktop", runtime="native", pass_="accuracy")
        paths = job.Files(str(files["graph"]), str(files["weights"]), str(samples), str(outputs))
        text = job.job_text(trial, weights_format, execution, Protocol(), paths)
        done = launch(
            desktop.transport, [str(desktop.binary.path)], text, name=Path(folder).name, deadline_s=VERIFY_DEADLINE_S
        )
        lines.read(done.stdout.splitlines(), done.status, done.stderr)
        return np.fromfile(outputs, "<f4")


def measure(trial: Trial, station: Station, case: Case, protocol: Protocol, prepared: Prepared) -> Measurement:
    """Do one trial. Whatever goes wrong on the machine becomes a failed measurement with its reason; a doubtful
    condition tags it. Nothing but an interrupt is raised."""
    started, begun = now(), time.monotonic()
    artifact = next(a for a in prepared.artifacts if a.variant == trial.variant)
    common = {"trial": trial, "started": started}
    try:
        if station.lost >= LOST_AFTER:
            raise DeviceOffline(f"{station.device.serial} was given up after {LOST_AFTER} lost connections in a row")
        if trial.pass_ == "size":
            deployed = Sample("deployed", 0, float(artifact.deployed_bytes))
            return Measurement(**common, status="ok", samples=(deployed,), wall_s=time.monotonic() - begun)
        for attempt in Retrying(
            retry=retry_if_exception_type((DeviceOffline, TransportBroken)),
            stop=stop_after_attempt(3), wait=wait_fixed(2), reraise=True,
        ):  # fmt: skip
            with attempt:
                reading, extra = _once(trial, station, artifact, case, protocol, prepared)
        station.lost = 0
    except BenchError as error:
        station.lost += isinstance(error, (DeviceOffline, TransportBroken))
        return Measurement(
            **common, status="failed", reason=error.what, wall_s=time.monotonic() - begun,
            conditions=_conditions(station, {}),
        )  # fmt: skip
    doubts: tuple[str, ...] = ()
    if trial.pass_ == "latency":
        allowed = str(reading.environment.get("cpus_allowed", ""))
        doubts = gates.doubts(station.conditions)
        doubts += gates.placement_doubts(station.device, case.cores, trial.threads, allowed)
    return Measurement(
        **common,
        status="tagged" if doubts else "ok",
        reason="; ".join(doubts),
        samples=tuple(s for s in (*reading.samples, *extra) if METRICS[s.metric].pass_ == trial.pass_),
        conditions=_conditions(station, {"warmup_iterations": reading.warmup_iterations, **reading.environment}),
        wall_s=time.monotonic() - begun,
        runner_s=reading.runner_s,
    )


def _once(
    trial: Trial, station: Station, artifact: Artifact, case: Case, protocol: Protocol, prepared: Prepared
) -> tuple[lines.Reading, tuple[Sample, ...]]:
    """One launch, and for the accuracy pass what its outputs are worth."""
    if station.is_phone and trial.pass_ == "latency" and time.monotonic() - station.checked > CONDITIONS_EVERY_S:
        station.conditions = facts.conditions(facts.probe(station.transport))
        station.checked = time.monotonic()
    name = f"{trial.order:04d}"
    outputs = work_path(station.transport, f"{name}.out")
    samples = station.where[sha256_file(prepared.samples)]
    if trial.runtime == "torch":
        program: Sequence[str] = TORCH_PROGRAM
        files = job.Files(str(artifact.file("torchscript").path), "-", samples, outputs)
    else:
        program = [station.where[station.binary.sha256]]
        graph, weights = (station.where[artifact.file(role).sha256] for role in ("graph", "weights"))
        files = job.Files(graph, weights, samples, outputs)
    affinity = gates.affinity(station.device, case.cores)
    text = job.job_text(trial, artifact.weights_format, artifact.execution, protocol, files, affinity)
    done = launch(station.transport, program, text, name=name, deadline_s=protocol.deadline_seconds)
    reading = lines.read(done.stdout.splitlines(), done.status, done.stderr)
    if trial.pass_ != "accuracy":
        return reading, ()
    return reading, _judged(station.transport, outputs, artifact, prepared)


def _judged(transport: Transport, remote: str, artifact: Artifact, prepared: Prepared) -> tuple[Sample, ...]:
    """Outputs of a launch against the labels and against the desktop reference."""
    reference = prepared.references[artifact.variant]
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder, "outputs")
        transport.pull(remote, local, deadline_s=300)
        flat = np.fromfile(local, "<f4")
    if flat.size != reference.size:
        raise RunnerFailed(f"{flat.size} output values came back, {reference.size} were expected")
    outputs = flat.reshape(reference.shape)
    found = {
        "agreement": accuracy.agreement(outputs, reference),
        "max_abs_delta": accuracy.max_abs_delta(outputs, reference),
        "max_abs_reference": float(np.max(np.abs(reference))),
    }
    score = SCORES.get(artifact.task)
    if artifact.trained and prepared.labels is not None and score:
        found["accuracy"] = score(outputs, prepared.labels)
    return tuple(Sample(metric, 0, value) for metric, value in found.items())


def _conditions(station: Station, more: dict[str, Any]) -> dict[str, Any]:
    known = {k: v for k, v in asdict(station.conditions).items() if v is not None}
    return known | more
