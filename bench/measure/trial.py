"""One trial: a launch on a machine, what it printed, and what it answered."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench import runtimes, tolerance
from bench.devices.transport import Transport, transfer_s
from bench.errors import RunnerFailed
from bench.layered import LayerRecord
from bench.measure import accelerator, answers, described, energy, gates, job, largest, lines, meter
from bench.measure.sidecar import Sidecar
from bench.measure.station import Station
from bench.plan import Protocol
from bench.records import (
    METRICS,
    Answers,
    Artifact,
    ArtifactFile,
    Expected,
    Measurement,
    Pass,
    Precision,
    Sample,
    Subject,
    Tensor,
    Trial,
)
from bench.results.folder import now
from bench.runtimes.launch import launch, work_path
from bench.runtimes.runtime import NO_FILE
from bench.text import visible
from bench.units import quantity

EXACT: Precision = "fp32"
"""The precision whose answers must be the eager network's, but for rounding."""
SWITCH_WALKS = 10
"""Through all capacities, in a launch of the switch pass: a capacity is come to twice in each, the ends once."""
_NAME = 200
"""Characters of a picture's name that are shown."""


class Coded(NamedTuple):
    """Pictures as they are in their files, in one `file`, and how the native runner makes inputs of them
    (`Preprocess.instructions`); what each is called here, in order."""

    file: ArtifactFile
    instructions: str
    names: tuple[str, ...] = ()


class Outcome(NamedTuple):
    """A finished trial; where it was one of the accuracy pass, the facts of its `answers`, and its first output for all
    samples (N, *shape); where it was one of drift, the facts alone; of the profile pass, the network's layers."""

    measurement: Measurement
    answers: Answers | None = None
    output: NDArray[np.float32] | None = None
    layers: tuple[LayerRecord, ...] = ()


def measure(
    trial: Trial, station: Station, artifact: Artifact, samples: ArtifactFile, expected: Expected, protocol: Protocol,
    cores: str, coded: Coded | None = None,
) -> Outcome:  # fmt: skip
    """Do one trial, once; a doubtful condition tags it. With `coded` a phone makes the inputs of the accuracy pass
    itself, which tags it too: its answers are compared with those to the desktop's inputs. Raises whatever goes wrong:
    what becomes of that is decided in `bench.campaign.faults`, and `failed` is its record."""
    started, begun = now(), time.monotonic()
    common = {"trial": trial, "started": started}
    if trial.pass_ == "size":
        sizes = {"deployed": artifact.deployed_bytes, "downloaded": artifact.downloaded_bytes}
        known = tuple(Sample(metric, 0, float(size)) for metric, size in sizes.items() if size is not None)
        return Outcome(Measurement(**common, status="ok", samples=known, wall_s=time.monotonic() - begun))
    own = coded if trial.pass_ == "accuracy" and station.is_phone else None
    try:
        reading, answered, output = _once(trial, station, artifact, samples, expected, protocol, cores, own)
    except RunnerFailed as error:
        if own:
            error.what = _with_name(error.what, station.where[own.file.sha256], own.names)
        raise
    station.use(artifact, own.file if own else samples)
    doubts = station.behind(trial) + accelerator.doubts(reading.accelerator, trial.pass_)
    if own and output is not None:
        doubts += (_preprocessed(output, expected.outputs[0]),)
    if trial.pass_ in gates.TIMED:
        allowed = str(reading.environment.get("cpus_allowed", ""))
        doubts += gates.placement_doubts(station.device, cores, trial.subject.threads, allowed)
    return Outcome(
        Measurement(
            **common,
            status="tagged" if doubts else "ok",
            reason="; ".join(doubts) or reading.remark,
            samples=tuple(_samples(trial.pass_, reading)),
            conditions=station.state() | _conditions(reading),
            wall_s=time.monotonic() - begun,
            runner_s=reading.runner_s,
        ),
        answered,
        output,
        described.records(artifact, reading.layers) if reading.layers else (),
    )


def failed(trial: Trial, station: Station, *, reason: str, fault: str, started: str, wall_s: float) -> Outcome:
    """The record of a trial that could not be done, with the reason and the kind of error."""
    conditions = station.state()
    return Outcome(
        Measurement(
            trial=trial, status="failed", reason=reason, fault=fault, started=started, wall_s=wall_s,
            conditions=conditions,
        )
    )  # fmt: skip


def _once(
    trial: Trial, station: Station, artifact: Artifact, samples: ArtifactFile, expected: Expected, protocol: Protocol,
    cores: str, coded: Coded | None,
) -> tuple[lines.Reading, Answers | None, NDArray[np.float32] | None]:  # fmt: skip
    """One launch, and for the accuracy pass what it answered. Raises RunnerFailed for answers of another network,
    unless the machine made its inputs itself."""
    station.before(trial)
    mask = gates.affinity(station.device, cores)
    if trial.pass_ == "largest":

        def launched(side: int) -> lines.Reading:
            extents = (side, side)
            return launched_artifact(trial, station, artifact, station.where, samples, protocol, mask, extents)[0]

        return largest.reading(launched, artifact, protocol.largest_side, station.transport), None, None
    shown, how = (coded.file, coded.instructions) if coded else (samples, "")
    reading, remote = launched_artifact(trial, station, artifact, station.where, shown, protocol, mask, preprocess=how)
    if protocol.require == "gpu" and reading.accelerator:
        accelerator.refuse_fallback(reading.accelerator)
    if trial.pass_ == "contended" and protocol.beside and not (reading.beside and reading.beside.inferences):
        copies = "the copy" if protocol.beside == 1 else f"the {protocol.beside} copies"
        raise RunnerFailed(
            f"{copies} beside it finished no inference meanwhile: nothing contended with it",
            "Ask for fewer with --beside, or a longer min_seconds: the copies may have been ended for their memory.",
        )
    if trial.pass_ == "profile" and reading.layers is None:
        raise RunnerFailed("the runner printed no layers", "Run `bench clean`, then the same command.")
    if trial.pass_ == "switch" and not any(sample.metric == "switch" for sample in reading.samples):
        raise RunnerFailed("the runner printed no switches", "Run `bench clean`, then the same command.")
    if trial.pass_ not in ("accuracy", "drift"):
        return reading, None, None
    outputs = fetched(station.transport, remote, artifact.outputs, len(expected.outputs[0]))
    if coded is None and (artifact.precision is not None or trial.subject.precision == EXACT):
        _hold(outputs, expected, artifact)
    if coded is not None:
        _numbers(outputs, expected, artifact)
    facts = answers.all_facts(
        outputs, expected.outputs, expected.labels, artifact.task, artifact.calibration,
        cascade=artifact.cascade is not None,
    )  # fmt: skip
    return reading, facts, outputs[0] if trial.pass_ == "accuracy" else None


def _with_name(what: str, path: str, names: Sequence[str]) -> str:
    """What a runner says of a picture in the file of all of them at `path`, with the picture's own name."""
    begin, found, rest = what.partition(f" of {path}")
    begin, called, number = begin.rpartition("picture ")
    if not (found and called and number.isascii() and number.isdigit() and int(number) < len(names)):
        return what
    return f"{begin}picture {visible(names[int(number)])[:_NAME]}{rest}"


def _preprocessed(ours: NDArray[np.float32], wanted: NDArray[np.float32]) -> str:
    """How far answers to pictures that the phone preprocessed are from those to the desktop's inputs."""
    furthest, largest = float(np.abs(ours - wanted).max()), float(np.abs(wanted).max())
    share = f", {furthest / largest:.2g} of the largest" if largest else ""
    return (
        "the phone decoded and preprocessed the pictures itself: its answers differ from those to the desktop's inputs "
        f"by up to {furthest:.3g}{share}"
    )


def _hold(outputs: Sequence[NDArray[np.float32]], expected: Expected, artifact: Artifact) -> None:
    """Raise RunnerFailed for answers that rounding does not explain: of a damaged file, or a wrong kernel."""
    doubts = expected.doubts or (None,) * len(outputs)
    for tensor, ours, wanted, doubt in zip(artifact.outputs, outputs, expected.outputs, doubts, strict=True):
        worst = tolerance.worst(ours, wanted, doubt=doubt)
        if worst.headroom > 1:
            raise RunnerFailed(
                f"its answers are not the network's: {tensor.name} is {worst.found:.4g} where it should be "
                f"{worst.wanted:.4g} ± {worst.allowed:.2g}, in sample {worst.place[0]}",
                "Run `bench clean` for that device and try again; if it stays, the device computes wrongly.",
            )


def _numbers(outputs: Sequence[NDArray[np.float32]], expected: Expected, artifact: Artifact) -> None:
    """Raise RunnerFailed for answers that are not finite where the desktop's are: no decoder explains these."""
    for tensor, ours, wanted in zip(artifact.outputs, outputs, expected.outputs, strict=True):
        if wrong := tolerance.lost(ours, wanted):
            raise RunnerFailed(
                f"its answers are not numbers: {wrong:,} of {ours.size:,} values of {tensor.name}",
                "`bench parity` with one of the pictures shows where they cease to be.",
            )


def launched_artifact(
    trial: Trial, station: Station, artifact: Artifact, where: Mapping[str, str], samples: ArtifactFile,
    protocol: Protocol, mask: int, extents: tuple[int, int] = (0, 0), *, layer_answers: bool = False,
    preprocess: str = "", stages: bool = False,
) -> tuple[lines.Reading, str]:  # fmt: skip
    """One launch of an artifact whose files are at `where`, by SHA-256; and the path of its answers, beside
    which, at `.stages`, are those of the first picture, if `stages` asks for them. With `preprocess` the samples are a
    file of pictures. Raises RunnerFailed and what the transport raises."""
    answers = work_path(station.transport, f"{trial.file_stem}.out")
    asked = replace(
        job_of(trial.subject, job.MODES[trial.pass_], artifact, where, samples, mask, answers),
        extents=extents,
        layer_answers=layer_answers,
        preprocess=preprocess,
        stages=f"{answers}.stages" if stages else "",
    )
    files = asked.files
    asked = _of_pass(asked, trial.pass_, protocol)
    begin = partial(
        launch, station.transport, station.command(trial.subject.runtime), asked.text(protocol), name=trial.file_stem,
        deadline_s=protocol.deadline_seconds + asked.seconds,
    )  # fmt: skip
    if trial.pass_ == "energy":
        energy.refuse(station.device)
        station.metered = meter.Metered()
        done = meter.launch(
            station.transport, protocol.energy_seconds, lambda line: begin(on_line=line), station.metered
        )  # fmt: skip
        reading = lines.read(done.stdout.splitlines(), done.status, done.stderr)
        return meter.told(reading, station.metered), files.answers
    if not (trial.pass_ == "sustained" and station.is_phone):
        done = begin()
        return lines.read(done.stdout.splitlines(), done.status, done.stderr), files.answers
    with Sidecar.of(station.transport) as beside:
        done = begin(on_line=beside.line)
    reading = lines.read(done.stdout.splitlines(), done.status, done.stderr)
    return replace(reading, samples=(*reading.samples, *beside.samples)), files.answers


def job_of(
    subject: Subject, mode: job.Mode, artifact: Artifact, where: Mapping[str, str], samples: ArtifactFile, mask: int,
    answers: str = "",
) -> job.Job:  # fmt: skip
    """What a launch of an artifact has to do in that mode; its files are at `where`, by SHA-256."""
    roles = runtimes.runtime(artifact.runtime).roles
    graph, weights = ("-" if role == NO_FILE else where[artifact.file(role).sha256] for role in roles)
    others = {role: where[artifact.file(role).sha256] for role in artifact.deployed if role not in roles}
    return job.Job(
        mode=mode,
        files=job.Files(graph, weights, where[samples.sha256], answers),
        inputs=[tensor.name for tensor in artifact.inputs],
        outputs=[tensor.name for tensor in artifact.outputs],
        weights_format=artifact.weights_format,
        execution=artifact.execution,
        threads=subject.threads,
        precision=artifact.precision or subject.precision,
        affinity=mask,
        further=others | artifact.options,
    )


def _of_pass(asked: job.Job, pass_: Pass, protocol: Protocol) -> job.Job:
    """The job with what its pass asks for: who is at work beside it, for how many whole seconds it goes on."""
    match pass_:
        case "contended":
            return replace(asked, beside=protocol.beside, load=protocol.load)
        case "sustained":
            return replace(asked, seconds=max(1, round(protocol.sustained_seconds)))
        case "energy":
            return replace(asked, seconds=max(1, round(protocol.energy_seconds)))
        case "switch":
            return replace(asked, walks=SWITCH_WALKS)
        case _:
            return asked


def _samples(pass_: Pass, reading: lines.Reading) -> Iterator[Sample]:
    """Those that belong to the pass. A latency with others at work beside it is another metric than one alone."""
    if reading.layers:
        yield Sample("layers", 0, float(reading.layers.total))
        yield Sample("layered", 0, float(reading.layers.median))
        if reading.layers.plain:
            yield Sample("plain", 0, float(reading.layers.plain))
    for sample in reading.samples:
        if pass_ == "contended" and sample.metric == "latency":
            yield sample._replace(metric="contended")
        elif METRICS[sample.metric].pass_ == pass_:
            yield sample


def _conditions(reading: lines.Reading) -> dict[str, Any]:
    found = {"warmup_iterations": reading.warmup_iterations, **reading.environment}
    if reading.beside and (reading.beside.copies or reading.beside.load):
        found["beside"] = asdict(reading.beside)
    if reading.accelerator:
        found["accelerator"] = accelerator.words(reading.accelerator)
    if reading.clocks:
        found["clocks"] = {f"CPU {one.cpus}": _clock(one) for one in reading.clocks}
    return found


def _clock(one: lines.Clock) -> str:
    """The clock of a policy in words, for the conditions; the samples have the figure."""
    low, mean, high = (quantity(hz, "Hz") for hz in (one.lowest_hz, one.hz, one.highest_hz))
    return f"{mean} ({low} to {high}, by {one.source}), {one.share:.0%} of the iterations".replace("%", " %")


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
    reading, remote = launched_artifact(
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
    sizes = [math.prod(tensor.shape) for tensor in outputs]
    due = 4 * count * sum(sizes)
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder, "answers")
        transport.pull(remote, local, deadline_s=transfer_s(due), most=due)
        flat = np.fromfile(local, "<f4")
    if flat.size != count * sum(sizes):
        raise RunnerFailed(f"{flat.size:,} output values came back; {count * sum(sizes):,} were expected")
    parts = np.split(flat.reshape(count, -1), np.cumsum(sizes)[:-1], axis=1)
    return tuple(part.reshape(count, *tensor.shape) for part, tensor in zip(parts, outputs, strict=True))
