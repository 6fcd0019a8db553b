"""Facts of devices and programs, nested as they were stored, as names and values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def flat(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each value under its whole name: `clocks.khz`. Of a list of facts each has its turn."""
    for key, value in facts.items():
        several = value if isinstance(value, list | tuple) else [value]
        if several and all(isinstance(one, Mapping) for one in several):
            for one in several:
                yield from flat(one, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
