"""The whole story of a run: plan, prepare, deploy, measure, collect, analyse, report."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import NamedTuple, Protocol

from filelock import FileLock, Timeout

import bench
from bench import prepare, runtimes
from bench.analyse import analyse
from bench.cache import Cache
from bench.campaign import past
from bench.campaign.asked import Asked, entries
from bench.devices.transport import Transport
from bench.errors import BenchError, DeviceBusy, NothingMeasured
from bench.findings import Findings
from bench.measure import order, station, trial
from bench.measure.gallery import Gallery
from bench.measure.station import Station
from bench.prepare import Prepared
from bench.records import ArtifactFile, Measurement, NoiseRecord, Progress, RunRecord, Trial
from bench.results.folder import RunFolder, now
from bench.results.pictures import Pictures

LIBRARIES = ("torch", "numpy", "scipy", "adbutils", "pnnx", "ziglang", "cmake")


class Watcher(Protocol):
    """Receives the progress of a run. Nothing below the command line prints."""

    def stage(self, title: str) -> Progress:
        """A stage begins; the result is called with its progress."""
        ...

    def trial(self, done: int, total: int, measurement: Measurement) -> None:
        """A trial has ended and is stored."""
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
    def trials(self) -> tuple[Trial, ...]:
        phones = [s.device.serial for s in self.stations if s.is_phone]
        return order.trials(self.asked.plan, entries(self.asked, phones))


def run(
    asked: Asked,
    phones: Sequence[Transport],
    results: Path,
    cache: Cache,
    watcher: Watcher,
    noise: Sequence[NoiseRecord] = (),
    command: Sequence[str] = (),
) -> tuple[RunFolder, Findings]:
    """Do a checked plan on these phones and on this host; returns the run's folder, report included, and the findings.
    `noise` is what is known of the devices; a run's own launches tell the rest. `command` is what a report says to
    type for the same run.

    What goes wrong before the first trial is raised as it is; later it becomes a failed trial with its reason, and
    NothingMeasured when that happened to all of them. An interrupted run keeps and reports every trial that had ended.
    """
    begun, started = time.monotonic(), datetime.now().astimezone()
    with _reserved(cache, phones), contextlib.ExitStack() as leaving:
        ready = _prepared(asked, phones, cache, watcher, leaving)
        preparation_s = time.monotonic() - begun
        notes = list(cache.notes)
        pushed = _deployed(ready, watcher, notes.append)
        folder = RunFolder.create(results, asked.plan.name, started)
        known = {"noise": tuple(noise), "command": tuple(command)}
        record = _record(ready, started, pushed, preparation_s, notes).model_copy(update=known)
        folder.write_record(record)
        try:
            _measure(ready, folder, watcher)
        finally:
            findings = _ended(ready, folder, record, begun, watcher)
    ended = [m for m in folder.measurements() if m.trial.pass_ != "size"]
    if all(m.status == "failed" for m in ended):
        raise NothingMeasured(
            f"all trials failed; the first: {next((m.reason for m in ended if m.reason), 'none was started')}",
            f"Every reason is in {folder.path / 'report.html'} and trials.jsonl.",
        )
    return folder, findings


def _prepared(
    asked: Asked, phones: Sequence[Transport], cache: Cache, watcher: Watcher, leaving: contextlib.ExitStack
) -> Ready:
    """Machines and networks. Phones come first: an unfit one is refused before anything is built for it."""
    seen = [station.seen(phone, asked.runtimes_on_phones()) for phone in phones]
    here = station.desktop(asked.runtimes_here(), cache, watcher.stage("build the native runner for this host"))
    leaving.callback(station.leave, here)
    stations = [here]
    for phone in seen:
        progress = watcher.stage(f"build the native runner for {phone.device.serial}")
        stations.append(station.phone(phone, asked.runtimes_on_phones(), cache, progress))
        leaving.callback(station.leave, stations[-1])
    run_here = partial(trial.answered, here)
    prepared = {
        case.label: prepare.case(
            case, asked.networks[case.label], asked.runtimes_of(case), cache, run_here, watcher.stage
        )
        for case in asked.plan.cases
    }
    return Ready(asked, tuple(stations), prepared)


def _deployed(ready: Ready, watcher: Watcher, say: Callable[[str], None]) -> dict[str, int]:
    """Bytes pushed to each phone."""
    watcher.stage("deploy")
    return {s.device.serial: station.bring(s, ready.files(s), say) for s in ready.stations}


def _record(
    ready: Ready, started: datetime, pushed: Mapping[str, int], preparation_s: float, notes: Sequence[str]
) -> RunRecord:
    plan = ready.asked.plan
    return RunRecord(
        id=f"{started:%Y%m%dT%H%M%S}-{plan.name}",
        name=plan.name,
        started=started.isoformat(timespec="seconds"),
        bench_version=bench.__version__,
        plan=plan.model_dump(mode="json"),
        reference=runtimes.reference().name,
        versions={name: metadata.version(name) for name in LIBRARIES},
        samples={label: one.samples_record for label, one in ready.prepared.items()},
        toolchain={
            f"{name}, {s.device.serial}": dict(program.facts)
            for s in ready.stations
            for name, program in s.programs.items()
            if program.facts
        },
        devices=tuple(s.device for s in ready.stations),
        artifacts=tuple(a for one in ready.prepared.values() for a in one.artifacts),
        transferred_bytes={s.device.serial: pushed[s.device.serial] for s in ready.stations if s.is_phone},
        preparation_s=preparation_s,
        notes=tuple(dict.fromkeys((*notes, *(note for one in ready.prepared.values() for note in one.notes)))),
        commit=past.commit(Path.cwd()),
    )


def _measure(ready: Ready, folder: RunFolder, watcher: Watcher) -> None:
    """Do every trial of the plan, each stored when it ends."""
    plan = ready.asked.plan
    cores = {case.label: case.cores for case in plan.cases}
    stations = {s.device.serial: s for s in ready.stations}
    trials = ready.trials
    galleries = _galleries(ready, folder)
    watcher.stage("measure")
    with folder.log() as log:
        for done, one in enumerate(trials, 1):
            subject = one.subject
            machine, prepared = stations[subject.device], ready.prepared[subject.model]
            artifact = prepared.artifact(subject.variant, subject.runtime)
            expected = prepared.expected[subject.variant]
            protocol = plan.protocol_for(subject.model)
            measured, answers, output = trial.measure(
                one, machine, artifact, prepared.samples, expected, protocol, cores[subject.model]
            )
            folder.append(measured, machine.device, answers)
            if output is not None:
                galleries[subject.model].keep(subject, output)
            log.info("trial", trial=one.id, status=measured.status, reason=measured.reason)
            watcher.trial(done, len(trials), measured)


def _galleries(ready: Ready, folder: RunFolder) -> dict[str, Gallery]:
    """By network, with the pictures that are known before anything is measured."""
    device = next((s.device.serial for s in ready.stations if s.is_phone), ready.stations[0].device.serial)
    pictures = Pictures(folder.path)
    return {
        label: Gallery(
            pictures, label, one.artifacts[0].task, one.samples, one.samples_record.preprocess, one.expected, device
        )
        for label, one in ready.prepared.items()
    }


def _ended(ready: Ready, folder: RunFolder, record: RunRecord, begun: float, watcher: Watcher) -> Findings:
    """Write down how the run ended, and its report."""
    ended = folder.measurements()
    damaged, notes = _damaged(ready)
    update = {
        "damaged": damaged,
        "notes": (*record.notes, *notes),
        "finished": now() if len(ended) == len(ready.trials) else None,
        "wall_s": time.monotonic() - begun,
        "runner_s": sum(m.runner_s for m in ended),
    }
    folder.write_record(record.model_copy(update=update))
    watcher.stage("report")
    return report(folder)


def _damaged(ready: Ready) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """The artifacts, by device, of which a file there is no longer what was brought, and what to say of it: an accuracy
    trial proves only what it loaded itself."""
    found, notes = {}, []
    for machine in ready.stations:
        serial = machine.device.serial
        try:
            damaged = station.damaged(machine, ready.files(machine))
        except BenchError as error:
            notes.append(f"The files on {serial} could not be checked at the end of the run: {error.what}")
            continue
        programs = {name for name, one in machine.programs.items() if damaged & {file.sha256 for file in one.files}}
        labels = [
            f"{artifact.model}/{artifact.variant}"
            for one in ready.prepared.values()
            for artifact in one.artifacts
            if artifact.runtime in programs or damaged & {one.samples.sha256, *(f.sha256 for f in artifact.needed)}
            if artifact.runtime in machine.programs
        ]
        if labels:
            found[serial] = tuple(dict.fromkeys(labels))
            notes.append(
                f"Files of {', '.join(found[serial])} on {serial} changed during the run: its times are not used."
            )
    return found, notes


def report(folder: RunFolder) -> Findings:
    """Tables, plots and the page, made from what is stored alone: needs no phone. Returns what they show."""
    from bench.analyse.examples import examples
    from bench.report import html  # matplotlib takes a second to import, and is wanted only here

    record = folder.record()
    frame, answers = folder.consolidate(), folder.answers()
    findings = replace(
        analyse(frame, record, answers),
        missing=folder.missing(frame, answers),
        examples=examples(Pictures(folder.path).read(), frame, record, answers),
    )
    html.write(folder.path, record, folder.measurements(), findings)
    return findings


@contextlib.contextmanager
def _reserved(cache: Cache, phones: Sequence[Transport]) -> Iterator[None]:
    """One bench at a time on each device. Raises DeviceBusy."""
    (cache.root / "locks").mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        for phone in phones:
            name = "".join(c if c.isalnum() else "_" for c in phone.serial)
            lock = FileLock(cache.root / "locks" / f"{name}.lock")
            try:
                held.enter_context(lock.acquire(timeout=0))
            except Timeout:
                raise DeviceBusy(
                    f"another bench is measuring on {phone.serial}",
                    "Wait until it is done; two at once would disturb each other.",
                ) from None
        yield
