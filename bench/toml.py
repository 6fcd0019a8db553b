"""TOML text that people wrote: its values, and the line where something in it stands."""

from __future__ import annotations

import re
import tomllib
from itertools import chain
from typing import Any

MAX_DEPTH = 32
"""Of tables and arrays in each other."""


def values(text: str) -> dict[str, Any]:
    """What the text says. Raises ValueError where it is not TOML or says what a record of a run could not hold, and
    RecursionError where it is nested too deeply to be read at all."""
    found = tomllib.loads(text)
    _check_plain(found)
    return found


def _check_plain(found: dict[str, Any]) -> None:
    """Raise ValueError for what TOML does not promise, and a record of the run could not hold."""
    level: list[Any] = [found]
    for _ in range(MAX_DEPTH):
        tables = [one.values() for one in level if isinstance(one, dict)]
        level = list(chain(*tables, *(one for one in level if isinstance(one, list))))
        if any(isinstance(one, int) and not -(2**63) <= one < 2**63 for one in level):
            raise ValueError("a number does not fit in 64 bits")
        if not level:
            return
    raise ValueError(f"tables and arrays are nested more than {MAX_DEPTH} deep")


def line_of(location: tuple[int | str, ...], text: str) -> int:
    """The line where a key stands, or the table that lacks it.

    tomllib keeps no positions; this walks the headers ([table], [[array]]) down to the key.
    """
    lines = text.splitlines()
    line, table, seen = 0, "", 0
    for part in location:
        if isinstance(part, int):
            headers = [i for i, t in enumerate(lines) if re.match(rf"\s*\[\[\s*{re.escape(table)}\s*\]\]", t)]
            line = headers[part] if part < len(headers) else line
            continue
        seen = line
        table = f"{table}.{part}" if table else part
        for i in range(seen, len(lines)):
            if i > seen and re.match(r"\s*\[\[", lines[i]) and seen:
                break
            if re.match(rf"\s*(\[+\s*{re.escape(table)}\s*\]+|[\"']?{re.escape(part)}[\"']?\s*=)", lines[i]):
                line = i
                break
    return line + 1
