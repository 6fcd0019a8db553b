"""Trainings on a machine: a line of JSON each, in the folder of their run."""

from __future__ import annotations

from pathlib import Path

from bench.learnt import TrainingRecord
from bench.results.lines import Lines

NAME = "trainings.jsonl"
_FIX = "Remove that line: the other trainings do not need it."


def trainings(folder: Path) -> Lines[TrainingRecord]:
    """Those of a run's folder, in the order in which they ended."""
    return Lines(folder / NAME, TrainingRecord, _FIX)
