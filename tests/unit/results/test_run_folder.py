"""A run's folder: appended to trial by trial, whole after a kill, refused when it is damaged."""

import json
from datetime import datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from bench.store import COLUMNS, RunFolder

from bench.errors import CorruptData
from bench.records import Device, Measurement, RunRecord, Sample, Trial

PHONE = Device(serial="p1", kind="phone", name="", os="", abis=("x86_64",), virtual=True)
WHEN = datetime(2026, 11, 21, 9)


def measurement(order: int, *values: float, reason: str = "") -> Measurement:
    trial = Trial(model="m", variant="v", device="p1", runtime="native", pass_="latency", order=order)
    return Measurement(
        trial=trial, status="failed" if reason else "ok", reason=reason, started="2026-11-21T09:00:00.000+00:00",
        samples=tuple(Sample("latency", i, v) for i, v in enumerate(values)), wall_s=1.0,
    )  # fmt: skip


def test_samples_come_back_bit_for_bit(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "a", WHEN)
    values = (1.0, 123_456_789_012_345.0, 2.0**53 - 1)
    folder.append(measurement(0, *values), PHONE)
    folder.append(measurement(1, reason="it broke"), PHONE)
    frame = folder.consolidate()
    assert tuple(frame.loc[frame.order == 0, "value"]) == values
    assert frame.loc[frame.order == 0, "virtual"].all()
    (failed,) = frame.loc[frame.order == 1].to_dict("records")
    assert (failed["status"], failed["reason"], failed["metric"]) == ("failed", "it broke", "")
    assert [m.status for m in folder.measurements()] == ["ok", "failed"]
    assert pq.read_schema(folder.path / "measurements.parquet").metadata[b"bench_schema"] == b"1"


def test_two_runs_of_a_day_do_not_meet(tmp_path: Path) -> None:
    names = [RunFolder.create(tmp_path, "a", WHEN).path.name for _ in range(3)]
    assert names == ["2026-11-21-a", "2026-11-21-a-2", "2026-11-21-a-3"]


def test_a_line_cut_by_a_kill_is_passed_over(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "a", WHEN)
    folder.append(measurement(0, 1.0), PHONE)
    with (folder.path / "trials.jsonl").open("a") as lines:
        lines.write('{"schema_version": 1, "tri')
    assert len(folder.measurements()) == 1


def test_damage_in_the_middle_is_not(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "a", WHEN)
    (folder.path / "trials.jsonl").write_text("nonsense\n" + json.dumps({"schema_version": 1}) + "\n")
    with pytest.raises(CorruptData, match=r"trials.jsonl:1"):
        folder.measurements()


@pytest.mark.parametrize("damage", [b"", b"PAR1 but not really", None])
def test_a_damaged_part_is_refused_by_name(tmp_path: Path, damage: bytes | None) -> None:
    folder = RunFolder.create(tmp_path, "a", WHEN)
    part = folder.path / "parts" / "0000.parquet"
    if damage is None:
        pq.write_table(COLUMNS.empty_table().replace_schema_metadata({"bench_schema": "99"}), part)
    else:
        part.write_bytes(damage)
    with pytest.raises(CorruptData, match=r"0000\.parquet"):
        folder.consolidate()


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorruptData):
        RunFolder(tmp_path).record()
    with pytest.raises(CorruptData, match="no run"):
        RunFolder.latest(tmp_path)


def test_the_record_round_trips(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "a", WHEN)
    record = RunRecord(
        id="x", name="a", started="now", bench_version="0", plan={"name": "a"}, versions={}, toolchain={},
        devices=(PHONE,), artifacts=(),
    )  # fmt: skip
    folder.write_record(record)
    assert folder.record() == record
    assert RunFolder.latest(tmp_path).path == folder.path
