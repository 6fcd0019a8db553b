"""The folder of a run: appended to while it is measured, read back by every later question.

The format is documented in results/README.md; older schemas are migrated while they are read.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.errors import CorruptData, UsageError
from bench.files import ordinary, read_bounded, reason, replace, replacing
from bench.layered import LayerRecord
from bench.records import SCHEMA_VERSION, Answers, Device, Measurement, RunRecord, Sample, Status, Task
from bench.results import bounds, layers, migrate, prune
from bench.results.lines import append

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

_MOST_BYTES = 2**30
"""Of run.json and trials.jsonl, which are read whole."""


class RunFolder:
    """One run on disk. `path` is results/<date>-<name>/."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, results: Path, name: str, started: datetime) -> RunFolder:
        """A new folder; a number is added to the name when it is taken. Raises UsageError when none can be made."""
        base = f"{started:%Y-%m-%d}-{name}"
        for suffix in ("", *(f"-{n}" for n in range(2, 10_000))):
            path = results / f"{base}{suffix}"
            try:
                path.mkdir(parents=True)
                (path / "parts").mkdir()
            except FileExistsError:
                continue
            except OSError as error:
                raise _no_place(results, error) from error
            return cls(path)
        raise CorruptData(f"{results} holds 9,999 runs named {base}", "Move old runs away.")

    @classmethod
    def latest(cls, results: Path) -> RunFolder:
        """The newest run in a results folder. Raises UsageError when there is none."""
        runs = sorted(results.glob("*/run.json"), key=lambda f: f.lstat().st_mtime)
        if not runs:
            raise UsageError(f"there is no run in {results}", "Make one: bench run --suite quick.")
        return cls(runs[-1].parent)

    def write_record(self, record: RunRecord) -> None:
        """Replace run.json in one step."""
        replace(self.path / "run.json", (record.model_dump_json(indent=1) + "\n").encode())

    def with_samples(self, measurement: Measurement) -> Measurement:
        """A stored trial with its figures again. Raises CorruptData."""
        path = self.path / "parts" / f"{measurement.trial.file_stem}.parquet"
        table = self._table(path)
        rows = table.select(["metric", "index", "value"]).to_pylist()
        samples = tuple(Sample(row["metric"], row["index"], row["value"]) for row in rows if row["metric"])
        return measurement.model_copy(update={"samples": samples})

    def append(
        self, measurement: Measurement, device: Device, answers: Answers | None = None,
        layered: Sequence[LayerRecord] = (),
    ) -> None:  # fmt: skip
        """Store one finished trial: its samples, what the network answered or its layers, then its line in
        trials.jsonl, which makes it count."""
        stem = measurement.trial.file_stem
        _write(_table(measurement, device), self.path / "parts" / f"{stem}.parquet")
        if answers is not None:
            _write(_answers_table(answers), self.path / "answers" / f"{stem}.parquet")
        if layered:
            _write(layers.table(layered, COLUMNS.metadata), self.path / "layers" / f"{stem}.parquet")
        append(self.path / "trials.jsonl", {"schema_version": SCHEMA_VERSION} | _header(measurement))

    def answers(self) -> dict[str, Answers]:
        """What each network answered in a trial of accuracy or drift, by the trial's id. Raises CorruptData, and
        UsageError where they were pruned."""
        self.refuse_pruned()
        found: dict[str, Answers] = {}
        for measurement in self.measurements():
            path = self.path / "answers" / f"{measurement.trial.file_stem}.parquet"
            if measurement.status != "failed" and path.exists():
                table = _read(path).to_pydict()
                found[measurement.trial.id] = {name: np.asarray(values) for name, values in table.items()}
        return found

    def layers(self, frame: pd.DataFrame) -> dict[str, tuple[LayerRecord, ...]]:
        """The layers of each launch that timed them, by the trial's id; `frame` are the samples of this run, with whose
        sums of layers they have to agree. Raises as `answers` does."""
        self.refuse_pruned()
        summed = frame[frame["metric"] == "layers"]
        totals: dict[str, float] = dict(zip(summed["trial"], summed["value"], strict=True))
        return {
            measurement.trial.id: layers.layers(_read(path), path, totals.get(measurement.trial.id))
            for measurement, path in self._layered()
            if path.exists()
        }

    def _layered(self) -> Iterator[tuple[Measurement, Path]]:
        """Each launch that timed layers, and where they are."""
        for measurement in self.measurements():
            if measurement.trial.pass_ == "profile" and measurement.status != "failed":
                yield measurement, self.path / "layers" / f"{measurement.trial.file_stem}.parquet"

    def missing(self, frame: pd.DataFrame, answers: Mapping[str, Answers]) -> tuple[str, ...]:
        """What is gone of a run that has these samples and answers, in sentences: a trial's line, samples and answers
        were stored together. Raises CorruptData."""
        ended = {m.trial.id for m in self.measurements()}
        sampled = set(frame["trial"])
        # Schema 1 stored scores as samples instead of answers.
        answering = frame["pass"].isin(("accuracy", "drift"))
        judged = frame["trial"][answering & (frame["metric"] == "") & (frame["status"] != "failed")]
        odd = _differing(frame, self.measurements())
        gone = (
            (
                odd.keys(),
                "trials.jsonl and the samples of {} tell differently how they went: the worse of both counts.",
            ),
            (sampled - ended, "trials.jsonl lacks {}: how they went and in which conditions is not known."),
            (ended - sampled, "The samples of {} are gone from parts/ and measurements.parquet."),
            (set(judged) - answers.keys(), "The answers of {} are gone, or count no more: their scores are not shown."),
            (
                {m.trial.id for m, path in self._layered() if not path.exists()},
                "The layers of {} are gone from layers/.",
            ),
        )
        return tuple(words.format(f"{len(t):,} trial{'s' * (len(t) > 1)}") for t, words in gone if t)

    def settled(self, frame: pd.DataFrame) -> pd.DataFrame:
        """These samples, where trials.jsonl tells of worse conditions with those: what is said in two places and
        differs has been altered, and the worse counts. Raises CorruptData."""
        worse = {trial: m for trial, m in _differing(frame, self.measurements()).items() if m is not None}
        if not worse:
            return frame
        found = frame.astype({"status": object, "reason": object})
        for trial, measurement in worse.items():
            rows = found["trial"] == trial
            found.loc[rows, "status"] = measurement.status
            found.loc[rows, "reason"] = measurement.reason or f"{measurement.status}, as trials.jsonl has it"
        return found

    def consolidate(self) -> pd.DataFrame:
        """All samples as one table, also written to measurements.parquet. Raises as `answers` does."""
        table = self._samples()
        _write(table.replace_schema_metadata(COLUMNS.metadata), self.path / "measurements.parquet", compression="zstd")
        frame: pd.DataFrame = table.to_pandas()
        return frame

    def frame(self) -> pd.DataFrame:
        """All samples as one table, words as categories, which are quick to group by; nothing is written. Raises as
        `answers` does."""
        frame: pd.DataFrame = self._samples().to_pandas(strings_to_categorical=True)
        return frame

    def _samples(self) -> pa.Table:
        """All samples in order: those of the parts, and where parts are missing, of the table that was made of them."""
        self.refuse_pruned()
        parts = sorted((self.path / "parts").glob("*.parquet"))
        if (known := self._consolidated(parts)) is not None:
            return known
        tables = [self._table(part) for part in parts]
        table = pa.concat_tables(tables) if tables else COLUMNS.empty_table()
        target = self.path / "measurements.parquet"
        if target.is_file():
            before = self._table(target)
            missing = set(before["trial"].unique().to_pylist()) - set(table["trial"].unique().to_pylist())
            if missing:
                rest = before.filter(pc.is_in(before["trial"], pa.array(sorted(missing))))
                table = pa.concat_tables([table, rest])
        return table.sort_by([("order", "ascending")])

    def _consolidated(self, parts: Sequence[Path]) -> pa.Table | None:
        """The table that was made of the parts, if it is newer than all of them and has as many trials: one file is
        read instead of hundreds."""
        target = self.path / "measurements.parquet"
        try:
            made = target.stat().st_mtime_ns
            if not parts or any(part.stat().st_mtime_ns > made for part in parts):
                return None
        except OSError:
            return None
        table = self._table(target)
        return table if len(table["trial"].unique()) == len(parts) else None

    def _table(self, path: Path) -> pa.Table:
        """The samples in one file, none of which is impossible. Raises CorruptData."""
        table = migrate.table(_read(path), path, COLUMNS, self._tasks)
        bounds.check(table, path)
        return table

    def refuse_pruned(self) -> None:
        """Raise UsageError where the samples of this run were removed."""
        if when := prune.pruned(self.path):
            raise UsageError(
                f"the raw data of {self.path} were pruned on {when[:10]}, so nothing can be computed from them again",
                "Its report.html and summary.csv are as they were; its figures are in the history: bench results show.",
            )

    def _tasks(self) -> dict[str, Task]:
        return {artifact.model: artifact.task for artifact in self.record().artifacts}

    def record(self) -> RunRecord:
        """run.json, migrated where it is older. Raises UsageError where there is none, CorruptData for one that is
        damaged or newer."""
        path = self.path / "run.json"
        try:
            return RunRecord.model_validate(migrate.record(json.loads(read_bounded(path, _MOST_BYTES)), path))
        except (FileNotFoundError, NotADirectoryError) as error:
            why = "it has no run.json" if self.path.is_dir() else "there is no such folder"
            raise UsageError(f"{self.path} is not the folder of a run: {why}", _RUNS) from error
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise CorruptData(f"{path} is not the record of a run: {reason(error)}", _RUNS) from error

    def measurements(self) -> tuple[Measurement, ...]:
        """Every finished trial, without its samples, in the order in which they ended. Raises CorruptData."""
        path = self.path / "trials.jsonl"
        try:
            *lines, rest = read_bounded(path, _MOST_BYTES).split(b"\n")
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise CorruptData(f"{path} cannot be read: {reason(error)}", _RUNS) from error
        if not rest.isascii():  # Else the process was killed while it wrote its last line, in ASCII as all of them.
            lines.append(rest)
        found = []
        for number, line in enumerate(lines, 1):
            try:
                found.append(Measurement.model_validate(migrate.trial(json.loads(line), path)))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                raise CorruptData(f"{path}:{number}: {reason(error)}", _RUNS) from error
        # A trial that a resumed run did again has two lines, of which the later counts, as its figures do.
        return tuple({m.trial.id: m for m in found}.values())

    @contextlib.contextmanager
    def log(self) -> Iterator[Any]:
        """A structlog logger that writes JSON lines to log.jsonl, from any thread."""
        import structlog  # a tenth of the start of every command, and wanted by runs alone

        with (self.path / "log.jsonl").open("a", encoding="utf-8", buffering=1) as lines:
            yield structlog.wrap_logger(
                _Lines(lines),
                processors=[
                    structlog.processors.TimeStamper(fmt="iso", utc=True),
                    structlog.processors.add_log_level,
                    structlog.processors.JSONRenderer(),
                ],
                schema_version=SCHEMA_VERSION,
            )


class _Lines:
    """What structlog hands finished lines to, from several threads: each is written whole."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._lock = threading.Lock()

    def info(self, line: str) -> None:
        with self._lock:
            self._file.write(line + "\n")

    warning = error = info


_RUNS = "Name a folder that `bench run` wrote, e.g. results/2026-11-21-quick."


def refuse_unwritable(results: Path) -> None:
    """Raise UsageError unless run folders can be made in `results`, which need not exist and is not made."""
    try:
        nearest = next(place for place in (results.absolute(), *results.absolute().parents) if place.exists())
        with tempfile.TemporaryDirectory(dir=nearest):
            pass
    except OSError as error:
        raise _no_place(results, error) from error


def _no_place(results: Path, error: OSError) -> UsageError:
    return UsageError(f"no run can be kept in {results}: {reason(error)}", "Name a folder that you can write to.")


def now() -> str:
    """The time as it is stored: ISO 8601, UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


_GRAVITY: tuple[Status, ...] = ("ok", "tagged", "failed")


def _differing(frame: pd.DataFrame, measurements: Sequence[Measurement]) -> dict[str, Measurement | None]:
    """The trials whose samples have another status than their line, by id; with the line where that is the worse."""
    lines = {m.trial.id: m for m in measurements}
    found: dict[str, Measurement | None] = {}
    for trial, status in frame[["trial", "status"]].drop_duplicates("trial").itertuples(index=False):
        line = lines.get(trial)
        if line is not None and line.status != status:
            is_worse = status not in _GRAVITY or _GRAVITY.index(line.status) > _GRAVITY.index(status)
            found[trial] = line if is_worse else None
    return found


def _header(measurement: Measurement) -> dict[str, Any]:
    return measurement.model_dump(mode="json", exclude={"samples"})


def _table(measurement: Measurement, device: Device) -> pa.Table:
    """The samples of a trial as rows of COLUMNS; a trial without samples is one row with an empty metric."""
    trial, subject = measurement.trial, measurement.trial.subject
    same = {
        "trial": trial.id, "model": subject.model, "variant": subject.variant, "device": subject.device,
        "runtime": subject.runtime, "pass": trial.pass_, "threads": subject.threads, "precision": subject.precision,
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


def _answers_table(answers: Answers) -> pa.Table:
    """A row a sample, a column a fact."""
    table = pa.table({name: np.asarray(values) for name, values in answers.items()})
    return table.replace_schema_metadata(COLUMNS.metadata)


def _write(table: pa.Table, path: Path, compression: str = "snappy") -> None:
    path.parent.mkdir(exist_ok=True)
    with replacing(path) as draft:
        pq.write_table(table, draft, compression=compression)


def _read(path: Path) -> pa.Table:
    """A Parquet file of ours. Raises CorruptData when it is damaged or of a newer schema."""
    try:
        ordinary(path)
        with pq.ParquetFile(path) as file:
            table = file.read()
        table.validate(full=True)  # text that is not UTF-8, lists that end before they begin
    except (OSError, pa.ArrowException) as error:
        raise CorruptData(f"{path} cannot be read: {reason(error)}", "Delete it, or restore it.") from error
    migrate.check((table.schema.metadata or {}).get(b"bench_schema"), path)
    return table
