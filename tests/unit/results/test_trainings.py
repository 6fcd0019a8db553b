"""Trainings as they are kept in a run's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bench.errors import CorruptData
from bench.learnt import TrainingRecord
from bench.results.trainings import NAME, trainings
from tests.unit.learnt_kit import failed, learnt


def test_trainings_come_back_as_they_were_stored(tmp_path: Path) -> None:
    stored = (learnt(1024, 930), failed(2048, "no memory"))
    for one in stored:
        trainings(tmp_path).append(one)
    assert trainings(tmp_path).read() == stored


@pytest.mark.parametrize(
    "line", ["{}", "[]", "nonsense", '{"schema_version": 99}', '{"schema_version": 5}', "[" * 9999]
)
def test_a_damaged_or_newer_line_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / NAME).write_text(f"{line}\n")
    with pytest.raises(CorruptData, match=NAME):
        trainings(tmp_path).read()


@pytest.mark.parametrize(
    "change",
    [
        {"trained": {"right": 1001}}, {"trained": {"condition": float("nan")}}, {"trained": {"seconds": -1}},
        {"trained": None}, {"status": "failed"}, {"desktop": {"right": 3, "of": 2}}, {"neurons": 0}, {"alphas": []},
    ],
)  # fmt: skip
def test_what_no_training_can_be_is_refused(change: dict[str, Any]) -> None:
    stored = learnt(1024, 930).model_dump()
    for name, value in change.items():
        stored[name] = stored[name] | value if isinstance(value, dict) and stored[name] else value
    with pytest.raises(ValidationError):
        TrainingRecord.model_validate(stored)
