"""What a launch printed of the picture that it was given."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.errors import RunnerFailed
from bench.measure.fields import REBUILD, whole

_SHA256 = re.compile(r"[0-9a-f]{64}")
_MOST_PIXELS = 2**26


@dataclass(frozen=True)
class Picture:
    """The first picture of a launch: the SHA-256 of its file as it was read, and the shapes (H, W, C) of what it was
    decoded and resized to. `staged`: these were written down."""

    sha256: str
    pixels: tuple[int, int, int]
    resized: tuple[int, int, int]
    staged: bool


def picture(event: Mapping[str, Any]) -> Picture:
    """Of its event. Raises RunnerFailed."""
    sha256 = event.get("sha256")
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise RunnerFailed("the runner's 'picture' event has no SHA-256", REBUILD)
    return Picture(sha256, _shape(event, "pixels"), _shape(event, "resized"), "stages" in event)


def _shape(event: Mapping[str, Any], key: str) -> tuple[int, int, int]:
    listed = event.get(key)
    if isinstance(listed, list) and len(listed) == 3:
        height, width, channels = (whole({"event": "picture", key: one}, key, least=1) for one in listed)
        if channels in (1, 3) and math.prod((height, width)) <= _MOST_PIXELS:
            return height, width, channels
    raise RunnerFailed(f"the runner's 'picture' event has no shape {key!r}", REBUILD)
