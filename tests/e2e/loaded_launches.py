"""Launches of libraries that are loaded by name: on this computer as a station starts them, or on a phone."""

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
from bench.devices.adb import AdbTransport
from bench.runtimes.runtime import Program
from tests.e2e.native_kit import packed


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
def program(runtime: str, abi: str) -> Program:
    return runtimes.runtime(runtime).program((abi,), abi == runtimes.host_abi(), Cache(), lambda *_: None)


def job(graph: Path | str, folder: Path | str, changes: dict[str, Any]) -> str:
    keys = {
        "contract": 3, "mode": "accuracy", "graph": graph, "weights": "-", "weights_format": "runtime",
        "execution": "stock", "inputs": "in0", "outputs": "out0", "samples": f"{folder}/samples.bsmp",
        "answers": f"{folder}/answers.f32", "threads": 1, "affinity": 0, "precision": "fp32",
    } | changes  # fmt: skip
    return "".join(f"{key} = {value}\n" for key, value in keys.items() if value is not None)


def launch(
    runtime: str,
    path: Path,
    samples: Sequence[np.ndarray],
    folder: Path,
    environment: dict[str, str] | None = None,
    *,
    before: Sequence[str] = (),
    library: Path | None = None,
    **changes: Any,
) -> Ended:
    """One launch on this computer; `changes` replace keys of the job, or drop them when None. `before` is a command
    that starts the program, `library` another than the runtime's own."""
    (folder / "samples.bsmp").write_bytes(packed(*samples))
    answers = folder / "answers.f32"
    answers.unlink(missing_ok=True)
    (folder / "job").write_text(job(path, folder, changes))
    made = program(runtime, runtimes.host_abi())
    paths = [os.fspath(file.path) for file in made.files]
    paths[-1] = os.fspath(library or paths[-1])
    command = [*before, *(part.format(*paths) for part in made.command), os.fspath(folder / "job")]
    done = subprocess.run(
        command, env={**os.environ, **(environment or {})}, capture_output=True, timeout=600, check=False
    )
    return ended(done.returncode, done.stdout.decode(), done.stderr.decode(errors="replace"), answers)


def launch_on(
    phone: AdbTransport, runtime: str, path: Path, samples: Sequence[np.ndarray], folder: Path, **changes: Any
) -> Ended:
    """One launch on a phone whose processor is of arm64-v8a."""
    made, there = program(runtime, "arm64-v8a"), f"{phone.folder}/work"
    phone.run(["mkdir", "-p", there], deadline_s=30)
    remote = [f"{there}/{number}-{file.sha256[:12]}" for number, file in enumerate(made.files)]
    (folder / "samples.bsmp").write_bytes(packed(*samples))
    (folder / "job").write_text(job(f"{there}/graph", there, changes))
    files = zip((file.path for file in made.files), remote, strict=True)
    for local, name in (*files, (path, f"{there}/graph"), *((folder / n, f"{there}/{n}") for n in ("samples.bsmp", "job"))):
        phone.push(local, name, deadline_s=60)
    phone.run(["chmod", "755", *remote], deadline_s=30)
    done = phone.run([*(part.format(*remote) for part in made.command), f"{there}/job"], deadline_s=600)
    answers = folder / "answers.f32"
    if done.status == 0:
        phone.pull(f"{there}/answers.f32", answers, deadline_s=60)
    return ended(done.status, done.stdout, done.stderr, answers)


def ended(status: int, out: str, errors: str, answers: Path) -> Ended:
    """What a launch left, which is in any case what the contract promises of every one."""
    events = [json.loads(line) for line in out.splitlines()]
    assert events, (status, errors)
    assert (events[-1]["event"], events[-1]["exit"]) == ("end", status), (status, out, errors)
    values = np.fromfile(answers, "<f4") if status == 0 and answers.exists() else None
    return Ended(status, events, errors, values)
