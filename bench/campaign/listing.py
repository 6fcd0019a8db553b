"""The ordinary files below a folder of a phone, whatever their names are.

A name is bytes without a zero and a slash: line ends, tabs and what is no UTF-8 are in some. So a phone is asked for
names that end with a zero, and writes them in hexadecimal, which no terminal or decoder on the way changes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from bench.devices.transport import Transport, quoted
from bench.devices.words import clean
from bench.errors import DeviceRefused, UsageError
from bench.records import Progress
from bench.text import visible

PATH_BYTES = 1_024
"""Of a path: adb takes no longer one."""
_MOST = 20_000
"""Files of a folder that are considered."""
_DEEP = 8
_AT_ONCE, _ASKED_BYTES = 24, 3_000
"""Files, and bytes of a command line, that one question is about: the oldest adb daemons take 4,096 bytes."""
_LATEST = 1 << 40
"""Seconds since 1970 that a file's time may be."""


class File(NamedTuple):
    """`path` may have bytes that are no UTF-8, as lone surrogates (`os.fsdecode`); `size` in bytes and `time`, seconds
    since 1970, are as the phone says."""

    path: str
    size: int
    time: int


class Passed(NamedTuple):
    """A file that is not asked for, and why; `limit` where another call may reach it."""

    path: str
    why: str
    limit: bool = False


def shown(path: str) -> str:
    """A path fit to be shown: what cannot be seen of it as an escape (`\\n`)."""
    return clean(visible(path))


def files(transport: Transport, source: str, progress: Progress) -> tuple[list[File], list[Passed]]:
    """The files below the folder `source`, the newest first, and what of it is not asked for.

    Raises UsageError for what is not a folder, DeviceRefused, and what the transport raises.
    """
    base = source.rstrip("/") + "/"
    there = transport.run(["sh", "-c", 'test -d "$0" && test -r "$0"', base], deadline_s=30)
    if there.status:
        raise UsageError(
            f"{shown(source)} is not a folder that can be read on {transport.serial}",
            f"List what there is: adb -s {transport.serial} shell ls {shown(str(PurePosixPath(source).parent))}",
        )
    paths, passed = [], []
    for path in _names(transport, base):
        if why := _unfit(path, base):
            passed.append(Passed(path, why))
        else:
            paths.append(path)
    chosen = sorted(set(paths))[:_MOST]
    if len(paths) > _MOST:
        passed.append(Passed(source, f"{len(paths) - _MOST:,} files beyond the first {_MOST:,}", limit=True))
    found, done = [], 0
    for some in _questions(chosen):
        progress(0.0, f"asks for {done:,} of {len(chosen):,} files")
        done += len(some)
        for path, facts in zip(some, _facts(transport, some), strict=True):
            if facts:
                found.append(File(path, *facts))
            else:
                passed.append(Passed(path, "the phone does not say how large it is"))
    return sorted(found, key=lambda file: (-file.time, file.path)), passed


def _names(transport: Transport, base: str) -> list[str]:
    search = ["-maxdepth", str(_DEEP), "-type", "f"]
    script = 'find "$@" -print0 2>/dev/null | od -A n -v -t x1'
    told = transport.run(["sh", "-c", script, "sh", base, *search], deadline_s=300)
    try:
        names = bytes.fromhex(told.stdout)
    except ValueError:
        names = b""
    if names:
        return [os.fsdecode(name) for name in names.split(b"\0") if name]
    # There are none, or it may not be read, or the phone lacks these tools and says names as lines, each of one alone.
    found = transport.run(["find", base, *search], deadline_s=300)
    if found.status and not found.stdout:
        raise DeviceRefused(
            f"{transport.serial} cannot list {shown(base)}: {clean(found.stderr) or f'find left {found.status}'}",
            "Name a folder that adb may read, e.g. one below /sdcard.",
        )
    return found.stdout.splitlines()


def _unfit(path: str, base: str) -> str:
    """Why a path that a phone lists is not asked for; empty where it is."""
    if not path.startswith(base) or ".." in path.split("/"):
        return "it is not below the folder"
    if len(os.fsencode(path)) > PATH_BYTES:
        return f"its path has more than {PATH_BYTES:,} bytes"
    if "\ufffd" in path:
        return "the phone cannot say its name"
    if any(part.startswith(".") for part in path[len(base) :].split("/")):
        return "it is hidden (thumbnails, the trash)"
    return ""


def _questions(paths: Sequence[str]) -> Iterator[list[str]]:
    """The paths in parts that fit a command line."""
    some: list[str] = []
    room = _ASKED_BYTES
    for path in paths:
        needed = len(os.fsencode(quoted([path]))) + 1
        if some and (needed > room or len(some) == _AT_ONCE):
            yield some
            some, room = [], _ASKED_BYTES
        some.append(path)
        room -= needed
    if some:
        yield some


def _facts(transport: Transport, paths: Sequence[str]) -> list[tuple[int, int] | None]:
    """Size and time of each, None where the phone does not say. Rows bear no names, which could hold anything: they
    are told by their order, and where one is missing, each file is asked for by itself."""
    told = transport.run(["stat", "-c", "%s %Y", *paths], deadline_s=60)
    rows = [
        re.fullmatch(r"(\d{1,18}) (-?\d{1,18})(?:\.\d+)?", line.strip(), re.ASCII) for line in told.stdout.splitlines()
    ]
    if len(rows) == len(paths) and all(rows):
        return [(int(row[1]), min(max(int(row[2]), 0), _LATEST)) for row in rows if row]
    if len(paths) == 1:
        return [None]
    return [facts for path in paths for facts in _facts(transport, [path])]
