"""What a launch printed: JSON lines in the form of device_scripts/runner/contract/contract.h.

Everything here comes from a device: whatever it is, `read` understands it or raises RunnerFailed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.errors import RunnerFailed
from bench.measure.job import CONTRACT
from bench.records import Sample

_SINGLE = ("load", "decode", "first_inference")
_MEMORY = ("vm_hwm", "pss", "anonymous")
_LARGEST = 2**53
"""Whole numbers up to this one are the same as floats; in nanoseconds it is 104 days, in bytes 8 PiB."""
_LONGEST_TEXT = 300
_MOST_FACTS = 40
_SIGNALS = {
    4: " (SIGILL, an instruction that this processor does not have)",
    6: " (SIGABRT, it gave up)",
    7: " (SIGBUS, a file got shorter under it)",
    11: " (SIGSEGV, it crashed)",
    15: " (SIGTERM)",
}
_REBUILD = "The runner on the device is another version; run `bench clean`, then the same command."


@dataclass(frozen=True)
class Answers:
    """The file that an accuracy launch wrote, on its machine: for each sample, for each output, its float32 values.

    `counts` is the number of values of each output in one sample.
    """

    path: str
    samples: int
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Reading:
    """One launch as understood. `runner_s` is the time inside the measured process, in seconds; `strays` the lines that
    something else on the device printed in between, such as a warning of its linker."""

    samples: tuple[Sample, ...]
    environment: dict[str, Any] = field(default_factory=dict)
    answers: Answers | None = None
    warmup_iterations: int = 0
    runner_s: float = 0.0
    strays: int = 0


def read(lines: Iterable[str], status: int, stderr: str = "") -> Reading:
    """The events of one launch that left with `status`.

    Raises RunnerFailed with the runner's own reason, or, when it could not give one (killed, missing, no end
    marker), with what the status says; or when an event is not one that the contract allows.
    """
    events = _Events()
    for line in lines:
        events.add(line)
    end = events.end
    if events.problem or status != 0 or end is None or end.get("status") != "ok":
        raise RunnerFailed(events.problem or _meaning(status, stderr))
    runner_s = _whole(end, "ns") / 1e9
    return Reading(tuple(events.samples), events.environment, events.answers, events.warmup, runner_s, events.strays)


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
    seen: set[str] = field(default_factory=set)

    def add(self, line: str) -> None:
        line = line.strip()
        if not line.startswith("{"):
            self.strays += bool(line)
            return
        event = _event(line)
        kind = event["event"]
        if self.end is not None or (kind in self.seen and kind != "iteration"):
            raise RunnerFailed(f"the runner printed an unexpected second event {_words(kind)!r}", _REBUILD)
        self.seen.add(kind)
        match kind:
            case "environment":
                self.environment = _facts(event)
            case "iteration":
                self._add_iteration(event)
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
            return f"the runner cannot be executed: wrong ABI, or the folder forbids it {last}".rstrip()
        case 127:
            return "the runner is not there"
        case 137:
            return "killed (SIGKILL): most likely out of memory"
        case s if s > 128:
            return f"ended by signal {s - 128}{_SIGNALS.get(s - 128, '')}: {last}".rstrip(": ")
        case s:
            return f"left with status {s}: {last}"
