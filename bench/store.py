"""The folder of a run: appended to while it is measured, read back by every later question.

The format is documented in results/README.md.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import structlog
from pydantic import ValidationError

from bench.errors import CorruptData
from bench.records import SCHEMA_VERSION, Device, Measurement, RunRecord, Sample

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = pa.schema(
    [
        ("trial", pa.string()), ("model", pa.string()), ("variant", pa.string()), ("device", pa.string()),
        ("runtime", pa.string()), ("pass", pa.string()), ("threads", pa.int32()), ("precision", pa.string()),
        ("launch", pa.int32()), ("order", pa.int32()), ("virtual", pa.bool_()), ("translated", pa.bool_()),
        ("status", pa.string()), ("reason", pa.string()), ("metric", pa.string()), ("index", pa.int32()),
        ("value", pa.float64()),
    ],
    metadata={"bench_schema": str(SCHEMA_VERSION)},
)  # fmt: skip
"""Of measurements.parquet and its parts: one row per sample, `value` in the metric's unit."""


class RunFolder:
    """One run on disk. `path` is results/<date>-<name>/."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, results: Path, name: str, started: datetime) -> RunFolder:
        """A new folder; a number is added to the name when it is taken."""
        base = f"{started:%Y-%m-%d}-{name}"
        for suffix in ("", *(f"-{n}" for n in range(2, 10_000))):
            path = results / f"{base}{suffix}"
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                continue
            (path / "parts").mkdir()
            return cls(path)
        raise CorruptData(f"{results} holds 9,999 runs named {base}", "Move old runs away.")

    @classmethod
    def latest(cls, results: Path) -> RunFolder:
        """The newest run in a results folder. Raises CorruptData when there is none."""
        runs = sorted(results.glob("*/run.json"), key=lambda f: f.stat().st_mtime)
        if not runs:
            raise CorruptData(f"there is no run in {results}", "Make one: bench run --suite quick.")
        return cls(runs[-1].parent)

    def write_record(self, record: RunRecord) -> None:
        """Replace run.json in one step."""
        _replace(self.path / "run.json", record.model_dump_json(indent=1))

    def append(self, measurement: Measurement, device: Device) -> None:
        """Store one finished trial: first its samples, then its line in trials.jsonl, which makes it count."""
        table = _table(measurement, device)
        part = self.path / "parts" / f"{measurement.trial.order:04d}.parquet"
        draft = part.with_suffix(".draft")
        pq.write_table(table, draft)
        draft.rename(part)
        with (self.path / "trials.jsonl").open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"schema_version": SCHEMA_VERSION} | _header(measurement)) + "\n")
            lines.flush()
            os.fsync(lines.fileno())

    def consolidate(self) -> pd.DataFrame:
        """All parts as one table, also written to measurements.parquet."""
        parts = sorted((self.path / "parts").glob("*.parquet"))
        tables = [_read_table(part) for part in parts]
        table = pa.concat_tables(tables) if tables else COLUMNS.empty_table()
        target = self.path / "measurements.parquet"
        draft = target.with_suffix(".draft")
        pq.write_table(table.replace_schema_metadata(COLUMNS.metadata), draft, compression="zstd")
        draft.rename(target)
        frame: pd.DataFrame = table.to_pandas()
        return frame

    def record(self) -> RunRecord:
        """run.json. Raises CorruptData."""
        path = self.path / "run.json"
        try:
            return RunRecord.model_validate_json(path.read_text(encoding="utf-8"))
        except (OSError, ValidationError, ValueError) as error:
            raise CorruptData(f"{path} is not the record of a run: {_first_line(error)}", _RUNS) from error

    def measurements(self) -> tuple[Measurement, ...]:
        """Every finished trial, without its samples, in the order in which they ended. Raises CorruptData."""
        path = self.path / "trials.jsonl"
        found = []
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        for number, line in enumerate(lines, 1):
            try:
                values = json.loads(line)
                values.pop("schema_version")
                found.append(Measurement.model_validate(values))
            except (ValueError, KeyError) as error:
                if number == len(lines):
                    break  # The process was killed while it wrote its last line.
                raise CorruptData(f"{path}:{number}: {_first_line(error)}", _RUNS) from error
        return tuple(found)

    @contextlib.contextmanager
    def log(self) -> Iterator[Any]:
        """A structlog logger that writes JSON lines to log.jsonl."""
        with (self.path / "log.jsonl").open("a", encoding="utf-8", buffering=1) as lines:
            yield structlog.wrap_logger(
                structlog.WriteLogger(lines),
                processors=[
                    structlog.processors.TimeStamper(fmt="iso", utc=True),
                    structlog.processors.add_log_level,
                    structlog.processors.JSONRenderer(),
                ],
                schema_version=SCHEMA_VERSION,
            )


_RUNS = "Name a folder that `bench run` wrote, e.g. results/2026-11-21-quick."


def now() -> str:
    """The time as it is stored: ISO 8601, UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _header(measurement: Measurement) -> dict[str, Any]:
    return measurement.model_dump(mode="json", exclude={"samples"})


def _table(measurement: Measurement, device: Device) -> pa.Table:
    """The samples of a trial as rows of COLUMNS; a trial without samples is one row with an empty metric."""
    trial = measurement.trial
    same = {
        "trial": trial.id, "model": trial.model, "variant": trial.variant, "device": trial.device,
        "runtime": trial.runtime, "pass": trial.pass_, "threads": trial.threads, "precision": trial.precision,
        "launch": trial.launch, "order": trial.order, "virtual": device.virtual, "translated": device.translated,
        "status": measurement.status, "reason": measurement.reason,
    }  # fmt: skip
    samples = measurement.samples or (Sample("", 0, float("nan")),)
    metric, index, value = zip(*samples, strict=True)
    own = {"metric": metric, "index": index, "value": value}
    columns = [
        pa.array(own[field.name], field.type)
        if field.name in own
        else pa.repeat(pa.scalar(same[field.name], field.type), len(samples))
        for field in COLUMNS
    ]
    return pa.Table.from_arrays(columns, schema=COLUMNS)


def _read_table(path: Path) -> pa.Table:
    """A Parquet file of ours. Raises CorruptData when it is damaged or of another schema."""
    try:
        with pq.ParquetFile(path) as file:
            table = file.read()
    except (OSError, pa.ArrowException) as error:
        raise CorruptData(f"{path} cannot be read: {_first_line(error)}", "Delete it, or restore it.") from error
    found = (table.schema.metadata or {}).get(b"bench_schema", b"none").decode()
    if found != str(SCHEMA_VERSION) or not table.schema.equals(COLUMNS):
        raise CorruptData(
            f"{path} has schema {found}, this bench reads {SCHEMA_VERSION}", "Read it with the bench that wrote it."
        )
    return table


def _first_line(error: Exception) -> str:
    return re.split(r"\n", str(error), maxsplit=1)[0]


def _replace(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(text + "\n", encoding="utf-8")
    draft.rename(path)
