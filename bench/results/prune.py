"""Raw data of old runs removed: samples and answers go; record, trials, summary and report stay.

A mark, `pruned.json`, is written first. From then on nobody computes anything from the rest (`RunFolder` refuses), and
a removal that was cut off goes on the next time.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from bench.errors import CorruptData, UsageError
from bench.files import read_bounded, reason, replace
from bench.records import SCHEMA_VERSION

MARK = "pruned.json"
RAW = ("parts", "answers", "layers", "measurements.parquet")
"""What goes. `again/` beside them holds runs of the same night, of which the same goes."""
STAYS = ("run.json", "trials.jsonl", "summary.csv", "report.html")
"""What must be there before anything goes."""
_MOST_BYTES = 2**16


def pruned(path: Path) -> str:
    """When the raw data of a run's folder were pruned (ISO 8601, UTC); empty if they were not. Raises CorruptData."""
    mark = path / MARK
    try:
        return str(json.loads(read_bounded(mark, _MOST_BYTES))["when"])
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise CorruptData(
            f"{mark} cannot be read: {reason(error)}", "It says that raw data are gone; see it."
        ) from error


def raw_bytes(path: Path) -> int:
    """How much raw data a run's folder holds."""
    return sum(
        file.lstat().st_size
        for one in _raw(path)
        for file in ([one] if one.is_symlink() or one.is_file() else one.rglob("*"))
        if file.is_symlink() or file.is_file()
    )


def prune(path: Path, when: str) -> int:
    """Remove the raw data of a run's folder, and say so in its mark; returns the bytes that went. Links are removed,
    never followed.

    Raises UsageError where that is not allowed, or where what should stay is not there.
    """
    if absent := [name for name in STAYS if not (path / name).is_file()]:
        raise UsageError(f"{path} has no {absent[0]}, so its raw data stay", f"Make it: bench report {path}")
    size = raw_bytes(path)
    try:
        if not (path / MARK).exists():
            _mark(path, when, size)
        for one in _raw(path):
            if one.is_dir() and not one.is_symlink():
                shutil.rmtree(one)
            else:
                one.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(
            f"raw data of {path} cannot be removed: {reason(error)}", "Look at its permissions."
        ) from error
    return size


def _raw(path: Path) -> Iterator[Path]:
    """The raw data there are, those of the run last that is not a part of another."""
    folders = [] if (path / "again").is_symlink() else sorted(one.parent for one in path.glob("again/*/run.json"))
    for folder in (*(one for one in folders if not one.is_symlink()), path):
        yield from (folder / name for name in RAW if os.path.lexists(folder / name))


def _mark(path: Path, when: str, size: int) -> None:
    """Marks are on the disk before anything goes: a computer that loses power then loses no more than it says."""
    again = [one.parent for one in path.glob("again/*/run.json")]
    for folder in (path, *again):
        content = {"schema_version": SCHEMA_VERSION, "when": when, "gone": list(RAW), "bytes": size}
        replace(folder / MARK, (json.dumps(content, indent=1) + "\n").encode())
        for one in (folder / MARK, folder):
            handle = os.open(one, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
