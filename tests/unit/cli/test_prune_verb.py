"""`bench results prune`: which runs lose their raw data."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from bench.analyse import kept
from bench.campaign import archive, past
from bench.results.folder import RunFolder
from bench.results.history import LAUNCHES, History
from tests.unit.cli.command_kit import GOLDEN, Command, command

__all__ = ["command"]


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(shutil.copytree(GOLDEN / "synthetic-run-2", tmp_path_factory.mktemp("reported") / "run"))
    RunFolder(folder).consolidate()
    for name in ("report.html", "summary.csv"):
        (folder / name).write_text("as it was")
    return folder


@pytest.fixture(scope="module")
def kept_of(reported: Path) -> pa.Table:
    return past.rows(RunFolder(reported))


@pytest.fixture
def runs(command: Command, reported: Path, kept_of: pa.Table) -> Command:
    """Five runs of one plan, a day after another, all reported and in the history."""
    for number in range(5):
        name, started = f"n{number}", datetime(2025, 1, 1 + number, 9, tzinfo=UTC)
        folder = Path(shutil.copytree(reported, command.results / name))
        record = json.loads((folder / "run.json").read_text()) | {"id": name, "started": started.isoformat()}
        (folder / "run.json").write_text(json.dumps(record))
        own = {
            "key": kept.key(RunFolder(folder).record()), "run": name, "folder": str(folder), "started": started
        }  # fmt: skip
        table = kept_of
        for column, value in own.items():
            field = LAUNCHES.field(column)
            values = pa.repeat(pa.scalar(value, field.type), table.num_rows)
            table = table.set_column(table.schema.get_field_index(column), field, values)
        History(command.results / "history").add(table)
    return command


def raw(command: Command) -> list[str]:
    return sorted(file.parent.name for file in command.results.glob("*/measurements.parquet"))


def test_old_raw_data_go_and_figures_stay(runs: Command) -> None:
    done = runs("results", "prune", "--older-than", "30d", "--dry-run", "--json").answer
    assert ([one["name"] for one in done["pruned"]], done["dry_run"]) == ([f"n{n}" for n in range(5)], True)
    assert len(raw(runs)) == 5
    runs("results", "tag", "n2", "release")
    assert runs("results", "prune", "--older-than", "30d").status == 0
    assert raw(runs) == ["n2"]
    listed = {one["name"]: one for one in runs("results", "list", "--json").answer}
    assert all(one["kept"] for one in listed.values())
    assert bool(listed["n0"]["pruned"]) > bool(listed["n2"]["pruned"])
    assert "pruned" in runs("results", "list").stdout
    assert runs("results", "show", "n0").status == 0
    assert runs("compare", "n0", "n1").status in (0, 1, 2)
    assert runs("results", "prune", "--older-than", "30d", "--json").answer["pruned"] == []
    refused = runs("report", runs.results / "n0")
    assert (refused.status, "pruned on" in refused.stderr) == (2, True)
    assert "nothing can be computed" in runs("results", "add", runs.results / "n0").stderr


def test_nothing_is_pruned_that_the_history_does_not_know(runs: Command) -> None:
    for file in (runs.results / "history" / "launches").rglob("*n3*.parquet"):
        file.unlink()
    runs("results", "prune", "--older-than", "30d")
    assert raw(runs) == ["n3"]


def test_the_newest_of_a_plan_and_the_spared_keep_theirs(runs: Command) -> None:
    history = History(runs.results / "history")
    every = archive.entries(history, runs.results)
    assert [one.name for one in every] == [f"n{n}" for n in range(5)]
    found = archive.prunable(history, runs.results, plan=every[0].plan, newest=2, spared={every[1].key})
    assert [one.name for one in found] == ["n0", "n2"]
    assert archive.prunable(history, runs.results, plan="another", newest=2) == []


def test_runs_elsewhere_are_somebody_elses(runs: Command, tmp_path: Path) -> None:
    (runs.results / "n1").rename(tmp_path / "n1")
    (runs.results / "n1").symlink_to(tmp_path / "n1")
    runs("results", "prune", "--older-than", "30d")
    assert (tmp_path / "n1" / "measurements.parquet").is_file()


def test_a_mistake_has_words(runs: Command) -> None:
    done = runs("results", "prune", "--older-than", "soon")
    assert (done.status, "30d" in done.stderr or "90d" in done.stderr) == (2, True)
