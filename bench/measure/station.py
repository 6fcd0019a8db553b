"""A machine in a run: what it is, what was brought there, and the state it is in."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from bench import runtimes
from bench.cache import Cache, sha256_file
from bench.devices import deployment, facts, presence
from bench.devices.deployment import Payload
from bench.devices.host import HostTransport
from bench.devices.transport import Transport
from bench.errors import BenchError, BuildFailed, ToolMissing, Transient, WrongAbi
from bench.measure import cooling
from bench.measure import gates as rules
from bench.measure.meter import Metered
from bench.plan import Protocol
from bench.records import Artifact, ArtifactFile, Device, Gate, Progress, Trial
from bench.runtimes.runtime import Program

_LEAVES_WITHIN_S = 10.0
FRESH_S = 2.0
"""A look at a phone that is not older is not repeated: the one after a launch serves the next."""
_LAUNCH_FACTS = (
    "battery_present", "battery_percent", "battery_celsius", "charging", "thermal_status", "skin_celsius",
)  # fmt: skip
"""Of the conditions, what is looked at for each launch."""


@dataclass
class Station:
    """A machine, the program of each runtime for it, or why it is `lacking`, and the paths of the files that are there,
    by SHA-256.

    `gates` are what was looked at before the run, `unready` says why its files could not be brought. Of a phone,
    `start` is how it was when the run began, `latest` when it was last looked at, `conditions` before its latest
    launch, `after` behind it where that is known, and `metered` what its fuel gauge showed in between; `waited` says
    why its present block began warm.

    `used` are the SHA-256 of files that finished trials used, `doubtful` those of them that were found changed later
    and were replaced: what was measured with them counts no more.
    """

    transport: Transport
    device: Device
    programs: Mapping[str, Program]
    lacking: Mapping[str, BenchError] = field(default_factory=dict)
    where: dict[str, str] = field(default_factory=dict)
    conditions: facts.Conditions = field(default_factory=facts.Conditions)
    checked: float = float("-inf")
    start: facts.Conditions = field(default_factory=facts.Conditions)
    latest: facts.Conditions = field(default_factory=facts.Conditions)
    after: facts.Conditions | None = None
    waited: tuple[str, ...] = ()
    block: tuple[object, ...] = ()
    metered: Metered | None = None
    gates: tuple[Gate, ...] = ()
    unready: str = ""
    used: set[str] = field(default_factory=set)
    doubtful: set[str] = field(default_factory=set)

    @property
    def is_phone(self) -> bool:
        return self.device.kind == "phone"

    def command(self, runtime: str) -> list[str]:
        """What starts a runtime's program on this machine, the job file's path aside. Raises why there is none."""
        if runtime in self.lacking:
            raise self.lacking[runtime]
        program = self.programs[runtime]
        paths = [self.where[file.sha256] for file in program.files]
        return [part.format(*paths) for part in program.command]

    def use(self, artifact: Artifact, samples: ArtifactFile) -> None:
        """A trial has finished with these files."""
        program = self.programs[artifact.runtime].files
        self.used.update(file.sha256 for file in (*artifact.needed, *program, samples))

    def state(self) -> dict[str, Any]:
        """The conditions that are known, by name: those before the latest launch, in `after` those behind it, and
        what a fuel gauge showed meanwhile."""
        found = _known(self.conditions)
        after = _known(self.after) if self.after else {}
        metered = self.metered.state() if self.metered else {}
        return found | ({"after": after} if after else {}) | metered

    def ready(
        self, trial: Trial, protocol: Protocol, say: Callable[[str], Progress],
        pause: Callable[[float], object] = time.sleep,
    ) -> None:  # fmt: skip
        """Before a trial: where a block of timed launches begins, wait until a phone is cool, as `cooling.wait` does
        with `say` and `pause`."""
        if not self.is_phone or trial.pass_ not in rules.TIMED or cooling.block(trial) == self.block:
            return
        self.block, self.waited = cooling.block(trial), ()
        with contextlib.suppress(BenchError):  # a phone that is gone fails its trials itself
            self.waited = cooling.wait(self.device.serial, self._look, self.start, protocol.cool_seconds, say, pause)

    def before(self, trial: Trial) -> None:
        """Look at a phone right before a timed launch, unless that was just done. Raises what the transport does."""
        self.after = self.metered = None
        if self.is_phone and trial.pass_ in rules.TIMED:
            if time.monotonic() - self.checked > FRESH_S:
                self._look()
            self.conditions = self.latest

    def behind(self, trial: Trial) -> tuple[str, ...]:
        """Look at a phone right after a timed launch: why it is not fit to be compared, if so."""
        if not self.is_phone or trial.pass_ not in rules.TIMED:
            return ()
        with contextlib.suppress(BenchError):  # the launch itself was well
            self.after = self._look()
        return self.waited + rules.launch_doubts(trial.pass_, self.conditions, self.after)

    def _look(self) -> facts.Conditions:
        found = facts.heat(self.transport)
        self.latest = replace(found, power_saver=self.start.power_saver)
        self.checked = time.monotonic()
        return self.latest


def _known(conditions: facts.Conditions) -> dict[str, Any]:
    return {name: value for name in _LAUNCH_FACTS if (value := getattr(conditions, name)) is not None}


class Seen(NamedTuple):
    """A phone as it was when it was looked at: what it is, its state, when (`time.monotonic`), and what that means."""

    transport: Transport
    device: Device
    conditions: facts.Conditions
    at: float
    gates: tuple[Gate, ...] = ()


def seen(transport: Transport, names: Iterable[str], spared: Collection[str] = (), *, strict: bool = False) -> Seen:
    """A phone, looked at before anything is built. Raises WrongAbi where one of these runtimes has no program (of
    `spared` ones, where none has), and DeviceUnfit, if `strict`, for a phone that is not fit to be measured or does not
    say so."""
    sections = facts.probe(transport)
    device, conditions = facts.phone(transport.serial, sections), facts.conditions(sections)
    names = tuple(names)
    without = [name for name in names if not set(runtimes.runtime(name).abis) & set(device.abis)]
    if refused := [name for name in without if name not in spared] or (without if without == list(names) else []):
        runtime = runtimes.runtime(refused[0])
        raise WrongAbi(
            f"{device.serial} ({device.name}) runs {', '.join(device.abis) or 'an ABI that it does not report'}",
            f"{runtime.title} is built for {', '.join(runtime.abis)}.",
        )
    built_for = dict.fromkeys(abi for name in names for abi in runtimes.runtime(name).abis)
    found = rules.preflight(device, conditions, tuple(built_for))
    if strict:
        rules.refuse(device, found)
    return Seen(transport, device, conditions, time.monotonic(), found)


def _programs(
    names: Iterable[str], spared: Collection[str], device: Device, at_hand: bool, cache: Cache, progress: Progress
) -> tuple[dict[str, Program], dict[str, BenchError]]:
    """The program of each runtime for a machine, and why a spared one has none."""
    programs: dict[str, Program] = {}
    lacking: dict[str, BenchError] = {}
    for name in names:
        try:
            programs[name] = runtimes.runtime(name).program(device.abis, at_hand, cache, progress)
        except (WrongAbi, BuildFailed, ToolMissing) as error:
            if name not in spared:
                raise
            lacking[name] = error
    if lacking and not set(programs) & set(spared):
        raise next(iter(lacking.values()))
    return programs, lacking


def desktop(names: Iterable[str], cache: Cache, progress: Progress, spared: Collection[str] = ()) -> Station:
    """This host, with the programs of these runtimes; of `spared` ones at least one.

    Raises BuildFailed, ToolMissing.
    """
    device = facts.desktop(runtimes.host_abi())
    programs, lacking = _programs(names, spared, device, True, cache, progress)
    # A folder of this process: other benches may use this host at the same time, each with a phone of its own.
    station = Station(HostTransport(cache.root / "host" / str(os.getpid())), device, programs, lacking)
    station.where |= {file.sha256: str(file.path) for program in programs.values() for file in program.files}
    Path(station.transport.folder, "work").mkdir(exist_ok=True)
    return station


def phone(found: Seen, names: Iterable[str], cache: Cache, progress: Progress, spared: Collection[str] = ()) -> Station:
    """A phone, with the programs of these runtimes; of `spared` ones at least one. Raises WrongAbi, BuildFailed,
    ToolMissing."""
    device = found.device
    at_hand = device.virtual and not device.translated
    programs, lacking = _programs(names, spared, device, at_hand, cache, progress)
    return Station(
        found.transport, device, programs, lacking, conditions=found.conditions, checked=found.at,
        start=found.conditions, latest=found.conditions, gates=found.gates,
    )  # fmt: skip


def bring(station: Station, files: Iterable[ArtifactFile], say: Callable[[str], None]) -> int:
    """Deploy the programs and these files; returns the bytes copied. On this host files stay where they are.

    `say` is told of files that were found damaged and were replaced; `doubtful` has those of them that trials used.
    Raises DiskFull and what the transport raises.
    """
    payloads = _payloads(station, files)
    if not station.is_phone:
        station.where |= {sha256: str(payload.path) for sha256, payload in payloads.items()}
        return 0
    station.where |= {sha256: payload.remote(station.transport.folder) for sha256, payload in payloads.items()}
    sweep(station)  # a bench that was killed may have left a launch at work
    used = [payload for sha256, payload in payloads.items() if sha256 in station.used]
    if used:
        station.doubtful |= {payload.sha256 for payload in deployment.found(station.transport, used).changed}
    return deployment.deploy(station.transport, list(payloads.values()), say=say)


def mend(station: Station, files: Iterable[ArtifactFile], say: Callable[[str], None]) -> bool:
    """Bring again those of the programs and these files that a phone lost or changed; returns whether there were any.

    Raises DiskFull, DeviceRefused, CorruptData and what the transport raises.
    """
    if not station.is_phone:
        return False
    payloads = _payloads(station, files)
    found = deployment.found(station.transport, list(payloads.values()))
    lacking = (*found.missing, *found.changed)
    if not lacking:
        return False
    deployment.deploy(station.transport, lacking, say=say)
    station.doubtful |= {payload.sha256 for payload in found.changed} & station.used
    if found.missing:
        count = len(found.missing)
        say(f"{count} file{'s' * (count > 1)} had gone from {station.device.serial} and were brought again")
    return True


def damaged(station: Station, files: Iterable[ArtifactFile]) -> frozenset[str]:
    """SHA-256 of those of the programs and these files that are no longer what was brought. Raises what the transport
    raises."""
    payloads = _payloads(station, files).values()
    if station.is_phone:
        return frozenset(p.sha256 for p in deployment.damaged(station.transport, list(payloads)))
    return frozenset(p.sha256 for p in payloads if not (p.path.is_file() and sha256_file(p.path) == p.sha256))


def _payloads(station: Station, files: Iterable[ArtifactFile]) -> dict[str, Payload]:
    """By SHA-256."""
    programs = [file for program in station.programs.values() for file in program.files]
    executable = {program.files[0].sha256 for program in station.programs.values() if program.files}
    return {
        file.sha256: Payload(file.path, file.sha256, file.bytes, executable=file.sha256 in executable)
        for file in (*programs, *files)
    }


_SWEEP = """
group() { said=$(cat /proc/$1/stat); rest=${said##*") "}; set -- $rest; echo $3; }
own=$(group $$)
for one in /proc/[0-9]*; do
  case "$(cat $one/cmdline)" in "$0/store/"*|*sh"$0/store/"*)
    pid=${one#/proc/} its=$(group ${one#/proc/})
    if [ "$its" ] && [ "$its" != "$own" ]; then kill -9 -$its; fi
    kill -9 $pid;;
  esac
done 2>/dev/null
rm -f "$0"/store/*.part
"""
"""Kills what was started from the store, programs and scripts behind their shell, and what they started."""


def sweep(station: Station) -> None:
    """End what launches left at work on a phone: a daemon that loses a connection hangs up a shell alone, and what it
    started goes on beside the next launch. Drafts of files go too. Raises what the transport raises."""
    if station.is_phone:
        station.transport.run(["sh", "-c", _SWEEP, station.transport.folder], deadline_s=30)


def end(station: Station) -> None:
    """End the launch at work, whose result nobody waits for."""
    if isinstance(station.transport, HostTransport):
        station.transport.end()
    with contextlib.suppress(BenchError):
        sweep(station)


def leave(station: Station) -> None:
    """Remove what launches left on the machine; what was deployed stays for the next run. A phone that is just away is
    waited for a moment: an adb server that was ended knows it no more."""
    with contextlib.suppress(BenchError):  # A phone that is gone is no reason to lose the run.
        try:
            _leave(station)
        except Transient:
            presence.wait(station.transport, _LEAVES_WITHIN_S)
            _leave(station)


def _leave(station: Station) -> None:
    sweep(station)
    folder = station.transport.folder
    station.transport.run(["rm", "-rf", f"{folder}/work" if station.is_phone else folder], deadline_s=30)
