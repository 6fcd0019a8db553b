"""What a launch printed: JSON lines in the form of device_scripts/runner/contract.h."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from bench.errors import RunnerFailed
from bench.records import Sample

_SINGLE = {"load": "load", "decode": "decode", "first_inference": "first_inference"}
_MEMORY = ("vm_hwm", "pss", "anonymous")


@dataclass(frozen=True)
class Reading:
    """One launch as understood. `runner_s` is the time inside the measured process, in seconds."""

    samples: tuple[Sample, ...]
    environment: dict[str, Any] = field(default_factory=dict)
    outputs: str | None = None
    output_bytes: int = 0
    warmup_iterations: int = 0
    runner_s: float = 0.0


def read(lines: Iterable[str], status: int, stderr: str = "") -> Reading:
    """The events of one launch that left with `status`.

    Raises RunnerFailed with the runner's own reason, or, when it could not give one (killed, missing, no end
    marker), with what the status says.
    """
    samples: list[Sample] = []
    environment: dict[str, Any] = {}
    problem, end = "", None
    outputs, output_bytes, warmup = None, 0, 0
    for line in lines:
        if not line.strip():
            continue
        event = _event(line)
        match event["event"]:
            case "environment":
                environment = {k: v for k, v in event.items() if k != "event"}
            case "iteration":
                samples.append(Sample("latency", _whole(event, "i"), float(_whole(event, "ns"))))
            case "memory":
                known = ((m, _whole(event, m)) for m in _MEMORY)
                samples.extend(Sample(m, 0, float(v)) for m, v in known if v >= 0)
            case "warmup":
                warmup = _whole(event, "iterations")
            case "outputs":
                outputs, output_bytes = str(event["path"]), _whole(event, "bytes")
            case "error":
                problem = f"{event.get('kind')}: {event.get('message')}"
            case "end":
                end = event
            case kind if kind in _SINGLE:
                samples.append(Sample(_SINGLE[kind], 0, float(_whole(event, "ns"))))
            case kind:
                raise RunnerFailed(f"the runner spoke of {kind!r}, which this bench does not know", _REBUILD)
    if problem or status != 0 or end is None or end.get("status") != "ok":
        raise RunnerFailed(problem or _meaning(status, stderr))
    return Reading(tuple(samples), environment, outputs, output_bytes, warmup, _whole(end, "ns") / 1e9)


_REBUILD = "The runner on the device is of another version; run `bench clean`, then the same command."


def _event(line: str) -> dict[str, Any]:
    try:
        event = json.loads(line)
        if isinstance(event["event"], str):
            return dict(event)
    except (ValueError, KeyError, TypeError):
        pass
    raise RunnerFailed(f"the runner printed a line that is no event: {line[:120]!r}", _REBUILD)


def _whole(event: dict[str, Any], key: str) -> int:
    value = event.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise RunnerFailed(f"the runner's {event['event']!r} event has no whole number {key!r}", _REBUILD)
    return value


def _meaning(status: int, stderr: str) -> str:
    """What an exit status tells when the runner itself told nothing (POSIX shell conventions)."""
    last = stderr.strip().splitlines()[-1:] or [""]
    match status:
        case 0:
            return "the runner ended without its end marker"
        case 126:
            return f"the runner cannot be executed: wrong ABI, or the folder forbids it {last[0]}".rstrip()
        case 127:
            return "the runner is not there"
        case 137:
            return "killed (SIGKILL): most likely out of memory"
        case s if s > 128:
            return f"ended by signal {s - 128}: {last[0]}"
        case s:
            return f"left with status {s}: {last[0]}"
