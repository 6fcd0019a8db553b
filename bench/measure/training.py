"""A training on a machine: the job of the mode `train`, and what its launch printed."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from bench.errors import RunnerFailed
from bench.learnt import Matrix, Trained, Tried
from bench.measure import job
from bench.measure.fields import REBUILD, event_of, whole, words
from bench.measure.lines import left, meaning
from bench.records import Progress

_DECIMAL = re.compile(r"-?[0-9.]{1,20}(e[+-]?[0-9]{1,3})?", re.ASCII)
_STAGES = {"products": (0.0, 0.5), "factor": (0.5, 0.7), "solve": (0.7, 1.0)}
"""About which part of the whole each stage is, where columns are done one after the other."""


@dataclass(frozen=True)
class Training:
    """What is asked for: so many hidden neurons, by a seed; the regularisations among which one is chosen."""

    neurons: int
    classes: int
    seed: int
    alphas: Sequence[float]
    matrix: Matrix = "float32"
    threads: int = 1


@dataclass(frozen=True)
class Places:
    """Paths on the machine; `held` (to choose a regularisation by) and `test` may be empty."""

    samples: str
    held: str
    test: str
    package: str


def text(asked: Training, places: Places, affinity: int = 0) -> str:
    """The job file. Raises UsageError for a path that such a file cannot hold."""
    keys: dict[str, object] = {"contract": job.CONTRACT, "mode": "train", "samples": places.samples}
    keys |= {"validation": places.held} if places.held else {}
    keys |= {"test": places.test} if places.test else {}
    keys |= {
        "package": places.package,
        "neurons": asked.neurons,
        "classes": asked.classes,
        "seed": asked.seed,
        "alphas": ",".join(f"{alpha:.12g}" for alpha in asked.alphas),
        "matrix": asked.matrix,
        "threads": asked.threads,
        "affinity": f"0x{affinity:x}",
    }
    return job.written(keys)


def read(lines: Iterable[str], status: int, stderr: str = "") -> Trained:
    """What a launch printed that left with `status`. Raises RunnerFailed, with the status in `left`."""
    found: dict[str, dict[str, Any]] = {}
    tried: list[Tried] = []
    for line in lines:
        if not line.startswith("{"):
            continue
        event = event_of(line)
        match event["event"]:
            case "error":
                raise left(RunnerFailed(f"{words(event.get('message'))} ({words(event.get('kind'), 40)})"), status)
            case "solution":
                right, of = _score(event)
                tried.append(
                    Tried(alpha=_decimal(event, "alpha"), iterations=whole(event, "iterations"), right=right, of=of)
                )
            case name:
                found[name] = event
    if status != 0 or "end" not in found:
        raise left(RunnerFailed(meaning(status, stderr)), status)
    missing = [name for name in ("environment", "trained", "memory") if name not in found]
    if missing:
        raise RunnerFailed(f"the runner printed no {missing[0]} event", REBUILD)
    told, environment = found["trained"], found["environment"]
    right, of = _score(told)
    kernels = environment.get("kernels_used")
    try:
        return Trained(
            neurons=whole(told, "neurons", 1),
            inputs=whole(told, "inputs", 1),
            samples=whole(told, "samples", 1),
            package_bytes=whole(told, "bytes", 1),
            matrix_bytes=whole(told, "matrix", 1),
            alpha=_decimal(told, "alpha"),
            shift=_decimal(told, "shift"),
            condition=_decimal(told, "condition"),
            residual=_decimal(told, "residual"),
            iterations=whole(told, "iterations"),
            tries=whole(told, "tries", 1),
            products_s=whole(told, "products_ns") / 1e9,
            factor_s=whole(told, "factor_ns") / 1e9,
            solve_s=whole(told, "solve_ns") / 1e9,
            seconds=whole(found["end"], "ns") / 1e9,
            peak_rss=whole(found["memory"], "vm_hwm", -1),
            right=right,
            of=of,
            tried=tuple(tried),
            kernels=tuple(words(name, 40) for name in kernels[:40]) if isinstance(kernels, list) else (),
            threads=whole(environment, "threads", 1),
        )
    except ValidationError as error:
        raise RunnerFailed(f"what the runner says of its training is impossible: {_odd(error)}", REBUILD) from error


def _odd(error: ValidationError) -> str:
    """The first thing that is wrong."""
    first = error.errors()[0]
    return " ".join((*map(str, first["loc"]), first["msg"]))


def watch(progress: Progress) -> Callable[[str], None]:
    """What to do with each line as it comes: tell how far the training is."""

    def line(text: str) -> None:
        if '"progress"' not in text:
            return
        try:
            event = event_of(text)
            stage, done, total = words(event.get("stage"), 20), whole(event, "done"), whole(event, "total", 1)
        except RunnerFailed:
            return  # `read` says so at the end
        begin, end = _STAGES.get(stage, (0.0, 1.0))
        progress(begin + (end - begin) * min(1.0, done / total), f"{stage}: {done:,} of {total:,}")

    return line


def _score(event: dict[str, Any]) -> tuple[int | None, int | None]:
    if "of" not in event:
        return None, None
    of = whole(event, "of", 1)
    right = whole(event, "right")
    if right > of:
        raise RunnerFailed(f"the runner says that {right:,} of {of:,} answers are right", REBUILD)
    return right, of


def _decimal(event: dict[str, Any], key: str) -> float:
    """A number that an event has as text. Raises RunnerFailed."""
    value = event.get(key)
    if isinstance(value, str) and _DECIMAL.fullmatch(value) and math.isfinite(found := float(value)):
        return found
    raise RunnerFailed(f"the runner's {event['event']!r} event has no usable number {key!r}", REBUILD)
