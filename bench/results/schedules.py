"""Launches that served several networks at once: a line of JSON each, in the folder of the run that they were chosen
from."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from bench.errors import CorruptData, HostFull, UsageError
from bench.files import is_full, read_bounded, reason
from bench.results import migrate
from bench.results.lines import append
from bench.scheduled import Launch

NAME = "schedules.jsonl"
_MOST_BYTES = 2**28
_LONGEST = 2**26
"""Bytes of a line: a figure for every request."""


class Schedules:
    """Those of a run's folder, which may have none."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME

    def append(self, launch: Launch) -> None:
        """Raises HostFull, UsageError."""
        try:
            append(self.path, launch.model_dump(mode="json"), _LONGEST)
        except OSError as error:
            if is_full(error):
                raise HostFull.at(str(self.path)) from error
            raise UsageError(
                f"nothing can be kept in {self.path}: {reason(error)}", "The run's folder must be writable."
            ) from error

    def launches(self) -> tuple[Launch, ...]:
        """In the order in which they ended. Raises CorruptData for what is damaged or newer."""
        try:
            *lines, rest = read_bounded(self.path, _MOST_BYTES).split(b"\n")
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise CorruptData(f"{self.path} cannot be read: {reason(error)}", _FIX) from error
        del rest  # empty, or what a process that was killed had begun to write
        found = []
        for number, line in enumerate(lines, 1):
            try:
                read = json.loads(line)
                migrate.check(read["schema_version"], self.path)
                found.append(Launch.model_validate(read))
            except (ValidationError, ValueError, LookupError, TypeError, RecursionError) as error:
                raise CorruptData(f"{self.path}:{number}: {reason(error)}", _FIX) from error
        return tuple(found)


_FIX = "Remove that line, or the file: the run itself does not need it."
