"""Files of JSON lines that are appended to while something is measured."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
