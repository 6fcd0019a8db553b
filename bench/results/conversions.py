"""What was found of networks and runtimes, over all runs: one line of JSON for each cell, in one bounded file.

A line is written at once by one call, so that two writers at once lose nothing; a file that has grown too large is
replaced by its newer half. Lines that are none are passed over.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from filelock import FileLock
from pydantic import ValidationError

from bench.conversion import Cell
from bench.errors import UsageError
from bench.files import read_bounded, reason, replace

NAME = "conversions.jsonl"
MOST_BYTES = 4 * 2**20
_READABLE = 4 * MOST_BYTES


class Conversions:
    """The file in the folder of a history, which need not exist: then it is empty."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME

    def add(self, cells: Iterable[Cell]) -> None:
        """Raises UsageError where nothing can be written."""
        lines = "".join(f"{cell.model_dump_json()}\n" for cell in cells).encode()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self.path}.lock"):
                place = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
                try:
                    os.write(place, lines)
                    size = os.fstat(place).st_size
                finally:
                    os.close(place)
                if size > MOST_BYTES:
                    replace(self.path, _newer_half(self.path.read_bytes()))
        except OSError as error:
            raise UsageError(
                f"nothing can be kept in {self.path}: {reason(error)}",
                "Name a folder that you can write to: --history DIR.",
            ) from error

    def cells(self) -> tuple[Cell, ...]:
        """The oldest first. Raises UsageError for a file that cannot be read."""
        try:
            lines = read_bounded(self.path, _READABLE).splitlines()
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise UsageError(f"{self.path} cannot be read: {reason(error)}", "Delete it: it is made anew.") from error
        found = []
        for line in lines:
            try:
                found.append(Cell.model_validate_json(line))
            except ValidationError:
                continue
        return tuple(found)

    def latest(self, key: str) -> dict[str, Cell]:
        """What was found last of the network with that key, by runtime."""
        return {cell.runtime: cell for cell in self.cells() if cell.key == key}


def _newer_half(content: bytes) -> bytes:
    return content[content.index(b"\n", len(content) // 2) + 1 :]
