"""Past runs: kept in the history when they end, and found again by what people call them."""

from __future__ import annotations

import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from bench.analyse import kept, summaries
from bench.analyse.series import Series, series
from bench.errors import BenchError, UnknownName, UsageError
from bench.findings import Findings
from bench.records import METRICS, Answers, Subject
from bench.results.folder import RunFolder
from bench.results.history import NAME, History


def place(history: Path | None, results: Path) -> History:
    """The history that is asked for: a folder, else `history` beside the runs."""
    return History(history or results / NAME)


def rows(folder: RunFolder, findings: Findings | None = None, metrics: Collection[str] = METRICS) -> pa.Table:
    """What the history keeps of a run, or of these metrics of it; its findings, if they are at hand, save time.

    Raises UsageError, CorruptData for what is not a run.
    """
    record, frame = folder.record(), folder.settled(folder.frame())
    found = findings.summaries if findings else summaries(frame, record, folder.answers(), metrics)
    return kept.launches(record, frame, found, folder.path)


def keep(folder: RunFolder, history: History, findings: Findings | None = None) -> None:
    """Add a run to the history; one that is there is replaced. Raises UsageError, CorruptData."""
    table = rows(folder, findings)
    if not table.num_rows:
        raise UsageError(f"{folder.path} measured nothing that could be kept", "Its report says why.")
    history.add(table)


def commit(folder: Path) -> str:
    """The commit that the repository of a folder is at, with `+` for uncommitted changes; empty where there is none."""
    try:
        asked = ("git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+")
        found = subprocess.run(asked, cwd=folder, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.strip()[:80] if found.returncode == 0 else ""


class Side(NamedTuple):
    """One side of a comparison: as it was named, its rows of the history, and the variant and device it is limited
    to."""

    name: str
    table: pa.Table
    variant: str | None
    device: str | None

    def series(self, **equal: Sequence[str]) -> list[Series]:
        """Its series, where each column named has one of these values; an empty sequence asks for nothing."""
        table = self.table
        for name, values in equal.items():
            if values:
                table = table.filter(pc.is_in(table[name], pa.array(list(values), pa.string())))
        return list(series(table.to_pylist()))


def side(reference: str, history: History, results: Path, metrics: Collection[str] = METRICS) -> Side:
    """What a reference stands for: RUN, RUN:VARIANT, RUN@DEVICE or RUN:VARIANT@DEVICE. Of a run that the history does
    not know, only these metrics are computed.

    RUN is the folder of a run, its name in `results`, an id or key of the history, a tag, a commit (7 digits or more),
    or `last`, `last~1`, … for the newest but so many. Raises UnknownName, CorruptData.
    """
    unknown = None
    for name, variant, device in _readings(reference):
        table = _found(name, history, results, metrics)
        if table is None:
            continue
        for column, wanted in (("variant", variant), ("device", device)):
            values = pc.unique(table[column]).to_pylist()
            if wanted is not None and wanted not in values:
                unknown = unknown or UnknownName.of(f"{column} of {name}", wanted, values)
                break
            table = table if wanted is None else table.filter(pc.equal(table[column], wanted))
        else:
            return Side(reference, table, variant, device)
    known = _names(history, results)
    if not known:
        raise UnknownName(
            f"unknown run {reference!r}: there is none in {results}", "Make one: bench run --suite quick."
        )
    if unknown is None and (reference == "last" or reference.startswith("last~")):
        count = len(runs(history))
        raise UnknownName(
            f"there is no run {reference!r}: the history {history.path} has {count:,} run{'s' * (count != 1)}",
            f"Name a folder, or add it: bench results add {results / known[-1]}.",
        )
    raise unknown or UnknownName.of("run", reference, ["last", *known])


def whole(part: Side, history: History, results: Path) -> Side:
    """All variants of the run that a side is a part of."""
    if part.variant is None:
        return part
    run, _, rest = part.name.rpartition(f":{part.variant}")
    return side(run + rest, history, results)


def _readings(reference: str) -> Iterator[tuple[str, str | None, str | None]]:
    """How a reference may be read, as run, variant and device: names of all three may hold colons and @."""
    before, at, serial = reference.rpartition("@")
    texts: list[tuple[str, str | None]] = [(reference, None)]
    if at and before and serial:
        texts.insert(0, (before, serial))
    for text, device in texts:
        yield text, None, device
        parts = text.split(":")
        for n in range(1, len(parts)):
            run, variant = ":".join(parts[:n]), ":".join(parts[n:])
            if run and variant:
                yield run, variant, device


def _found(name: str, history: History, results: Path, metrics: Collection[str]) -> pa.Table | None:
    for path in (Path(name), results / name):
        if name and (path / "run.json").is_file():
            folder = RunFolder(path)
            stored = history.launches(key=kept.key(folder.record()))
            return stored if stored.num_rows else rows(folder, metrics=metrics)
    runs = _runs(history)
    if name == "last" or name.startswith("last~"):
        back = name.removeprefix("last").removeprefix("~") or "0"
        keys = list(runs)
        if back.isdecimal() and int(back) < len(keys):
            return history.launches(key=keys[-1 - int(back)])
        return None
    tags = history.tags()
    named = [key for key, run in runs.items() if name in (key, run.run, Path(run.folder).name)]
    tagged = [key for key in runs if name in tags.get(key, ())]
    is_hash = len(name) >= 7 and all(c in "0123456789abcdef" for c in name)
    of_commit = [key for key, run in runs.items() if is_hash and run.commit.startswith(name)]
    chosen = named[-1:] or tagged or of_commit
    return history.launches(key=chosen) if chosen else None


class Run(NamedTuple):
    """A run as the history knows it. `started` is ISO 8601 in UTC."""

    key: str
    run: str
    name: str
    started: str
    folder: str
    commit: str
    devices: tuple[str, ...]
    virtual: bool


def _runs(history: History) -> dict[str, Run]:
    return {run.key: run for run in runs(history)}


def runs(history: History) -> list[Run]:
    """The runs of a history, the oldest first. Raises CorruptData."""
    columns = ["key", "run", "name", "started", "folder", "commit", "device", "virtual"]
    table = history.launches(columns).group_by(columns, use_threads=False).aggregate([])
    found: dict[str, Run] = {}
    for row in table.to_pylist():
        before = found.get(row["key"])
        devices = (*(before.devices if before else ()), row["device"])
        found[row["key"]] = Run(
            row["key"], row["run"], row["name"], row["started"].isoformat(timespec="seconds"), row["folder"],
            row["commit"], tuple(dict.fromkeys(devices)), row["virtual"] or bool(before and before.virtual),
        )  # fmt: skip
    return list(found.values())


def _names(history: History, results: Path) -> list[str]:
    folders = [file.parent.name for file in results.glob("*/run.json")]
    return list(dict.fromkeys((*folders, *(run.run for run in runs(history)))))[-40:]


def answers_of(one: Series) -> Mapping[Subject, Answers]:
    """The answers of a series' run, by subject, as far as its folder is still there."""
    return _answers(one.folders[-1]) if len(one.folders) == 1 else {}


@cache
def _answers(folder: str) -> Mapping[Subject, Answers]:
    try:
        stored = RunFolder(Path(folder))
        answers = stored.answers()
        return {m.trial.subject: answers[m.trial.id] for m in stored.measurements() if m.trial.id in answers}
    except BenchError:
        return {}
