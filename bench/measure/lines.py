"""What a launch printed: JSON lines in the form of device_scripts/runner/contract/contract.h.

Everything here comes from a device: whatever it is, `read` understands it or raises RunnerFailed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, get_args

from bench.errors import RunnerFailed
from bench.measure import loader, picture_lines
from bench.measure.fields import LARGEST, LONGEST_TEXT, REBUILD, event_of, whole, words
from bench.measure.job import CONTRACT
from bench.measure.layer_lines import LayerEvents, Layers
from bench.measure.serve_lines import KINDS as SERVING
from bench.measure.serve_lines import ServeEvents
from bench.measure.switch_lines import SwitchEvents
from bench.records import Sample
from bench.scheduled import Serving

_SINGLE = ("load", "decode", "first_inference")
_MEMORY = ("vm_hwm", "pss", "anonymous")
_MOST_FACTS = 40
_MOST_CLOCKS = 64
_REPEATED = ("iteration", "window", "clock", "layer", "switch", *SERVING)
_CPU_LIST = re.compile(r"[0-9]{1,4}(-[0-9]{1,4})?(,[0-9]{1,4}(-[0-9]{1,4})?)*")
_SIGNALS = {
    4: " (SIGILL, an instruction that this processor does not have)",
    6: " (SIGABRT, it gave up)",
    7: " (SIGBUS, a file got shorter under it)",
    11: " (SIGSEGV, it crashed)",
    15: " (SIGTERM)",
    31: " (SIGSYS, this device forbids a system call that it makes)",
}


Source = Literal["time_in_state", "scaling_cur_freq"]
"""The kernel's file that a clock comes from: what it counted itself, or single looks before and after."""


@dataclass(frozen=True)
class Answers:
    """The file that an accuracy launch wrote, on its machine: for each sample, for each output, its float32 values.

    `counts` is the number of values of each output in one sample.
    """

    path: str
    samples: int
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Clock:
    """What the clock of a cpufreq policy was while a launch was timed, in Hz: its mean weighted by time, and the lowest
    and highest that it had. `cpus` are its CPUs in the kernel's words ("4-7"), `share` is the part of the iterations, 0
    to 1, that ended on them, `source` the kernel's file."""

    cpus: str
    hz: float
    lowest_hz: float
    highest_hz: float
    share: float
    source: Source


@dataclass(frozen=True)
class Accelerator:
    """What computed the layers other than the process's own CPUs, in its driver's words. `software`: that driver
    computes on the CPUs after all. Of `layers`, `elsewhere` were computed without it; `names` are the first of them,
    each with its operator."""

    device: str
    driver: str
    software: bool
    layers: int
    elsewhere: int
    names: tuple[str, ...]


@dataclass(frozen=True)
class Beside:
    """What was at work beside a launch: copies of its network and threads of another load. `inferences` are what the
    copies finished while it was timed: with 0, they did not run."""

    copies: int
    load: int
    inferences: int


class Window(NamedTuple):
    """About a second of load: when it began, in ns since the load did, and how many inferences ended in it."""

    ns: int
    iterations: int


@dataclass(frozen=True)
class Reading:
    """One launch as understood. `runner_s` is the time inside the measured process, in seconds; `strays` the lines that
    something else on the device printed in between, such as a warning of its linker.

    Among `samples` are `clock`, of the policy in `clocks` that most iterations of a latency launch ended on, and for a
    sustained one `sustained` and `sustained_clock`, whose iteration is the second of the load. `remark` is what has to
    be said of a figure that is right as far as it goes.
    """

    samples: tuple[Sample, ...]
    environment: dict[str, Any] = field(default_factory=dict)
    answers: Answers | None = None
    warmup_iterations: int = 0
    runner_s: float = 0.0
    strays: int = 0
    clocks: tuple[Clock, ...] = ()
    beside: Beside | None = None
    accelerator: Accelerator | None = None
    windows: tuple[Window, ...] = ()
    remark: str = ""
    layers: Layers | None = None
    picture: picture_lines.Picture | None = None
    serving: Serving | None = None

    @property
    def rate(self) -> float | None:
        """Inferences a second under sustained load, by the phone's clock; None for fewer than two windows."""
        if len(self.windows) < 2:
            return None
        return 1e9 * sum(one.iterations for one in self.windows[:-1]) / (self.windows[-1].ns - self.windows[0].ns)


def read(lines: Iterable[str], status: int, stderr: str = "") -> Reading:
    """The events of one launch that left with `status`.

    Raises RunnerFailed with the runner's own reason, or, when it could not give one (killed, missing, no end
    marker), with what the status says; or when an event is not one that the contract allows.
    """
    events = _Events()
    for line in lines:
        events.add(line)
    end = events.end
    if not events.problem and (refusal := loader.refusal(stderr)):
        raise left(RunnerFailed(words(refusal), loader.FIX), status)
    if events.problem or status != 0 or end is None or end.get("status") != "ok":
        raise left(RunnerFailed(events.problem or meaning(status, stderr)), status)
    return Reading(
        samples=(*events.samples, *events.clock(), *events.switches.samples()),
        environment=events.environment,
        answers=events.answers,
        warmup_iterations=events.warmup,
        runner_s=whole(end, "ns") / 1e9,
        strays=events.strays,
        clocks=tuple(events.clocks),
        beside=events.beside,
        accelerator=events.accelerator,
        windows=tuple(events.windows),
        picture=events.picture,
        layers=events.layers.whole(events.answers.counts if events.answers else None),
        serving=events.serving.whole(),
    )


def left(failure: RunnerFailed, status: int) -> RunnerFailed:
    failure.left = status
    return failure


@dataclass
class _Events:
    """What the events so far have reported."""

    samples: list[Sample] = field(default_factory=list)
    environment: dict[str, Any] = field(default_factory=dict)
    answers: Answers | None = None
    warmup: int = 0
    strays: int = 0
    problem: str = ""
    end: Mapping[str, Any] | None = None
    iterations: int = 0
    windows: list[Window] = field(default_factory=list)
    second: int = -1
    clocks: list[Clock] = field(default_factory=list)
    beside: Beside | None = None
    layers: LayerEvents = field(default_factory=LayerEvents)
    switches: SwitchEvents = field(default_factory=SwitchEvents)
    picture: picture_lines.Picture | None = None
    serving: ServeEvents = field(default_factory=ServeEvents)
    accelerator: Accelerator | None = None
    seen: set[str] = field(default_factory=set)

    def add(self, line: str) -> None:
        line = line.strip()
        if not line.startswith("{"):
            self.strays += bool(line)
            return
        event = event_of(line)
        kind = event["event"]
        if self.end is not None or (kind in self.seen and kind not in _REPEATED):
            raise RunnerFailed(f"the runner printed an unexpected second event {words(kind)!r}", REBUILD)
        self.seen.add(kind)
        match kind:
            case "environment":
                self.environment = _facts(event)
            case "iteration":
                self._add_iteration(event)
            case "window":
                self._add_window(event)
            case "clock":
                self._add_clock(event)
            case "layers":
                self.layers.begin(event)
            case "layer":
                self.layers.add(event)
            case "capacities":
                self.switches.begin(event)
            case "switch":
                self.switches.add(event)
            case "beside":
                self.beside = Beside(*(whole(event, key) for key in ("copies", "load", "inferences")))
            case "accelerator":
                self.accelerator = _accelerator(event)
            case "memory":
                known = ((metric, whole(event, metric, least=-1)) for metric in _MEMORY)
                self.samples.extend(Sample(metric, 0, float(value)) for metric, value in known if value >= 0)
            case "picture":
                self.picture = picture_lines.picture(event)
            case "warmup":
                self.warmup = whole(event, "iterations")
            case "answers":
                self.answers = _answers(event)
            case "error":
                self.problem = f"{words(event.get('kind'))}: {words(event.get('message'))}"
            case "end":
                self.end = event
            case _ if kind in SERVING:
                self.serving.add(kind, event)
            case _ if kind in _SINGLE:
                self.samples.append(Sample(kind, 0, float(whole(event, "ns"))))
            case _:
                raise RunnerFailed(f"unknown runner event {words(kind)!r}", REBUILD)

    def _add_iteration(self, event: Mapping[str, Any]) -> None:
        if whole(event, "i") != self.iterations:
            raise RunnerFailed(f"the runner's iteration {self.iterations} is missing: a line was lost", REBUILD)
        self.samples.append(Sample("latency", self.iterations, float(whole(event, "ns", least=1))))
        if "asked" in event:
            asked = whole(event, "asked")
            if asked > 1:
                raise RunnerFailed("the runner's 'iteration' event contradicts itself", REBUILD)
            self.samples.append(Sample("asked_inference", self.iterations, float(asked)))
        self.iterations += 1

    def _add_window(self, event: Mapping[str, Any]) -> None:
        window = Window(whole(event, "ns"), whole(event, "iterations", least=1))
        second = window.ns // 10**9
        if whole(event, "i") != len(self.windows) or second <= self.second:
            raise RunnerFailed(f"the runner's window {len(self.windows)} is missing: a line was lost", REBUILD)
        self.windows.append(window)
        self.second = second
        self.samples.append(Sample("sustained", second, float(whole(event, "median", least=1))))
        if (khz := whole(event, "khz", least=-1)) > 0:
            self.samples.append(Sample("sustained_clock", second, 1000.0 * khz))

    def _add_clock(self, event: Mapping[str, Any]) -> None:
        cpus: Any = event.get("cpus")
        source: Any = event.get("source")
        lowest, mean, highest = (whole(event, key, least=1) for key in ("lowest", "khz", "highest"))
        share = whole(event, "share")
        named = _CPU_LIST.fullmatch(cpus) if isinstance(cpus, str) and len(cpus) <= LONGEST_TEXT else None
        if not named or source not in get_args(Source) or not lowest <= mean <= highest or share > 1000:
            raise RunnerFailed("the runner's 'clock' event contradicts itself", REBUILD)
        if len(self.clocks) == _MOST_CLOCKS:
            raise RunnerFailed(f"the runner printed more than {_MOST_CLOCKS} 'clock' events", REBUILD)
        self.clocks.append(Clock(named[0], 1000.0 * mean, 1000.0 * lowest, 1000.0 * highest, share / 1000, source))

    def clock(self) -> tuple[Sample, ...]:
        """The clock that counts for a launch that timed single iterations; none where nobody knows it."""
        main = max(self.clocks, key=lambda one: one.share, default=None)
        if main is None or main.share == 0 or not self.iterations:
            return ()
        return (Sample("clock", 0, main.hz),)


def _answers(event: Mapping[str, Any]) -> Answers:
    path, listed = event.get("path"), event.get("counts")
    samples, size = whole(event, "samples", least=1), whole(event, "bytes")
    if isinstance(path, str) and isinstance(listed, list) and listed:
        counts = tuple(whole({"event": "answers", "counts": one}, "counts", least=1) for one in listed)
        if size == 4 * samples * sum(counts):
            return Answers(path, samples, counts)
    raise RunnerFailed("the runner's 'answers' event contradicts itself", REBUILD)


def _accelerator(event: Mapping[str, Any]) -> Accelerator:
    software, layers, elsewhere = (whole(event, key) for key in ("software", "layers", "elsewhere"))
    names = event.get("names")
    if software > 1 or elsewhere > layers or not isinstance(names, list) or len(names) != min(elsewhere, _MOST_FACTS):
        raise RunnerFailed("the runner's 'accelerator' event contradicts itself", REBUILD)
    device, driver, *named = (words(value) for value in (event.get("device"), event.get("driver"), *names))
    return Accelerator(device, driver, bool(software), layers, elsewhere, tuple(named))


def _facts(event: Mapping[str, Any]) -> dict[str, Any]:
    """The environment as reported, with every text short and printable."""
    if event.get("contract") != CONTRACT:
        raise RunnerFailed(f"the runner obeys contract {words(event.get('contract'))}, not {CONTRACT}", REBUILD)
    known = [(key, value) for key, value in event.items() if key != "event"][:_MOST_FACTS]
    return {words(key): _plain(value) for key, value in known}


def _plain(value: object) -> object:
    if isinstance(value, bool) or (isinstance(value, int) and abs(value) <= LARGEST):
        return value
    if isinstance(value, list):
        return [words(one) for one in value[:_MOST_FACTS]]
    return words(value)


def meaning(status: int, stderr: str) -> str:
    """What an exit status says when the runner itself gave no reason (POSIX shell conventions)."""
    last = words((stderr.strip().splitlines() or [""])[-1])
    match status:
        case 0:
            return "the runner ended without its end marker"
        case 126:
            return f"the runner cannot be executed: wrong ABI, or the folder or SELinux forbids it {last}".rstrip()
        case 127:
            return f"the runner is not there, or a part of it cannot be loaded: {last}".rstrip(": ")
        case 137:
            return "killed (SIGKILL): most likely out of memory"
        case s if s > 128:
            return f"ended by signal {s - 128}{_SIGNALS.get(s - 128, '')}: {last}".rstrip(": ")
        case s:
            return f"left with status {s}: {last}"
