"""The whole story of a run: plan, prepare, deploy, measure, collect, analyse, report."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import NamedTuple, Protocol

from filelock import FileLock, Timeout

import bench
from bench.analyse import analyse
from bench.cache import Cache
from bench.devices.host import DESKTOP
from bench.devices.transport import Transport
from bench.errors import DeviceBusy, NothingMeasured, UnknownName
from bench.findings import Findings
from bench.measure import order
from bench.networks import resolve
from bench.networks.count import count
from bench.plan import Plan
from bench.prepare import VARIANTS, Prepared, prepare, weights_of
from bench.records import Measurement, Progress, RunRecord
from bench.station import Station, bring, desktop_station, leave, measure, native_outputs, phone_station
from bench.store import RunFolder, now

LIBRARIES = ("torch", "numpy", "scipy", "adbutils", "pnnx", "ziglang", "cmake")


MACS_PER_SECOND = 20e9
"""For estimates alone: float32 multiply-adds of one mid-range phone core (two 128-bit FMA pipes at 2.5 GHz)."""


class Outline(NamedTuple):
    """A plan in a few figures: a row per network, the number of trials, an estimate of their time in seconds."""

    rows: tuple[tuple[str, ...], ...]
    trials: int
    estimate_s: float


class Watcher(Protocol):
    """Who is told how a run goes. Nothing below the command line prints."""

    def stage(self, title: str) -> Progress:
        """A new stage begins; the result takes its progress."""
        ...

    def trial(self, done: int, total: int, measurement: Measurement) -> None:
        """A trial has ended and is stored."""
        ...


def run(
    plan: Plan, phones: Sequence[Transport], results: Path, cache: Cache, watcher: Watcher
) -> tuple[RunFolder, Findings]:
    """Do the plan on these phones and on this host; returns the run's folder, report included, and what follows of it.

    What goes wrong before the first trial is raised as it is; later it becomes a failed trial with its reason, and
    NothingMeasured when that happened to all of them. An interrupted run keeps and reports every trial that had ended.
    """
    begun, started = time.monotonic(), datetime.now().astimezone()
    with _reserved(cache, phones), contextlib.ExitStack() as leaving:
        desktop = desktop_station(cache, watcher.stage("build the native runner for this host"))
        stations = [desktop] + [
            phone_station(phone, cache, watcher.stage(f"build the native runner for {phone.serial}"))
            for phone in phones
        ]
        for station in stations:
            leaving.callback(leave, station)
        verify = partial(native_outputs, desktop)
        prepared = {
            case.model: prepare(case, cache, verify, watcher.stage(f"prepare {case.model}")) for case in plan.cases
        }
        preparation_s = time.monotonic() - begun
        watcher.stage("deploy")
        transferred = {s.device.serial: bring(s, prepared.values()) for s in stations}

        folder = RunFolder.create(results, plan.name, started)
        record = RunRecord(
            id=f"{started:%Y%m%dT%H%M%S}-{plan.name}",
            name=plan.name,
            started=started.isoformat(timespec="seconds"),
            bench_version=bench.__version__,
            plan=plan.model_dump(mode="json"),
            versions={name: metadata.version(name) for name in LIBRARIES},
            samples={model: one.source for model, one in prepared.items()},
            toolchain={
                s.binary.abi: {**s.binary.toolchain, "sha256": s.binary.sha256, "bytes": s.binary.bytes}
                for s in stations
            },
            devices=tuple(s.device for s in stations),
            artifacts=tuple(a for one in prepared.values() for a in one.artifacts),
            transferred_bytes={s.device.serial: transferred[s.device.serial] for s in stations if s.is_phone},
            preparation_s=preparation_s,
        )
        folder.write_record(record)
        try:
            _measure(plan, stations, prepared, folder, watcher)
        finally:
            ended = folder.measurements()
            complete = len(ended) == len(order.trials(plan, places(plan, stations)))
            update = {
                "finished": now() if complete else None,
                "wall_s": time.monotonic() - begun,
                "runner_s": sum(m.runner_s for m in ended),
            }
            folder.write_record(record.model_copy(update=update))
            watcher.stage("report")
            findings = report(folder)
    if all(m.status == "failed" for m in ended if m.trial.pass_ != "size"):
        raise NothingMeasured(
            f"all trials failed; the first: {next(m.reason for m in ended if m.reason)}",
            f"Every reason is in {folder.path / 'report.html'} and trials.jsonl.",
        )
    return folder, findings


def _measure(
    plan: Plan, stations: Sequence[Station], prepared: Mapping[str, Prepared], folder: RunFolder, watcher: Watcher
) -> None:
    """Do every trial of the plan, each stored when it ends."""
    cases = {case.model: case for case in plan.cases}
    by_serial = {s.device.serial: s for s in stations}
    trials = order.trials(plan, places(plan, stations))
    watcher.stage("measure")
    with folder.log() as log:
        for done, trial in enumerate(trials, 1):
            station, case = by_serial[trial.device], cases[trial.model]
            measurement = measure(trial, station, case, order.protocol_of(plan, case), prepared[trial.model])
            folder.append(measurement, station.device)
            log.info("trial", trial=trial.id, status=measurement.status, reason=measurement.reason)
            watcher.trial(done, len(trials), measurement)


def places(plan: Plan, stations: Sequence[Station]) -> tuple[order.Place, ...]:
    """Where the plan's trials run: the native runner on every phone, and the plan's runtimes on this host."""
    phones = [order.Place(s.device.serial, "native") for s in stations if s.is_phone]
    host = [order.Place(s.device.serial, runtime) for s in stations if not s.is_phone for runtime in plan.desktop]
    return (*phones, *host)


def checked(plan: Plan) -> Plan:
    """The plan, when every name and size in it is known. Costs nothing, so that a typing error is told before a build
    or a phone is begun. Raises UnknownName, UsageError, CorruptData."""
    for case in plan.cases:
        spec = resolve(case.model, input_size=case.input_size)
        weights_of(spec, case)
        for variant in case.variants:
            if variant not in VARIANTS:
                raise UnknownName.of("variant", variant, VARIANTS)
    return plan


def outline(plan: Plan) -> Outline:
    """What a checked plan asks for, on one phone and this host."""
    where = (order.Place("phone", "native"), *(order.Place(DESKTOP, runtime) for runtime in plan.desktop))
    seconds, rows = {}, []
    for case in plan.cases:
        spec = resolve(case.model, input_size=case.input_size)
        counted = count(spec, Cache())
        seconds[case.model] = counted.macs / MACS_PER_SECOND if counted else 1.0
        p = order.protocol_of(plan, case)
        count = sum(trial.model == case.model for trial in order.trials(plan, where))
        rows.append(
            (
                case.model, ", ".join(case.variants), "×".join(map(str, spec.shape)), ", ".join(map(str, case.threads)),
                ", ".join(case.precision), str(p.launches), f"≥ {p.min_iterations}", str(count),
            )
        )  # fmt: skip
    return Outline(tuple(rows), len(order.trials(plan, where)), order.estimate_s(plan, where, seconds))


def report(folder: RunFolder) -> Findings:
    """Tables, plots and the page, made from what is stored alone: needs no phone. Returns what they show."""
    from bench.report import html  # matplotlib takes a second to import, and is wanted only here

    record = folder.record()
    findings = analyse(folder.consolidate(), record)
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
                    "Wait for its end; two at once would disturb each other.",
                ) from None
        yield
