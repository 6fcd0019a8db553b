"""`bench` as a person or a device farm calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bench.records import RunRecord
from bench.results.folder import RunFolder

QUICK = """
[protocol]
launches = 3
reference_launches = 1
memory_launches = 1
warmup_iterations = 1
warmup_seconds = 0
min_iterations = 3
min_seconds = 0
"""
"""A protocol for tests: as few launches as have an interval, as short as can be."""


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "bench.cli", *map(str, arguments)]


def bench(
    *arguments: str | Path, env: dict[str, str], status: int = 0, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """The command, which must leave with `status` and never with a traceback."""
    done = subprocess.run(command(*arguments), env=env, cwd=cwd, capture_output=True, text=True, timeout=900)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    return done


@dataclass(frozen=True)
class Finished:
    """A run by `bench run --json`: what it printed, and what it stored."""

    answer: dict[str, Any]

    @property
    def folder(self) -> Path:
        return Path(self.answer["folder"])

    @property
    def record(self) -> RunRecord:
        return RunFolder(self.folder).record()

    @property
    def frame(self) -> pd.DataFrame:
        return pd.read_parquet(self.folder / "measurements.parquet")

    def summaries(self, metric: str, **subject: Any) -> list[dict[str, Any]]:
        """Those of that metric whose subject is like that."""
        return [
            s
            for s in self.answer["summaries"]
            if s["metric"] == metric and all(s["subject"][key] == value for key, value in subject.items())
        ]


def run(*arguments: str | Path, env: dict[str, str]) -> Finished:
    return Finished(json.loads(bench("run", *arguments, "--json", env=env).stdout))
