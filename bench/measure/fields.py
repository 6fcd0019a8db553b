"""The fields of one event, of which nothing is believed before it was looked at: it comes from a device."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bench.errors import RunnerFailed

LARGEST = 2**53
"""Whole numbers up to this one are the same as floats; in nanoseconds it is 104 days, in bytes 8 PiB."""
LONGEST_TEXT = 300
REBUILD = "The runner on the device is another version; run `bench clean`, then the same command."


def event_of(line: str) -> dict[str, Any]:
    """The event on a line. Raises RunnerFailed."""
    try:
        event = json.loads(line)
        if isinstance(event["event"], str):
            return dict(event)
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise RunnerFailed(f"the runner printed a line that is not an event: {words(line, 120)!r}", REBUILD)


def whole(event: Mapping[str, Any], key: str, least: int = 0) -> int:
    """A whole number of an event, at least `least`. Raises RunnerFailed."""
    value = event.get(key)
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= LARGEST:
        return value
    raise RunnerFailed(f"the runner's {event['event']!r} event has no usable whole number {key!r}", REBUILD)


def words(value: object, most: int = LONGEST_TEXT) -> str:
    """A device's words: bounded, and with nothing in them that a terminal or a file would not take."""
    text = str(value) if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:most])
