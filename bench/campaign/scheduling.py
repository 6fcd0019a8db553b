"""Networks of a stored run chosen for a workload and run together on the phone: the story of `bench schedule`."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

import bench
from bench import plan, runtimes
from bench.analyse import analyse, serving
from bench.analyse.schedule import MOST_FIXED, Infeasible, combinations, planned
from bench.cache import Cache, sha256_file
from bench.campaign.phones import LOCKS, Stages
from bench.devices import hold
from bench.devices.transport import Transport
from bench.errors import BenchError, DeviceOffline, HostFull, NothingFits, NothingMeasured, UnknownName, UsageError
from bench.measure import gates, job, lines, station, trial
from bench.measure.station import Station
from bench.plan import Protocol
from bench.records import Artifact, ArtifactFile, Device, Precision, RunRecord, Subject, Trial
from bench.results.folder import RunFolder, now
from bench.results.schedules import schedules
from bench.runtimes.launch import launch as launched
from bench.runtimes.launch import work_path
from bench.scheduled import Capacity, Launch, Planned, Policy, ScheduleOutcome, Solver, Workload

_SLACK_S = 120.0
"""Beyond its phases that a launch may take: it loads the networks of the first."""
_SEED = 20
"""Of the order of policies in a round, and of what networks are shown."""


class Place(NamedTuple):
    """Where, of what a run measured; None where it has only one."""

    device: str | None = None
    runtime: str = "ncnn"
    threads: int | None = None
    precision: Precision | None = None


@dataclass(frozen=True)
class Asked:
    """What is to be run: `policies` beside each other in `rounds` launches each, chosen from the `capacities` that the
    run measured on its `device`."""

    folder: RunFolder
    record: RunRecord
    workload: Workload
    device: Device
    subject: Subject
    """Its runtime, threads and precision: the setting."""
    capacities: Mapping[str, Sequence[Capacity]]
    planned: Planned
    policies: tuple[Policy, ...]
    rounds: int

    @property
    def seconds(self) -> float:
        """That the launches take, their loading aside."""
        return self.rounds * len(self.policies) * sum(phase.seconds for phase in self.workload.phases)


def asked(
    folder: RunFolder, workload: Workload, place: Place, *, solver: Solver = "exact", fixed: int = 3, rounds: int = 5
) -> Asked:
    """What to run, chosen from what is stored alone. Raises UsageError, CorruptData, and NothingFits where no choice
    fits the budget of a phase, or no fixed one those of all phases."""
    record = folder.record()
    device = _device(record, place.device)
    subject = _of_run(record, place)
    findings = analyse(folder.settled(folder.frame()), record, folder.answers())
    capacities = serving.capacities(findings, record, workload, subject.model_copy(update={"device": device.serial}))
    if (many := combinations(workload, capacities)) > MOST_FIXED:
        raise UsageError(
            f"these networks have {many:,} fixed choices, and at most {MOST_FIXED:,} are looked at",
            "Name the `variants` of each network that matter.",
        )
    found = planned(workload, capacities, solver)
    if isinstance(found, Infeasible):
        raise NothingFits(f"nothing fits in phase {found.phase + 1}: {found.why}", "Give more, or have fewer networks.")
    if not found.fixed:
        raise NothingFits(
            "no fixed choice fits into the memory of every phase, so that there is nothing to compare with",
            "Give the smallest phase more memory.",
        )
    policies = (found.adaptive, *found.fixed[:fixed])
    return Asked(folder, record, workload, device, subject, capacities, found, policies, rounds)


def _device(record: RunRecord, serial: str | None) -> Device:
    phones = [device for device in record.devices if device.kind == "phone"]
    chosen = [device for device in phones if serial in (None, device.serial)]
    names = ", ".join(device.serial for device in phones)
    if not phones:
        raise UsageError("this run measured no phone", "Measure on one: bench run --device SERIAL.")
    if not chosen:
        raise UsageError(
            f"this run did not measure {serial}", f"It has {names}; figures of another phone do not count."
        )
    if len(chosen) > 1:
        raise UsageError(f"this run has several of --device: {names}", f"Name one: --device {phones[0].serial}.")
    return chosen[0]


def _of_run(record: RunRecord, place: Place) -> Subject:
    """The setting that is meant, of those that the run has, without network and device. Raises UsageError."""
    cases = plan.of_run(record).cases
    threads = sorted({count for case in cases for count in case.threads})
    precisions: list[Precision] = list(dict.fromkeys(one for case in cases for one in case.precision))
    for flag, value, known in (("--threads", place.threads, threads), ("--precision", place.precision, precisions)):
        if value is None and len(known) > 1:
            raise UsageError(f"this run has several of {flag}: {', '.join(map(str, known))}", f"Name one: {known[0]}.")
        if value is not None and value not in known:
            raise UsageError(f"this run has no {flag} {value}", f"It has {', '.join(map(str, known))}.")
    if place.runtime not in runtimes.on("phone"):
        raise UnknownName.of("runtime", place.runtime, runtimes.on("phone"))
    return Subject(
        model="", variant="", device="", runtime=place.runtime, threads=place.threads or threads[0],
        precision=place.precision or precisions[0],
    )  # fmt: skip


def run(wanted: Asked, phone: Transport, cache: Cache, watcher: Stages) -> ScheduleOutcome:
    """Launch every policy in every round, in another order in each, and store each launch.

    Raises UsageError for another phone than that of the run, or files that are gone, what a run raises until its first
    trial, and NothingMeasured where no launch of the adaptive policy succeeded.
    """
    with _scene(wanted, phone, cache, watcher) as scene:
        stored = schedules(wanted.folder.path)
        name, order = now(), np.random.default_rng(_SEED)
        progress = watcher.stage(f"serve {len(wanted.workload.networks)} networks together on {phone.serial}")
        total = wanted.rounds * len(wanted.policies)
        launches: list[Launch] = []
        try:
            for number in range(wanted.rounds):
                turns = [wanted.policies[i] for i in order.permutation(len(wanted.policies))]
                for place, policy in enumerate(turns):
                    progress(len(launches) / total, f"round {number + 1}: {policy.name}")
                    launch = _launch(scene, policy, name, number, place)
                    stored.append(launch)
                    launches.append(launch)
                    if launch.status != "ok":
                        watcher.note(f"round {number + 1}, {policy.name}: {launch.status}: {launch.reason}")
        except KeyboardInterrupt:
            station.end(scene.there)
            raise KeyboardInterrupt(
                f"Interrupted. {len(launches)} of {total} launches are kept in {stored.path}."
            ) from None
        progress(1.0, f"{total} launches")
    found = serving.outcomes(launches)
    if not found or not any(one.costs for one in found[0].policies if one.policy.adaptive):
        raise NothingMeasured("no launch of the adaptive policy succeeded", launches[0].reason)
    return found[0]


@dataclass(eq=False)
class _Scene:
    """The phone with all files, and the job file of each variant there, by network and variant."""

    wanted: Asked
    there: Station
    jobs: Mapping[tuple[str, str], str]


@contextmanager
def _scene(wanted: Asked, phone: Transport, cache: Cache, watcher: Stages) -> Iterator[_Scene]:
    runtime = wanted.subject.runtime
    with (
        hold.held(cache.root / LOCKS, [phone.serial]), ExitStack() as leaving,
        tempfile.TemporaryDirectory(prefix="bench-schedule-") as local,
    ):  # fmt: skip
        seen = station.seen(phone, (runtime,))
        _expect_same(wanted.device, seen.device)
        artifacts = {key: _artifact(wanted, *key) for key in _variants(wanted.policies)}
        there = station.phone(seen, (runtime,), cache, watcher.stage(f"build the native runner for {phone.serial}"))
        leaving.callback(station.leave, there)
        samples = {model: _samples(Path(local), artifacts, model) for model in {model for model, _ in artifacts}}
        watcher.stage("deploy")
        files = [file for artifact in artifacts.values() for file in artifact.needed]
        station.bring(there, [*files, *samples.values()], watcher.note)
        cores = {case.label: case.cores for case in plan.of_run(wanted.record).cases}
        jobs = {}
        for number, ((model, variant), artifact) in enumerate(artifacts.items()):
            subject = wanted.subject.model_copy(update={"model": model, "variant": variant})
            mask = gates.affinity(there.device, cores[model])
            text = trial.job_of(subject, "memory", artifact, there.where, samples[model], mask).text(Protocol())
            path = Path(local, f"candidate-{number}.job")
            path.write_text(text, encoding="utf-8")
            jobs[model, variant] = work_path(phone, f"serve-{path.name}")
            phone.push(path, jobs[model, variant], deadline_s=60)
        yield _Scene(wanted, there, jobs)


def _expect_same(stored: Device, found: Device) -> None:
    """Raises UsageError where the figures are of another phone that has the same serial."""
    if (stored.name, stored.abis, stored.virtual) != (found.name, found.abis, found.virtual):
        raise UsageError(
            f"{found.serial} is {found.name} now, and this run measured {stored.name} there",
            "Measure this phone first (bench run): profiles of another one say nothing of it.",
        )


def _variants(policies: Sequence[Policy]) -> list[tuple[str, str]]:
    return list(
        dict.fromkeys((one.network, one.variant) for policy in policies for phase in policy.phases for one in phase)
    )


def _artifact(wanted: Asked, model: str, variant: str) -> Artifact:
    """That of the run, whose files here are still those that were measured. Raises UsageError."""
    of = (model, variant, wanted.subject.runtime)
    found = next(one for one in wanted.record.artifacts if (one.model, one.variant, one.runtime) == of)
    for file in found.needed:
        try:
            same = sha256_file(file.path) == file.sha256
        except OSError:
            same = False
        if not same:
            raise UsageError(
                f"{file.path}, which {variant} of {model} was measured with, is gone or is another file now",
                "Make and measure it again with the same plan: bench run.",
            )
    return found


def _samples(folder: Path, artifacts: Mapping[tuple[str, str], Artifact], model: str) -> ArtifactFile:
    """One sample of seeded noise of 0 to 1 (zeros for whole numbers): what an inference takes does not depend on it."""
    from bench.data import packed

    inputs = next(artifact.inputs for (name, _), artifact in artifacts.items() if name == model)
    noise = np.random.default_rng(_SEED)
    values = [
        noise.random((1, *one.shape), np.float32) if one.dtype == "float32" else np.zeros((1, *one.shape), np.int32)
        for one in inputs
    ]
    path = folder / f"samples-{hashlib.sha256(model.encode()).hexdigest()[:16]}"
    packed.write(path, values)
    return ArtifactFile(role="samples", path=path, sha256=sha256_file(path), bytes=path.stat().st_size)


def _named(what: str, used: Sequence[tuple[str, str]]) -> str:
    """What a runner says of a network's process, with the names of both."""

    def name(said: re.Match[str]) -> str:
        number = int(said[1])
        return "{1} of {0}".format(*used[number]) if number < len(used) else said[0]

    return re.sub(r"network \d{1,3} \(candidate (\d{1,3})\)", name, what)


def _launch(scene: _Scene, policy: Policy, name: str, number: int, order: int) -> Launch:
    """One launch, with whatever came of it. Raises HostFull, and what says that the phone is gone for good."""
    wanted, there = scene.wanted, scene.there
    first = wanted.subject.model_copy(update={"model": policy.phases[0][0].network, "variant": policy.name})
    looked = Trial(subject=first, pass_="latency", launch=number)
    used = _variants([policy])
    phases = [
        (round(1000 * phase.seconds), [(used.index((one.network, one.variant)), one.share) for one in allocation])
        for phase, allocation in zip(wanted.workload.phases, policy.phases, strict=True)
    ]
    text = job.Service(
        [scene.jobs[key] for key in used], [wish.rate for wish in wanted.workload.networks],
        wanted.workload.period_ms, phases,
    ).text()  # fmt: skip
    common = {
        "id": name, "started": now(), "bench_version": bench.__version__, "device": there.device.serial,
        "virtual": there.device.virtual, "runtime": wanted.subject.runtime, "threads": wanted.subject.threads,
        "round": number, "order": order, "workload": wanted.workload, "policy": policy,
        "capacities": tuple(one for some in wanted.capacities.values() for one in some),
        "optimum": wanted.planned.optimum, "greedy": wanted.planned.greedy,
    }  # fmt: skip
    seconds = sum(phase.seconds for phase in wanted.workload.phases)
    try:
        there.before(looked)
        done = launched(
            there.transport, there.command(wanted.subject.runtime), text, name=f"serve-{number}-{order}",
            deadline_s=seconds + _SLACK_S,
        )  # fmt: skip
        reading = lines.read(done.stdout.splitlines(), done.status, done.stderr)
        warm = there.behind(looked)
    except (HostFull, DeviceOffline):
        raise
    except BenchError as error:
        return Launch(**common, status="failed", reason=_named(error.what, used))
    launch = Launch(**common, serving=reading.serving, conditions=there.state())
    if wrong := serving.fits(launch):
        return Launch(**common, status="failed", reason=f"the runner's report is not of this launch: {wrong}")
    if why := (*warm, *serving.doubts(launch)):
        return launch.model_copy(update={"status": "tagged", "reason": "; ".join(why)})
    return launch
