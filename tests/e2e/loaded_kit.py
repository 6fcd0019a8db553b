"""What the tests of runtimes share that load a library: one launch on this computer, as a station starts it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench import runtimes
from bench.cache import Cache
from tests.e2e.native_kit import EXITS, packed

LATENCY = {"warmup_iterations": 1, "warmup_ms": 0, "min_iterations": 5, "min_ms": 0, "max_iterations": 5}


def silent(fraction: float, words: str) -> None:
    pass


@dataclass(frozen=True)
class Ended:
    """A launch that is over; the contract's promises of every launch, good or bad, hold."""

    status: int
    events: list[dict[str, Any]]
    errors: str
    answers: Path

    def event(self, name: str) -> dict[str, Any]:
        return next(event for event in self.events if event["event"] == name)

    def values(self, samples: int) -> np.ndarray:
        """The answers, (samples, values of all outputs)."""
        return np.fromfile(self.answers, "<f4").reshape(samples, -1)


def launched(
    runtime: str, graph: Path, samples: Sequence[np.ndarray], folder: Path, *,
    abi: str = "", before: Sequence[str] = (), environment: dict[str, str] | None = None,
    **changes: Any,
) -> Ended:  # fmt: skip
    """One launch; `changes` replace keys of the job, or drop them when None. `before` starts a program of another
    processor."""
    abi = abi or runtimes.host_abi()
    program = runtimes.runtime(runtime).program((abi,), abi == runtimes.host_abi(), Cache(), silent)
    (folder / "samples.bsmp").write_bytes(packed(*samples))
    keys = {
        "contract": 3, "mode": "accuracy", "graph": graph, "weights": "-", "weights_format": "runtime",
        "execution": "stock", "inputs": "in0", "outputs": "out0", "samples": folder / "samples.bsmp",
        "answers": folder / "answers.f32", "threads": 1, "affinity": 0, "precision": "fp32",
    } | changes  # fmt: skip
    (folder / "job").write_text("".join(f"{key} = {value}\n" for key, value in keys.items() if value is not None))
    paths = [os.fspath(file.path) for file in program.files]
    command = [part.format(*paths) for part in program.command]
    loader = command.index(paths[0])
    done = subprocess.run(
        [*command[:loader], *before, *command[loader:], os.fspath(folder / "job")],
        env={**os.environ, **(environment or {})}, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode in EXITS.values(), (done.returncode, done.stdout, done.stderr)
    assert events[-1]["event"] == "end"
    assert events[-1]["exit"] == done.returncode
    errors = [event for event in events if event["event"] == "error"]
    assert [EXITS[error["kind"]] for error in errors] == [done.returncode] * bool(done.returncode)
    return Ended(done.returncode, events, done.stderr, folder / "answers.f32")
