"""What a launch printed: JSON lines in the form of device_scripts/runner/contract/contract.h.

Everything here comes from a device: whatever it is, `read` understands it or raises RunnerFailed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, get_args

from bench.errors import RunnerFailed
from bench.measure import loader
from bench.measure.job import CONTRACT
from bench.records import Sample

_SINGLE = ("load", "decode", "first_inference")
_MEMORY = ("vm_hwm", "pss", "anonymous")
_LARGEST = 2**53
"""Whole numbers up to this one are the same as floats; in nanoseconds it is 104 days, in bytes 8 PiB."""
_LONGEST_TEXT = 300
_MOST_FACTS = 40
_MOST_CLOCKS = 64
_REPEATED = ("iteration", "window", "clock")
_CPU_LIST = re.compile(r"[0-9]{1,4}(-[0-9]{1,4})?(,[0-9]{1,4}(-[0-9]{1,4})?)*")
_SIGNALS = {
    4: " (SIGILL, an instruction that this processor does not have)",
    6: " (SIGABRT, it gave up)",
    7: " (SIGBUS, a file got shorter under it)",
    11: " (SIGSEGV, it crashed)",
    15: " (SIGTERM)",
    31: " (SIGSYS, this device forbids a system call that it makes)",
}
_REBUILD = "The runner on the device is another version; run `bench clean`, then the same command."


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
        raise _left(RunnerFailed(_words(refusal), loader.FIX), status)
    if events.problem or status != 0 or end is None or end.get("status") != "ok":
        raise _left(RunnerFailed(events.problem or _meaning(status, stderr)), status)
    return Reading(
        samples=(*events.samples, *events.clock()),
        environment=events.environment,
        answers=events.answers,
        warmup_iterations=events.warmup,
        runner_s=_whole(end, "ns") / 1e9,
        strays=events.strays,
        clocks=tuple(events.clocks),
        beside=events.beside,
        accelerator=events.accelerator,
        windows=tuple(events.windows),
    )


def _left(failure: RunnerFailed, status: int) -> RunnerFailed:
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
    accelerator: Accelerator | None = None
    seen: set[str] = field(default_factory=set)

    def add(self, line: str) -> None:
        line = line.strip()
        if not line.startswith("{"):
            self.strays += bool(line)
            return
        event = _event(line)
        kind = event["event"]
        if self.end is not None or (kind in self.seen and kind not in _REPEATED):
            raise RunnerFailed(f"the runner printed an unexpected second event {_words(kind)!r}", _REBUILD)
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
            case "beside":
                self.beside = Beside(*(_whole(event, key) for key in ("copies", "load", "inferences")))
            case "accelerator":
                self.accelerator = _accelerator(event)
            case "memory":
                known = ((metric, _whole(event, metric, least=-1)) for metric in _MEMORY)
                self.samples.extend(Sample(metric, 0, float(value)) for metric, value in known if value >= 0)
            case "warmup":
                self.warmup = _whole(event, "iterations")
            case "answers":
                self.answers = _answers(event)
            case "error":
                self.problem = f"{_words(event.get('kind'))}: {_words(event.get('message'))}"
            case "end":
                self.end = event
            case _ if kind in _SINGLE:
                self.samples.append(Sample(kind, 0, float(_whole(event, "ns"))))
            case _:
                raise RunnerFailed(f"unknown runner event {_words(kind)!r}", _REBUILD)

    def _add_iteration(self, event: Mapping[str, Any]) -> None:
        if _whole(event, "i") != self.iterations:
            raise RunnerFailed(f"the runner's iteration {self.iterations} is missing: a line was lost", _REBUILD)
        self.samples.append(Sample("latency", self.iterations, float(_whole(event, "ns", least=1))))
        self.iterations += 1

    def _add_window(self, event: Mapping[str, Any]) -> None:
        window = Window(_whole(event, "ns"), _whole(event, "iterations", least=1))
        second = window.ns // 10**9
        if _whole(event, "i") != len(self.windows) or second <= self.second:
            raise RunnerFailed(f"the runner's window {len(self.windows)} is missing: a line was lost", _REBUILD)
        self.windows.append(window)
        self.second = second
        self.samples.append(Sample("sustained", second, float(_whole(event, "median", least=1))))
        if (khz := _whole(event, "khz", least=-1)) > 0:
            self.samples.append(Sample("sustained_clock", second, 1000.0 * khz))

    def _add_clock(self, event: Mapping[str, Any]) -> None:
        cpus: Any = event.get("cpus")
        source: Any = event.get("source")
        lowest, mean, highest = (_whole(event, key, least=1) for key in ("lowest", "khz", "highest"))
        share = _whole(event, "share")
        named = _CPU_LIST.fullmatch(cpus) if isinstance(cpus, str) and len(cpus) <= _LONGEST_TEXT else None
        if not named or source not in get_args(Source) or not lowest <= mean <= highest or share > 1000:
            raise RunnerFailed("the runner's 'clock' event contradicts itself", _REBUILD)
        if len(self.clocks) == _MOST_CLOCKS:
            raise RunnerFailed(f"the runner printed more than {_MOST_CLOCKS} 'clock' events", _REBUILD)
        self.clocks.append(Clock(named[0], 1000.0 * mean, 1000.0 * lowest, 1000.0 * highest, share / 1000, source))

    def clock(self) -> tuple[Sample, ...]:
        """The clock that counts for a launch that timed single iterations; none where nobody knows it."""
        main = max(self.clocks, key=lambda one: one.share, default=None)
        if main is None or main.share == 0 or not self.iterations:
            return ()
        return (Sample("clock", 0, main.hz),)


def _event(line: str) -> dict[str, Any]:
    try:
        event = json.loads(line)
        if isinstance(event["event"], str):
            return dict(event)
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise RunnerFailed(f"the runner printed a line that is not an event: {_words(line, 120)!r}", _REBUILD)


def _whole(event: Mapping[str, Any], key: str, least: int = 0) -> int:
    value = event.get(key)
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= _LARGEST:
        return value
    raise RunnerFailed(f"the runner's {event['event']!r} event has no usable whole number {key!r}", _REBUILD)


def _answers(event: Mapping[str, Any]) -> Answers:
    path, listed = event.get("path"), event.get("counts")
    samples, size = _whole(event, "samples", least=1), _whole(event, "bytes")
    if isinstance(path, str) and isinstance(listed, list) and listed:
        counts = tuple(_whole({"event": "answers", "counts": one}, "counts", least=1) for one in listed)
        if size == 4 * samples * sum(counts):
            return Answers(path, samples, counts)
    raise RunnerFailed("the runner's 'answers' event contradicts itself", _REBUILD)


def _accelerator(event: Mapping[str, Any]) -> Accelerator:
    software, layers, elsewhere = (_whole(event, key) for key in ("software", "layers", "elsewhere"))
    names = event.get("names")
    if software > 1 or elsewhere > layers or not isinstance(names, list) or len(names) != min(elsewhere, _MOST_FACTS):
        raise RunnerFailed("the runner's 'accelerator' event contradicts itself", _REBUILD)
    device, driver, *named = (_words(value) for value in (event.get("device"), event.get("driver"), *names))
    return Accelerator(device, driver, bool(software), layers, elsewhere, tuple(named))


def _facts(event: Mapping[str, Any]) -> dict[str, Any]:
    """The environment as reported, with every text short and printable."""
    if event.get("contract") != CONTRACT:
        raise RunnerFailed(f"the runner obeys contract {_words(event.get('contract'))}, not {CONTRACT}", _REBUILD)
    known = [(key, value) for key, value in event.items() if key != "event"][:_MOST_FACTS]
    return {_words(key): _plain(value) for key, value in known}


def _plain(value: object) -> object:
    if isinstance(value, bool) or (isinstance(value, int) and abs(value) <= _LARGEST):
        return value
    if isinstance(value, list):
        return [_words(one) for one in value[:_MOST_FACTS]]
    return _words(value)


def _words(value: object, most: int = _LONGEST_TEXT) -> str:
    """A device's words: bounded, and with nothing in them that a terminal or a file would not take."""
    text = str(value) if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:most])


def _meaning(status: int, stderr: str) -> str:
    """What an exit status says when the runner itself gave no reason (POSIX shell conventions)."""
    last = _words((stderr.strip().splitlines() or [""])[-1])
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
