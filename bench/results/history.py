"""The history: what every finished run found per launch, in one folder that later questions read.

    DIR/history.json                                       the version of the format
    DIR/launches/device=NAME/month=2026-11/RUN.parquet     one file a run and device, immutable
    DIR/tags/TAG/RUN                                       an empty file for each run that has the tag

Each run writes files of its own, whole or not at all, and a tag is a file: two writers at once lose nothing, and no
lock is needed. The columns are documented in docs/history.md.

Format history
    1  first format (2026-11)
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.errors import CorruptData, UsageError
from bench.files import ordinary, read_bounded, reason, replace, replacing
from bench.results import bounds

VERSION = 1
NAME = "history"
"""Of the folder beside the folders of runs, where a run's history is kept unless another place is named."""

LAUNCHES = pa.schema(
    [
        ("key", pa.string()), ("run", pa.string()), ("name", pa.string()), ("started", pa.timestamp("ms", "UTC")),
        ("folder", pa.string()), ("bench_version", pa.string()), ("commit", pa.string()),
        ("device", pa.string()), ("device_name", pa.string()), ("os", pa.string()),
        ("virtual", pa.bool_()), ("translated", pa.bool_()),
        ("model", pa.string()), ("variant", pa.string()), ("ordinary", pa.bool_()), ("runtime", pa.string()),
        ("threads", pa.int32()), ("precision", pa.string()),
        ("inputs", pa.string()), ("artifact", pa.string()), ("program", pa.string()), ("samples", pa.string()),
        ("protocol", pa.string()), ("cores", pa.string()),
        ("metric", pa.string()), ("launch", pa.int32()), ("value", pa.float64()), ("low", pa.float64()),
        ("high", pa.float64()), ("iterations", pa.int64()), ("status", pa.string()), ("reason", pa.string()),
        ("unusable", pa.string()),
    ],
    metadata={"bench_history": str(VERSION)},
)  # fmt: skip
"""One row for each launch and metric; a score is one row, with its interval."""

_AT_ONCE = 64
"""Files that are read before rows are chosen of them."""
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_MOST_BYTES = 2**16
_AGAIN = "Delete it, and add its run again: bench results add RUN."


class History:
    """The history in one folder, which need not exist: then it is empty."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, table: pa.Table) -> None:
        """Keep the launches of one run, a table of LAUNCHES. A run that is kept already is replaced.

        Raises UsageError where nothing can be written, CorruptData where a newer bench keeps the history.
        """
        self.check()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if not (self.path / "history.json").exists():
                replace(self.path / "history.json", json.dumps({"schema_version": VERSION}).encode() + b"\n")
            for device in pc.unique(table["device"]).to_pylist():
                rows = table.filter(pc.equal(table["device"], device))
                path = self._place(device, rows["started"][0].as_py().strftime("%Y-%m"), rows["key"][0].as_py())
                path.parent.mkdir(parents=True, exist_ok=True)
                with replacing(path) as draft:
                    pq.write_table(rows.cast(LAUNCHES), draft, compression="zstd", write_statistics=False)
        except OSError as error:
            raise UsageError(
                f"nothing can be kept in the history {self.path}: {reason(error)}",
                "Name a folder that you can write to: --history DIR.",
            ) from error

    def launches(
        self, columns: Sequence[str] | None = None, *, since: str = "", **equal: str | Sequence[str] | None
    ) -> pa.Table:
        """The rows of LAUNCHES, of those columns alone, in which each column named by `equal` has that value or one of
        those values; None asks for nothing. `since` is a month, `2026-11`. In the order of the runs' start.

        Raises CorruptData for a damaged file, which it names, or a history of a newer bench.
        """
        self.check()
        wanted = {
            name: pa.array([v] if isinstance(v, str) else list(v), LAUNCHES.field(name).type)
            for name, v in equal.items()
            if v is not None
        }
        asked = list(dict.fromkeys((*(columns or LAUNCHES.names), "started", "key")))
        schema = pa.schema([LAUNCHES.field(name) for name in dict.fromkeys((*asked, *wanted))])
        files = list(self._files(wanted["device"].to_pylist() if "device" in wanted else None, since))
        found = [schema.empty_table().select(asked)]
        for first in range(0, len(files), _AT_ONCE):
            table = pa.concat_tables([_read(file, schema) for file in files[first : first + _AT_ONCE]])
            for name, values in wanted.items():
                table = table.filter(pc.is_in(table[name], values))
            found.append(table.select(asked))
        return pa.concat_tables(found).sort_by([("started", "ascending"), ("key", "ascending")])

    def tags(self) -> dict[str, tuple[str, ...]]:
        """The tags of each run that has any, by the run's key."""
        found: dict[str, list[str]] = {}
        for file in sorted((self.path / "tags").glob("*/*")):
            found.setdefault(file.name, []).append(file.parent.name)
        return {key: tuple(tags) for key, tags in found.items()}

    def tag(self, key: str, tag: str, *, remove: bool = False) -> None:
        """Give a run a tag, or take it away. Raises UsageError for what is not a tag, or a folder that is read-only."""
        if not _TAG.fullmatch(tag):
            raise UsageError(f"{tag[:60]!r} is not a tag", "Use letters, digits, '.', '_' and '-', at most 80.")
        file = self.path / "tags" / tag / key
        try:
            if remove:
                file.unlink(missing_ok=True)
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.touch()
        except OSError as error:
            raise UsageError(f"the tag {tag} cannot be changed: {reason(error)}", f"Look at {file.parent}.") from error

    def remove(self, key: str) -> None:
        """Forget a run and its tags. Raises UsageError where that is not allowed."""
        stem = _file_name(key)
        try:
            for file in (*self.path.glob(f"launches/*/*/{stem}.parquet"), *self.path.glob(f"tags/*/{key}")):
                file.unlink(missing_ok=True)
        except OSError as error:
            raise UsageError(f"{key} cannot be removed from {self.path}: {reason(error)}", "Look at it.") from error

    def _place(self, device: str, month: str, key: str) -> Path:
        return self.path / "launches" / f"device={_file_name(device)}" / f"month={month}" / f"{_file_name(key)}.parquet"

    def _files(self, devices: Sequence[str] | None, since: str) -> Iterator[Path]:
        folders = (
            self.path.glob("launches/device=*")
            if devices is None
            else (self.path / "launches" / f"device={_file_name(device)}" for device in devices)
        )
        for folder in sorted(folders):
            for month in sorted(folder.glob("month=*")):
                if month.name.removeprefix("month=") >= since:
                    yield from sorted(month.glob("*.parquet"))

    def check(self) -> None:
        """Raise CorruptData unless this bench reads the format."""
        path = self.path / "history.json"
        try:
            found = json.loads(read_bounded(path, _MOST_BYTES))["schema_version"]
        except (FileNotFoundError, NotADirectoryError):
            if (self.path / "launches").exists():
                raise CorruptData(f"{path} is missing, so the format of the history is unknown", _RESTORE) from None
            return
        except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
            raise CorruptData(f"{path} cannot be read: {reason(error)}", _RESTORE) from error
        if found != VERSION:
            raise CorruptData(
                f"{self.path} is a history of format {str(found)[:20]!r}; this bench reads {VERSION}",
                "Read it with the bench that wrote it, or a newer one.",
            )


def _read(file: Path, schema: pa.Schema) -> pa.Table:
    """The columns of one file that are in the schema. Raises CorruptData, which names the file."""
    try:
        ordinary(file)
        with pq.ParquetFile(file, pre_buffer=False) as one:  # of 10 kB: threads and buffers cost more than they save
            table = one.read(schema.names, use_threads=False)
        if not table.schema.equals(schema):
            raise ValueError("it lacks columns")
    except (OSError, pa.ArrowException, ValueError) as error:
        raise CorruptData(f"{file} is damaged: {reason(error)}", _AGAIN) from error
    for column in ("value", "low", "high"):
        if {column, "metric"} <= set(schema.names):
            bounds.check(table, file, column, optional=column != "value")
    return table


_RESTORE = 'Restore it from a copy, or write {"schema_version": 1} if bench 0.2 made the history.'


def key_of(identity: Mapping[str, Any], run_id: str) -> str:
    """The key of a run: its id, and a digest of what tells it from another one of the same name and second."""
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest()
    return f"{_safe(run_id)}-{digest[:8]}"


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).lstrip(".")[:80] or "_"


def _file_name(name: str) -> str:
    """A name as part of a path: itself where it may be one, else made unique by a hash."""
    safe = _safe(name)
    return safe if safe == name else f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
