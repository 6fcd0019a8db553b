"""Launches of libraries that are loaded by name, on this computer as a station starts them, or on translated ARM."""

from __future__ import annotations

import functools
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
from tests.e2e.native_kit import packed


def silent(fraction: float, words: str) -> None:
    pass


@dataclass(frozen=True)
class Ended:
    """What one launch left."""

    status: int
    events: list[dict[str, Any]]
    errors: str
    answers: np.ndarray | None

    def event(self, name: str) -> dict[str, Any]:
        return next(event for event in self.events if event["event"] == name)

    @property
    def refusal(self) -> tuple[str, str]:
        error = self.event("error")
        return error["kind"], error["message"]


@functools.cache
def command(runtime: str, abi: str) -> tuple[str, ...]:
    program = runtimes.runtime(runtime).program((abi,), abi == runtimes.host_abi(), Cache(), silent)
    paths = [os.fspath(file.path) for file in program.files]
    return tuple(part.format(*paths) for part in program.command)


def launch(
    runtime: str,
    graph: Path,
    samples: np.ndarray | Sequence[np.ndarray],
    folder: Path,
    environment: dict[str, str] | None = None,
    *,
    before: Sequence[str] = (),
    **changes: Any,
) -> Ended:
    """One launch on this computer; `changes` replace keys of the job, or drop them when None. The program is started
    by the command `before`, if one is given."""
    (folder / "samples.bsmp").write_bytes(packed(*([samples] if isinstance(samples, np.ndarray) else samples)))
    answers = folder / "answers.f32"
    answers.unlink(missing_ok=True)
    keys = {
        "contract": 3, "mode": "accuracy", "graph": graph, "weights": "-", "weights_format": "runtime",
        "execution": "stock", "inputs": "in0", "outputs": "out0", "samples": folder / "samples.bsmp",
        "answers": answers, "threads": 1, "affinity": 0, "precision": "fp32",
    } | changes  # fmt: skip
    (folder / "job").write_text("".join(f"{key} = {value}\n" for key, value in keys.items() if value is not None))
    done = subprocess.run(
        [*before, *command(runtime, runtimes.host_abi()), os.fspath(folder / "job")],
        env={**os.environ, **(environment or {})}, capture_output=True, timeout=600, check=False,
    )  # fmt: skip
    events = [json.loads(line) for line in done.stdout.decode().splitlines()]
    found = np.fromfile(answers, "<f4") if done.returncode == 0 and answers.exists() else None
    return Ended(done.returncode, events, done.stderr.decode(errors="replace"), found)
