"""Past runs as things on disk: listed, and deleted."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from bench.analyse import kept
from bench.campaign import past
from bench.errors import CorruptData, UnknownName, UsageError
from bench.files import reason
from bench.results import prune
from bench.results.folder import RunFolder
from bench.results.history import History


class Entry(NamedTuple):
    """A run: its folder's name, when it started (ISO 8601, UTC), and how much its folder holds (None: it is gone).

    `kept` says whether the history knows it; `key` is its name there. `damaged` says why its record cannot be read.
    """

    key: str
    name: str
    started: str
    folder: str
    devices: tuple[str, ...]
    virtual: bool
    tags: tuple[str, ...]
    commit: str
    kept: bool
    bytes: int | None
    damaged: str = ""
    pruned: str = ""
    """When its raw data were pruned."""
    plan: str = ""
    """The name of its plan."""


def entries(history: History, results: Path) -> list[Entry]:
    """Every run in `results` and in the history, the oldest first. Raises CorruptData for a damaged history."""
    tags = history.tags()
    found = {}
    for run in past.runs(history):
        folder = Path(run.folder)
        there = _bytes(folder) if (folder / "run.json").is_file() else None
        found[run.key] = Entry(
            run.key, folder.name, run.started, run.folder, run.devices, run.virtual, tags.get(run.key, ()), run.commit,
            kept=True, bytes=there, pruned=_pruned(folder), plan=run.name,
        )  # fmt: skip
    for file in sorted(results.glob("*/run.json")):
        one = _of_folder(file.parent)
        found.setdefault(one.key, one)
    return sorted(found.values(), key=lambda one: one.started)


def _of_folder(folder: Path) -> Entry:
    try:
        record = RunFolder(folder).record()
        started = datetime.fromisoformat(record.started).astimezone(UTC).isoformat(timespec="seconds")
    except (CorruptData, UsageError, ValueError) as error:
        why = error.what if isinstance(error, CorruptData | UsageError) else str(error)
        return Entry(str(folder), folder.name, "", str(folder), (), False, (), "", False, _bytes(folder), why)
    serials = tuple(device.serial for device in record.devices)
    virtual = any(device.virtual for device in record.devices)
    return Entry(
        kept.key(record), folder.name, started, str(folder.absolute()), serials, virtual, (), record.commit, False,
        _bytes(folder), pruned=_pruned(folder), plan=record.name,
    )  # fmt: skip


def keys(reference: str, history: History, results: Path) -> tuple[str, ...]:
    """The keys of the runs that a reference stands for. Raises UnknownName, CorruptData, and UsageError for a run that
    is not in the history."""
    side = past.side(reference, history, results)
    found = tuple(dict.fromkeys(side.table["key"].to_pylist()))
    known = {run.key for run in past.runs(history)}
    if missing := [key for key in found if key not in known]:
        raise UsageError(f"{missing[0]} is not in the history {history.path}", "Add it: bench results add FOLDER.")
    return found


def doomed(references: Sequence[str], days: int | None, history: History, results: Path) -> list[Entry]:
    """The runs that are named, and the untagged ones that are older than so many days. Raises UnknownName."""
    all_ = entries(history, results)
    chosen: dict[str, Entry] = {}
    for reference in references:
        path = Path(reference).absolute()
        mine = [
            one for one in all_ if reference in (one.key, one.name) or path == Path(one.folder) or reference in one.tags
        ]
        if not mine:
            raise UnknownName.of("run", reference, [one.name for one in all_])
        chosen |= {one.key: one for one in mine}
    if days is not None:
        limit = (datetime.now(UTC) - timedelta(days=days)).isoformat()
        chosen |= {one.key: one for one in all_ if one.started and one.started < limit and not one.tags}
    return list(chosen.values())


def delete(entry: Entry, history: History, *, folder_only: bool) -> None:
    """Delete a run's folder, if it still holds that run, and what the history has of it unless `folder_only`.

    Raises UsageError where that is not allowed.
    """
    folder = Path(entry.folder)
    try:
        if (folder / "run.json").is_file() and _of_folder(folder).key == entry.key and not folder.is_symlink():
            shutil.rmtree(folder)
    except OSError as error:
        raise UsageError(f"{folder} cannot be deleted: {reason(error)}", "Look at its permissions.") from error
    if not folder_only and entry.kept:
        history.remove(entry.key)


def prunable(
    history: History, results: Path, *, days: int | None = None, plan: str = "", newest: int = 0,
    spared: Collection[str] = (),
) -> list[Entry]:  # fmt: skip
    """Runs whose raw data may go, the oldest first: older than so many days, or of that plan and not among its newest
    so many. Never those that are tagged, `spared` by their key, unknown to the history, damaged, or elsewhere than in
    `results`: what is linked there belongs to somebody else. Raises CorruptData for a damaged history."""
    limit = (datetime.now(UTC) - timedelta(days=days)).isoformat() if days is not None else None
    mine = [one for one in entries(history, results) if not plan or one.plan == plan]
    if newest:
        mine = mine[:-newest]
    place = results.resolve()
    return [
        one
        for one in mine
        if one.kept and one.bytes and not one.damaged and not one.tags and one.key not in spared
        if limit is None or (one.started and one.started < limit)
        if (folder := Path(one.folder)).parent.resolve() == place and not folder.is_symlink()
        if _of_folder(folder).key == one.key and prune.raw_bytes(folder)
    ]


def _pruned(folder: Path) -> str:
    try:
        return prune.pruned(folder)
    except CorruptData as error:
        return error.what


def _bytes(folder: Path) -> int:
    return sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file())
