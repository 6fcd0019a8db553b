"""Files of JSON lines that are appended to while something is measured."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from bench.errors import CorruptData, HostFull, UsageError
from bench.files import is_full, read_bounded, reason
from bench.records import Record
from bench.results import migrate

LONGEST = 2**20
"""Bytes of a usual line, at most."""


def append(path: Path, values: Mapping[str, Any], longest: int = LONGEST) -> None:
    """Add a line of JSON, whole or not at all: what a full disk took of it is removed, and so is the part of a line
    that an earlier process left when it was killed, which is searched for in the last `longest` bytes. Raises
    OSError."""
    with path.open("a+b", buffering=0) as file:
        end = os.fstat(file.fileno()).st_size
        last = os.pread(file.fileno(), longest, max(0, end - longest))
        whole = end - (len(last) - (last.rfind(b"\n") + 1)) if b"\n" in last or end < longest else end
        file.truncate(whole)
        rest = memoryview(json.dumps(values).encode() + b"\n")
        try:
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        except OSError:
            file.truncate(whole)
            raise


R = TypeVar("R", bound=Record)


class Lines(Generic[R]):
    """A file of a run's folder, which may have none, with a record a line, each of which has its `schema_version`.
    `fix` says what to do with a line that is damaged; the file has at most `most` bytes, a line `longest`."""

    def __init__(self, path: Path, kind: type[R], fix: str, most: int = 2**28, longest: int = LONGEST) -> None:
        self.path = path
        self._kind, self._fix, self._most, self._longest = kind, fix, most, longest

    def append(self, record: R) -> None:
        """Raises HostFull, UsageError."""
        try:
            append(self.path, record.model_dump(mode="json"), self._longest)
        except OSError as error:
            if is_full(error):
                raise HostFull.at(str(self.path)) from error
            raise UsageError(
                f"nothing can be kept in {self.path}: {reason(error)}", "The run's folder must be writable."
            ) from error

    def read(self) -> tuple[R, ...]:
        """In the order in which they were added. Raises CorruptData for what is damaged or newer."""
        try:
            *lines, rest = read_bounded(self.path, self._most).split(b"\n")
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise CorruptData(f"{self.path} cannot be read: {reason(error)}", self._fix) from error
        del rest  # empty, or what a process that was killed had begun to write
        found = []
        for number, line in enumerate(lines, 1):
            try:
                read = json.loads(line)
                migrate.check(read["schema_version"], self.path)
                found.append(self._kind.model_validate(read))
            except (ValidationError, ValueError, LookupError, TypeError, RecursionError) as error:
                raise CorruptData(f"{self.path}:{number}: {reason(error)}", self._fix) from error
        return tuple(found)
