"""A run's folder: appended to trial by trial, whole after a kill, refused when it is damaged."""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.errors import CorruptData, UsageError
from bench.records import METRICS, SCHEMA_VERSION, Device, Measurement, Pass, RunRecord, Sample, Subject, Trial
from bench.results.folder import COLUMNS, RunFolder, refuse_unwritable

PHONE = Device(serial="p1", kind="phone", name="", os="", abis=("x86_64",), virtual=True)
WHEN = datetime(2026, 11, 21, 9)
RECORD = RunRecord(
    id="x", name="a", started="now", bench_version="0", plan={"name": "a"}, reference="torch", versions={},
    toolchain={}, devices=(PHONE,), artifacts=(),
)  # fmt: skip


def measurement(order: int, *values: float, reason: str = "", pass_: Pass = "latency") -> Measurement:
    trial = Trial(
        subject=Subject(model="m", variant="v", device="p1", runtime="ncnn"), pass_=pass_, launch=order, order=order
    )
    return Measurement(
        trial=trial, status="failed" if reason else "ok", reason=reason, started="2026-11-21T09:00:00.000+00:00",
        samples=tuple(Sample("latency", i, v) for i, v in enumerate(values)), wall_s=1.0,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder.create(tmp_path, "a", WHEN)
    made.write_record(RECORD)
    return made


def test_samples_come_back_bit_for_bit(folder: RunFolder) -> None:
    values = (1.0, 123_456_789_012_345.0, 2.0**53 - 1)
    folder.append(measurement(0, *values), PHONE)
    folder.append(measurement(1, reason="it broke"), PHONE)
    frame = folder.consolidate()
    assert tuple(frame.loc[frame.order == 0, "value"]) == values
    assert frame.loc[frame.order == 0, "virtual"].all()
    (failed,) = frame.loc[frame.order == 1].to_dict("records")
    assert (failed["status"], failed["reason"], failed["metric"]) == ("failed", "it broke", "")
    assert [m.status for m in folder.measurements()] == ["ok", "failed"]
    written = pq.read_schema(folder.path / "measurements.parquet").metadata
    assert written[b"bench_schema"] == str(SCHEMA_VERSION).encode()


def test_half_a_line_of_a_killed_process_is_not_added_to(folder: RunFolder) -> None:
    folder.append(measurement(0, 1.0), PHONE)
    lines = folder.path / "trials.jsonl"
    with lines.open("ab") as file:
        file.write(lines.read_bytes()[:50])
    folder.append(measurement(1, 2.0), PHONE)
    assert [m.trial.launch for m in folder.measurements()] == [0, 1]
    assert lines.read_bytes().count(b"\n") == 2


def test_two_runs_of_a_day_do_not_meet(tmp_path: Path) -> None:
    names = [RunFolder.create(tmp_path, "a", WHEN).path.name for _ in range(3)]
    assert names == ["2026-11-21-a", "2026-11-21-a-2", "2026-11-21-a-3"]


def test_a_line_cut_by_a_kill_is_passed_over(folder: RunFolder) -> None:
    folder.append(measurement(0, 1.0), PHONE)
    with (folder.path / "trials.jsonl").open("a") as lines:
        lines.write('{"schema_version": 2, "tri')
    assert len(folder.measurements()) == 1


@pytest.mark.parametrize("line", [b"nonsense", b"[]", b"3", b'{"schema_version": 2}', b"[" * 100_000, b"\xff\xfe"])
@pytest.mark.parametrize("rest", [b"\n", b'\n{"schema_version": 2}\n'])
def test_a_whole_line_that_is_damaged_is_not(folder: RunFolder, line: bytes, rest: bytes) -> None:
    (folder.path / "trials.jsonl").write_bytes(line + rest)
    with pytest.raises(CorruptData, match=r"trials.jsonl:1"):
        folder.measurements()


def test_bytes_that_bench_never_wrote_are_no_cut_line(folder: RunFolder) -> None:
    (folder.path / "trials.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(CorruptData, match=r"trials.jsonl:1"):
        folder.measurements()


def test_files_that_never_end_are_refused(folder: RunFolder) -> None:
    folder.append(measurement(0, pass_="accuracy"), PHONE, {"answer": np.arange(4.0)})
    (part,) = (folder.path / "parts").iterdir()
    (answers,) = (folder.path / "answers").iterdir()
    reads = {
        answers: folder.answers,
        part: folder.consolidate,
        folder.path / "trials.jsonl": folder.measurements,
        folder.path / "run.json": folder.record,
    }
    for path, read in reads.items():
        path.unlink()
        os.mkfifo(path)
        with pytest.raises(CorruptData, match="not an ordinary file"):
            read()
        path.unlink()
        path.symlink_to("/dev/zero")
        with pytest.raises(CorruptData, match="not an ordinary file"):
            read()
        path.unlink()


@pytest.mark.parametrize(
    ("lost", "words"),
    [("trials.jsonl", ["trials.jsonl lacks 2 trials", "answers of 1 trial are gone"]),
     ("answers", ["answers of 1 trial are gone"]), ("parts", ["samples of 2 trials are gone"]), ("", [])],
)  # fmt: skip
def test_what_is_gone_of_a_run_is_said(folder: RunFolder, lost: str, words: list[str]) -> None:
    folder.append(measurement(0, pass_="accuracy"), PHONE, {"answer": np.arange(4.0)})
    folder.append(measurement(1, 2.0), PHONE)
    folder.append(measurement(1, pass_="accuracy", reason="gone"), PHONE)
    if lost == "trials.jsonl":
        *_, last = (folder.path / lost).read_bytes().splitlines(keepends=True)
        (folder.path / lost).write_bytes(last)
    elif lost == "answers":
        shutil.rmtree(folder.path / lost)
    elif lost == "parts":
        for part in sorted((folder.path / lost).iterdir())[:2]:
            part.unlink()
    said = folder.missing(folder.consolidate(), folder.answers())
    assert len(said) == len(words)
    assert all(part in sentence for part, sentence in zip(words, said, strict=True))


@pytest.mark.parametrize("damage", [b"", b"PAR1 but not really", None])
def test_a_damaged_part_is_refused_by_name(folder: RunFolder, damage: bytes | None) -> None:
    part = folder.path / "parts" / "0000.parquet"
    if damage is None:
        pq.write_table(COLUMNS.empty_table().replace_schema_metadata({"bench_schema": "99"}), part)
    else:
        part.write_bytes(damage)
    with pytest.raises(CorruptData, match=r"0000\.parquet"):
        folder.consolidate()


@pytest.mark.parametrize("lost", [(0,), (1,), (0, 1, 2)])
def test_parts_that_are_gone_lose_no_samples(folder: RunFolder, lost: tuple[int, ...]) -> None:
    """Someone copied the run without its parts, or a disk lost some: the table stands."""
    for order in range(3):
        folder.append(measurement(order, 1.0 + order, 2.0), PHONE)
    before = folder.consolidate()
    parts = sorted((folder.path / "parts").iterdir())
    for number in lost:
        parts[number].unlink()
    if len(lost) == len(parts):
        (folder.path / "parts").rmdir()
    for _ in range(2):
        assert folder.consolidate().equals(before)


def test_a_new_part_is_added_to_a_table_whose_parts_are_gone(folder: RunFolder) -> None:
    folder.append(measurement(0, 1.0), PHONE)
    folder.consolidate()
    for part in (folder.path / "parts").iterdir():
        part.unlink()
    folder.append(measurement(1, 2.0), PHONE)
    assert folder.consolidate().value.tolist() == [1.0, 2.0]


def test_answers_are_stored_by_the_trial_that_gave_them(folder: RunFolder) -> None:
    facts = {"answer": np.arange(4.0), "agrees": np.array([1.0, 0.0, 1.0, 1.0])}
    one = measurement(0, pass_="accuracy")
    folder.append(one, PHONE, facts)
    folder.append(measurement(1, pass_="accuracy", reason="gone"), PHONE)
    ((trial, found),) = folder.answers().items()
    assert trial == one.trial.id
    assert {name: list(values) for name, values in found.items()} == {n: list(v) for n, v in facts.items()}


def test_damaged_answers_are_refused_by_name(folder: RunFolder) -> None:
    folder.append(measurement(0, pass_="accuracy"), PHONE, {"answer": np.arange(4.0)})
    (path,) = (folder.path / "answers").iterdir()
    path.write_bytes(b"PAR1")
    with pytest.raises(CorruptData, match=r"accuracy-m-v"):
        folder.answers()


def test_a_folder_that_is_not_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no run\.json"):
        RunFolder(tmp_path).record()
    (tmp_path / "file").touch()
    for path in (tmp_path / "none", tmp_path / "file"):
        with pytest.raises(UsageError, match="no such folder"):
            RunFolder(path).record()
    with pytest.raises(UsageError, match="no run in"):
        RunFolder.latest(tmp_path)


@pytest.mark.parametrize("place", ["/proc/x", "file", "file/deeper", "x" * 300])
def test_a_place_where_no_run_can_be_kept_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="no run can be kept in"):
        refuse_unwritable(tmp_path / place)
    with pytest.raises(UsageError, match="no run can be kept in"):
        RunFolder.create(tmp_path / place, "a", WHEN)


def test_looking_whether_runs_can_be_kept_leaves_nothing(tmp_path: Path) -> None:
    refuse_unwritable(tmp_path / "new" / "results")
    assert not list(tmp_path.iterdir())


def test_the_record_round_trips(folder: RunFolder) -> None:
    assert folder.record() == RECORD
    assert RunFolder.latest(folder.path.parent).path == folder.path


@pytest.mark.parametrize(
    "values",
    [{"schema_version": 6}, {"schema_version": 0}, {"schema_version": None}, {"schema_version": "two"}, {"plan": 3},
     {"devices": "p1"}, {"schema_version": 1, "plan": []}, {"schema_version": 1, "artifacts": [{}]},
     {"schema_version": 1, "artifacts": [1]}],
)  # fmt: skip
def test_a_record_of_another_kind_is_refused(folder: RunFolder, values: dict[str, Any]) -> None:
    path = folder.path / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    with pytest.raises(CorruptData, match=r"run\.json"):
        folder.record()


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", "[" * 100_000, "\xff"])
def test_a_record_that_is_not_one_is_refused(folder: RunFolder, text: str) -> None:
    (folder.path / "run.json").write_text(text, encoding="latin-1")
    with pytest.raises(CorruptData, match=r"run\.json"):
        folder.record()


def test_a_record_without_a_schema_says_so(folder: RunFolder) -> None:
    (folder.path / "run.json").write_text("{}")
    with pytest.raises(CorruptData, match="does not name its schema"):
        folder.record()


def test_a_finished_run_is_read_from_one_table(folder: RunFolder) -> None:
    """The table that was made of the parts, until a part is newer than it."""
    folder.append(measurement(0, 1.0), PHONE)
    folder.append(measurement(1, 2.0), PHONE)
    table, parts = folder.path / "measurements.parquet", sorted((folder.path / "parts").iterdir())
    before = folder.consolidate()
    later = 1 + max(part.stat().st_mtime_ns for part in parts)
    os.utime(table, ns=(later, later))
    whole = parts[0].read_bytes()
    parts[0].write_bytes(b"damaged")
    os.utime(parts[0], ns=(later - 1, later - 1))
    assert list(folder.frame()["value"]) == list(before["value"])
    os.utime(parts[0], ns=(later + 1, later + 1))
    with pytest.raises(CorruptData):
        folder.frame()
    parts[0].write_bytes(whole)
    folder.append(measurement(2, 3.0), PHONE)
    os.utime(table, ns=(later + 10**12, later + 10**12))
    assert set(folder.frame()["value"]) == {1.0, 2.0, 3.0}


def test_the_lines_of_a_log_stay_whole_when_several_lanes_write(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "a", WHEN)
    with folder.log() as log:
        lanes = [
            threading.Thread(
                target=lambda lane=lane: [log.info("trial", lane=lane, words="x" * 9_000) for _ in range(50)]
            )
            for lane in range(8)
        ]
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join()
    lines = [json.loads(line) for line in (folder.path / "log.jsonl").read_text().splitlines()]
    assert sorted(line["lane"] for line in lines) == sorted(list(range(8)) * 50)


def altered(folder: RunFolder, column: str, value: object) -> None:
    """The first row of measurements.parquet with another value in that column."""
    path = folder.path / "measurements.parquet"
    table = pq.read_table(path)
    values = table[column].to_pylist()
    values[0] = value
    place = table.schema.get_field_index(column)
    pq.write_table(
        table.set_column(place, table.schema.field(place), pa.array(values, table.schema.types[place])), path
    )


@pytest.mark.parametrize("value", [-1.0, 0.0, float("nan"), float("inf"), -float("inf"), 1e300, 1e-300])
def test_a_figure_that_cannot_have_been_measured_is_refused_with_its_place(folder: RunFolder, value: float) -> None:
    folder.append(measurement(0, 1e6, 2e6), PHONE)
    folder.append(measurement(1, reason="it broke"), PHONE)
    folder.consolidate()
    altered(folder, "value", value)
    words = rf"measurements.parquet is damaged: trial latency/m/v/p1/ncnn/t1/fp32/0: latency of {value:g} ns"
    for read in (folder.consolidate, folder.frame):
        with pytest.raises(CorruptData, match=re.escape(words).replace("measurements\\.", "measurements.")):
            read()


@pytest.mark.parametrize("metric", [*METRICS, "of a later bench"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_no_metric_is_anything_but_a_number(folder: RunFolder, metric: str, value: float) -> None:
    folder.append(measurement(0, 1e6), PHONE)
    folder.consolidate()
    altered(folder, "metric", metric)
    altered(folder, "value", value)
    with pytest.raises(CorruptData, match=f"{metric} of {value:g}"):
        folder.frame()


@pytest.mark.parametrize(
    ("line", "samples", "counts"),
    [
        ("tagged", "ok", "tagged"),
        ("ok", "tagged", "tagged"),
        ("failed", "ok", "failed"),
        ("tagged", "failed", "failed"),
    ],
)
def test_of_two_places_that_differ_the_worse_counts_and_that_is_said(
    folder: RunFolder, line: str, samples: str, counts: str
) -> None:
    folder.append(measurement(0, 1e6, 2e6), PHONE)
    folder.append(measurement(1, 1e6), PHONE)
    (folder.path / "trials.jsonl").write_text(
        (folder.path / "trials.jsonl").read_text().replace('"status": "ok"', f'"status": "{line}"', 1)
    )
    for part in (folder.path / "parts").glob("*-0-*"):
        table = pq.read_table(part)
        place = table.schema.get_field_index("status")
        pq.write_table(table.set_column(place, "status", pa.array([samples] * len(table))), part)
    for _ in range(2):  # the second time from measurements.parquet, which says what the parts did
        frame = folder.consolidate()
        assert folder.missing(frame, {}) == (
            "trials.jsonl and the samples of 1 trial tell differently how they went: the worse of both counts.",
        )
        settled = folder.settled(frame)
        assert list(settled.loc[settled.launch == 0, "status"]) == [counts, counts]
        assert list(settled.loc[settled.launch == 1, "status"]) == ["ok"]
        assert list(folder.settled(folder.frame())["status"]) == [counts, counts, "ok"]


def test_places_that_agree_change_nothing(folder: RunFolder) -> None:
    folder.append(measurement(0, 1e6), PHONE)
    frame = folder.consolidate()
    assert folder.settled(frame) is frame
    assert folder.missing(frame, {}) == ()
