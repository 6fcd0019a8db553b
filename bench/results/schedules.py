"""Launches that served several networks at once: a line of JSON each, in the folder of the run that they were chosen
from."""

from __future__ import annotations

from pathlib import Path

from bench.results.lines import Lines
from bench.scheduled import Launch

NAME = "schedules.jsonl"
_LONGEST = 2**26
"""Bytes of a line: a figure for every request."""
_FIX = "Remove that line, or the file: the run itself does not need it."


def schedules(folder: Path) -> Lines[Launch]:
    """Those of a run's folder, in the order in which they ended."""
    return Lines(folder / NAME, Launch, _FIX, longest=_LONGEST)
