"""The command line in this process: what it prints, and the status it leaves with."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bench.cli.main import main

GOLDEN = Path(__file__).parents[2] / "golden"


class Done(NamedTuple):
    status: int
    stdout: str
    stderr: str

    @property
    def answer(self) -> Any:
        return json.loads(self.stdout)


class Command:
    """`bench` with these arguments, in a folder of results."""

    def __init__(self, results: Path, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> None:
        self.results, self._patch, self._capture = results, patch, capture

    def __call__(self, *arguments: str | Path, results: bool = True) -> Done:
        extra = ["--results", str(self.results)] if results else []
        self._patch.setattr(sys, "argv", ["bench", *map(str, arguments), *extra])
        self._capture.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        out, err = self._capture.readouterr()
        return Done(int(left.value.code or 0), out, err)

    def synthetic(self, name: str = "night") -> Path:
        """A copy of the stored run of schema 2 (synthetic test data) in the results, with an id of its own."""
        folder = Path(shutil.copytree(GOLDEN / "synthetic-run-2", self.results / name))
        record = json.loads((folder / "run.json").read_text())
        (folder / "run.json").write_text(json.dumps(record | {"id": name}))
        return folder


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    results = tmp_path / "results"
    results.mkdir()
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("FR_BENCH_HISTORY", raising=False)
    return Command(results, monkeypatch, capsys)
