"""The whole story of a run: plan, prepare, deploy, measure, collect, analyse, report."""

from __future__ import annotations

import contextlib
import shlex
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from importlib import metadata
from pathlib import Path

import bench
from bench import prepare, runtimes
from bench.analyse import analyse
from bench.cache import Cache
from bench.campaign import faults, past, resume
from bench.campaign.asked import Absent, Asked
from bench.campaign.lane import Patience
from bench.campaign.measuring import Progressed, Ready, Watcher, measure
from bench.campaign.phones import HERE, LOCKS, Elsewhere
from bench.devices import hold
from bench.devices.transport import Transport
from bench.errors import BenchError, HostFull, NothingMeasured
from bench.files import is_full
from bench.findings import Findings
from bench.measure import station, trial
from bench.prepare.download import library_bytes
from bench.records import Measurement, NoiseRecord, RunRecord
from bench.results.folder import RunFolder, now
from bench.results.pictures import Pictures
from bench.results.schedules import schedules
from bench.results.trainings import trainings

LIBRARIES = ("torch", "numpy", "scipy", "adbutils", "pnnx", "ziglang", "cmake")


def run(
    asked: Asked,
    phones: Sequence[Transport],
    results: Path,
    cache: Cache,
    watcher: Watcher,
    noise: Sequence[NoiseRecord] = (),
    patience: Patience | None = None,
    resumed: RunFolder | None = None,
    command: Sequence[str] = (),
    hosts: Mapping[str, Elsewhere] = HERE,
) -> tuple[RunFolder, Findings]:
    """Do a checked plan on these phones and on this host; returns the run's folder, report included, and the findings.
    `noise` is what is known of the devices; a run's own launches tell the rest. `resumed` is an interrupted run of the
    same plan that goes on; UsageError where something else has changed. `command` is what a report says to type for the
    same run. `hosts` says by serial where phones of a farm hang: their locks are held there.

    What goes wrong before the first trial is raised as it is; later it becomes a failed trial with its reason, and
    NothingMeasured when that happened to all of them. An interrupted run keeps and reports every trial that had ended.
    """
    begun, started = time.monotonic(), datetime.now().astimezone()
    with (
        hold.held(cache.root / LOCKS, [phone.serial for phone in phones if phone.serial not in hosts]),
        contextlib.ExitStack() as leaving,
    ):
        notes: list[str] = []
        with _preparing():
            ready = _prepared(asked, phones, cache, watcher, leaving, hosts, notes.append)
        preparation_s = time.monotonic() - begun
        notes += cache.notes
        notes += [f"{serial} hung on host {one.host} of a farm." for serial, one in hosts.items()]
        notes += [
            f"{s.device.serial} was not fit when the run began: {gate.name}: {gate.found}. {gate.advice}"
            for s in ready.stations
            for gate in s.gates
            if gate.state == "unfit"
        ]
        notes += [note for one in ready.prepared.values() for note in one.notes]
        notes += [f"{one} is not in the run: {' '.join(why.split())}" for one, why in ready.asked.absent.items()]
        record = _record(ready, started, preparation_s).model_copy(
            update={"noise": tuple(noise), "command": tuple(command)}
        )
        progressed = Progressed()
        if resumed:
            before = resumed.record()
            resume.same(before, record, resumed)
            progressed.ended = resume.ended(resumed)
            spent_s = resume.spent_s(before, progressed.ended)
            begun -= spent_s
            record = before.model_copy(update={"finished": None, "wall_s": spent_s})
            notes = [*before.notes, *notes, f"Resumed on {started:%Y-%m-%d at %H:%M}."]
            _used(ready, progressed.ended.values())
        with _preparing():
            pushed = _deployed(ready, watcher, notes.append)
        folder = resumed or RunFolder.create(results, asked.plan.name, started)
        record = record.model_copy(update={"notes": tuple(dict.fromkeys(notes)), "transferred_bytes": pushed})
        folder.write_record(record)
        try:
            with _room(folder):
                measure(ready, folder, watcher, progressed, patience or Patience.asked_for())
        except HostFull:
            with contextlib.suppress(OSError, BenchError):
                _ended(ready, folder, record, begun, progressed, watcher)
            raise
        except BaseException as error:
            _ended(ready, folder, record, begun, progressed, watcher)
            if isinstance(error, KeyboardInterrupt):
                watcher.note(f"to go on with it: bench run --resume {shlex.quote(str(folder.path))}")
                raise KeyboardInterrupt("Interrupted; what had been measured is kept.") from error
            raise
        with _room(folder):
            findings = _ended(ready, folder, record, begun, progressed, watcher)
    ended = [m for m in folder.measurements() if m.trial.pass_ != "size"]
    if all(m.status == "failed" for m in ended):
        raise NothingMeasured(
            f"all trials failed; the first: {next((m.reason for m in ended if m.reason), 'none was started')}",
            f"Every reason is in {folder.path / 'report.html'} and trials.jsonl.",
        )
    return folder, findings


def _prepared(
    asked: Asked, phones: Sequence[Transport], cache: Cache, watcher: Watcher, leaving: contextlib.ExitStack,
    hosts: Mapping[str, Elsewhere], say: Callable[[str], None],
) -> Ready:  # fmt: skip
    """Machines and networks. Phones come first: an unfit one is refused before anything is built for it."""
    strict = any(asked.plan.protocol_for(case.label).strict for case in asked.plan.cases)
    seen = _seen(phones, asked.runtimes_on_phones(), asked.spared, say, strict=strict)
    progress = watcher.stage("build the native runner for this host")
    here = station.desktop(asked.runtimes_here(), cache, progress, asked.spared)
    leaving.callback(station.leave, here)
    stations = [here]
    for phone in seen:
        progress = watcher.stage(f"build the native runner for {phone.device.serial}")
        stations.append(station.phone(phone, asked.runtimes_on_phones(), cache, progress, asked.spared))
        leaving.callback(station.leave, stations[-1])
    run_here = partial(trial.answered, here)
    prepared = {
        case.label: prepare.case(
            case,
            asked.networks[case.label],
            asked.runtimes_of(case),
            cache,
            run_here,
            watcher.stage,
            asked.spared,
            pictures=asked.plan.protocol_for(case.label).device_preprocess,
            protocol=asked.plan.protocol_for(case.label),
        )
        for case in asked.plan.cases
    }
    asked = asked.without(
        {Absent(label, name): why for label, one in prepared.items() for name, why in one.absent.items()}
        | {Absent(label, *pair): why for label, one in prepared.items() for pair, why in one.unmade.items()}
    )
    libraries = {
        f"{name}, {phone.device.serial}": library_bytes(program, cache, watcher.stage)
        for phone in stations[1:]
        for name, program in phone.programs.items()
    }
    return Ready(asked, tuple(stations), prepared, hosts, libraries)


def _seen(
    phones: Sequence[Transport],
    names: Sequence[str],
    spared: Collection[str],
    say: Callable[[str], None],
    *,
    strict: bool,
) -> list[station.Seen]:
    """These phones, looked at. One that is gone or unfit is left out if there is another; else its error is raised."""
    found: list[station.Seen] = []
    wrong: list[BenchError] = []
    for phone in phones:
        try:
            found.append(station.seen(phone, names, spared, strict=strict))
        except BenchError as error:
            wrong.append(error)
            if len(phones) > 1:
                say(f"{phone.serial} is left out: {error.what}")
    if wrong and not found:
        raise wrong[0]
    return found


def _deployed(ready: Ready, watcher: Watcher, say: Callable[[str], None]) -> dict[str, int]:
    """Bytes pushed to each phone. One that is full or gone is set aside if there is another machine to measure on; else
    its error is raised."""
    watcher.stage("deploy")
    pushed: dict[str, int] = {}
    wrong: list[BenchError] = []
    for machine in ready.stations:
        try:
            size = station.bring(machine, ready.files(machine), say)
        except BenchError as error:
            if not (machine.is_phone and faults.is_devices(error)):
                raise
            wrong.append(error)
            machine.unready = error.what
            size = 0
        if machine.is_phone:
            pushed[machine.device.serial] = size
    if wrong and not any(ready.blocks(machine) for machine in ready.stations if not machine.unready):
        raise wrong[0]
    return pushed


def _used(ready: Ready, ended: Iterable[Measurement]) -> None:
    """Tell each machine which of its files the trials of an earlier attempt used."""
    machines = {machine.device.serial: machine for machine in ready.stations}
    for one in ended:
        subject = one.trial.subject
        if one.status != "failed" and subject.device in machines:
            prepared = ready.prepared[subject.model]
            artifact = prepared.artifact(subject.variant, subject.runtime)
            machines[subject.device].use(artifact, prepared.shown(one.trial)[0])


def _record(ready: Ready, started: datetime, preparation_s: float) -> RunRecord:
    plan = ready.asked.plan
    return RunRecord(
        id=f"{started:%Y%m%dT%H%M%S}-{plan.name}",
        name=plan.name,
        started=started.isoformat(timespec="seconds"),
        bench_version=bench.__version__,
        plan=plan.model_dump(mode="json"),
        reference=runtimes.reference().name,
        versions={name: metadata.version(name) for name in LIBRARIES},
        samples={
            label: one.samples_record.model_copy(update={"sha256": one.samples.sha256})
            for label, one in ready.prepared.items()
        },
        toolchain={
            f"{name}, {s.device.serial}": dict(program.facts)
            for s in ready.stations
            for name, program in s.programs.items()
            if program.facts
        },
        programs={
            f"{name}, {s.device.serial}": tuple(file.sha256 for file in program.files)
            for s in ready.stations
            for name, program in s.programs.items()
        },
        libraries=dict(ready.libraries),
        devices=tuple(s.device for s in ready.stations),
        artifacts=tuple(a for one in ready.prepared.values() for a in one.artifacts),
        absent={str(one): why for one, why in ready.asked.absent.items()},
        preparation_s=preparation_s,
        commit=past.commit(Path.cwd()),
        preflight={s.device.serial: s.gates for s in ready.stations if s.is_phone},
    )


@contextlib.contextmanager
def _preparing() -> Iterator[None]:
    """An interrupt in words that say what it interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "Interrupted while the run was prepared, before a trial was started. What was finished is kept, so the "
            "same command goes on from there."
        ) from None


@contextlib.contextmanager
def _room(folder: RunFolder) -> Iterator[None]:
    """A full disk of this host as HostFull."""
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        raise HostFull(
            f"this computer has no room left for {folder.path}; every trial that had been stored is kept",
            f"Free some space there, then: bench report {shlex.quote(str(folder.path))}",
        ) from error


def _ended(
    ready: Ready, folder: RunFolder, record: RunRecord, begun: float, progressed: Progressed, watcher: Watcher
) -> Findings:
    """Write down how the run ended, and its report."""
    ended = folder.measurements()
    damaged, notes = _damaged(ready)
    update = {
        "damaged": {
            serial: tuple(dict.fromkeys((*record.damaged.get(serial, ()), *damaged.get(serial, ()))))
            for serial in (*record.damaged, *(name for name in damaged if name not in record.damaged))
        },
        "notes": tuple(dict.fromkeys((*record.notes, *progressed.notes, *notes))),
        "finished": now() if progressed.complete else None,
        "wall_s": time.monotonic() - begun,
        "runner_s": sum(m.runner_s for m in ended),
        "goals": tuple(progressed.goals),
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
            damaged = station.damaged(machine, ready.files(machine)) | machine.doubtful
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


def report(folder: RunFolder, sort: str = "accuracy") -> Findings:
    """Tables, plots and the page, made from what is stored alone: needs no phone. Variants that compete are sorted as
    `bench.report.rivals` has it. Returns what they show."""
    from bench.analyse.drift import strips
    from bench.analyse.examples import examples
    from bench.analyse.learning import lessons
    from bench.analyse.serving import outcomes
    from bench.report import html  # matplotlib takes a second to import, and is wanted only here

    record = folder.record()
    stored, answers = folder.consolidate(), folder.answers()
    frame, pictures = folder.settled(stored), Pictures(folder.path).read()
    findings = replace(
        analyse(frame, record, answers, folder.layers(stored)),
        missing=folder.missing(stored, answers),
        examples=examples(pictures, frame, record, answers),
        strips=strips(pictures, record),
        schedules=outcomes(schedules(folder.path).read()),
        lessons=lessons(trainings(folder.path).read(), record),
    )
    html.write(folder.path, record, folder.measurements(), findings, sort)
    return findings
