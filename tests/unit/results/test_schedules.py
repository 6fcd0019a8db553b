"""Launches that served several networks, as they are kept in a run's folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.errors import CorruptData, UsageError
from bench.results.schedules import NAME, schedules
from tests.unit.serving_kit import launches


def test_launches_come_back_as_they_were_stored(tmp_path: Path) -> None:
    stored = launches(rounds=2)
    for one in stored:
        schedules(tmp_path).append(one)
    assert schedules(tmp_path).read() == tuple(stored)


def test_a_run_that_was_never_scheduled_has_none(tmp_path: Path) -> None:
    assert schedules(tmp_path).read() == ()


def test_a_line_that_a_killed_process_left_is_passed_over_and_replaced(tmp_path: Path) -> None:
    one, two = launches(rounds=1)
    schedules(tmp_path).append(one)
    with (tmp_path / NAME).open("a") as file:
        file.write('{"schema_version": 5, "id"')
    assert schedules(tmp_path).read() == (one,)
    schedules(tmp_path).append(two)
    assert schedules(tmp_path).read() == (one, two)


@pytest.mark.parametrize(
    "line", ["{}", "[]", "nonsense", '{"schema_version": 99}', '{"schema_version": 5}', "[" * 9999]
)
def test_a_damaged_or_newer_line_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / NAME).write_text(f"{line}\n")
    with pytest.raises(CorruptData, match=NAME):
        schedules(tmp_path).read()


def test_figures_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    text = launches(rounds=1)[0].model_dump(mode="json")
    text["capacities"][0]["latency"] = float("nan")
    (tmp_path / NAME).write_text(json.dumps(text) + "\n")
    with pytest.raises(CorruptData, match=NAME):
        schedules(tmp_path).read()


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing can be kept in"):
        schedules(tmp_path / "gone").append(launches(rounds=1)[0])
