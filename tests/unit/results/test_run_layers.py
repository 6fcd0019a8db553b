"""Layers as a run's folder stores them: bound to the launch that measured them, refused where that cannot have been."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.errors import CorruptData
from bench.layered import LayerRecord
from bench.records import Device, Measurement, RunRecord, Sample, Subject, Trial
from bench.results.folder import RunFolder

PHONE = Device(serial="p1", kind="phone", name="", os="", abis=("x86_64",), virtual=True)
RECORD = RunRecord(
    id="x", name="a", started="now", bench_version="0", plan={"name": "a"}, reference="torch", versions={},
    toolchain={}, devices=(PHONE,), artifacts=(),
)  # fmt: skip
FIRST = (
    LayerRecord("a", "Conv", "features.0", 10, 400, 300, 700, False, (4, 5, 5)),
    LayerRecord("b", "Relu", "", 5, 400, None, None, True, ()),
)
SECOND = (FIRST[0]._replace(ns=20), FIRST[1])


def measured(launch: int, layers: tuple[LayerRecord, ...]) -> Measurement:
    trial = Trial(
        subject=Subject(model="m", variant="v", device="p1", runtime="ncnn"), pass_="profile", launch=launch,
        order=launch,
    )  # fmt: skip
    total = float(sum(layer.ns for layer in layers))
    return Measurement(
        trial=trial, status="ok", started="2026-11-21T09:00:00.000+00:00", samples=(Sample("layers", 0, total),),
        wall_s=1.0,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder.create(tmp_path, "a", datetime(2026, 11, 21, 9))
    made.write_record(RECORD)
    for launch, layers in enumerate((FIRST, SECOND)):
        made.append(measured(launch, layers), PHONE, None, layers)
    return made


def files(folder: RunFolder) -> list[Path]:
    return sorted((folder.path / "layers").iterdir())


def altered(path: Path, column: str, value: Any) -> None:
    """The first row with another value in that column."""
    table = pq.read_table(path)
    values = table[column].to_pylist()
    values[0] = value
    place = table.schema.get_field_index(column)
    pq.write_table(
        table.set_column(place, table.schema.field(place), pa.array(values, table.schema.types[place])), path
    )


def refused(folder: RunFolder, words: str) -> None:
    frame = folder.frame()
    with pytest.raises(CorruptData, match=words) as caught:
        folder.layers(frame)
    assert files(folder)[0].name in str(caught.value) or files(folder)[1].name in str(caught.value)


def test_layers_come_back_as_they_were_stored(folder: RunFolder) -> None:
    assert list(folder.layers(folder.frame()).values()) == [FIRST, SECOND]


@pytest.mark.parametrize("ns", [9, 11, 10**15])
def test_times_that_their_trial_did_not_measure_are_refused(folder: RunFolder, ns: int) -> None:
    altered(files(folder)[0], "ns", ns)
    refused(folder, "together take")


def test_layers_of_another_launch_are_refused(folder: RunFolder) -> None:
    one, other = files(folder)
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)
    refused(folder, "of another launch")


@pytest.mark.parametrize("column", ["ns", "bytes", "macs", "moved"])
@pytest.mark.parametrize("value", [-1, 2**53 + 1, 2**63 - 1])
def test_figures_out_of_their_bounds_are_refused(folder: RunFolder, column: str, value: int) -> None:
    altered(files(folder)[0], column, value)
    refused(folder, rf"layer 0: {column} is ")


@pytest.mark.parametrize("column", ["ns", "bytes", "name", "type", "module", "deferred"])
def test_what_every_layer_has_is_not_left_out(folder: RunFolder, column: str) -> None:
    altered(files(folder)[0], column, None)
    refused(folder, "layer 0")


@pytest.mark.parametrize("shape", [[0, 5], [-3], [4, None], [2**53 + 1], [1] * 9])
def test_shapes_that_no_tensor_has_are_refused(folder: RunFolder, shape: list[int | None]) -> None:
    altered(files(folder)[0], "shape", shape)
    refused(folder, "layer 0")


@pytest.mark.parametrize("column", ["name", "type", "module"])
def test_names_without_end_are_refused(folder: RunFolder, column: str) -> None:
    altered(files(folder)[0], column, "x" * 401)
    refused(folder, "layer 0")


def test_text_that_is_none_is_refused(folder: RunFolder) -> None:
    path = files(folder)[0]
    table = pq.read_table(path)
    bad = pa.array([b"\xff\xfe", b"b"], pa.binary()).cast(pa.string(), safe=False)
    pq.write_table(table.set_column(0, table.schema.field(0), bad), path)
    refused(folder, "UTF8")


@pytest.mark.parametrize("rows", [0, 10_001])
def test_a_launch_has_layers_and_not_without_end(folder: RunFolder, rows: int) -> None:
    path = files(folder)[0]
    table = pq.read_table(path)
    pq.write_table(pa.concat_tables([table.slice(0, 1)] * rows) if rows else table.slice(0, 0), path)
    refused(folder, f"holds {rows:,} layers")


@pytest.mark.parametrize("column", ["ns", "bytes", "macs", "moved"])
@pytest.mark.parametrize("value", [0.5, float("nan"), float("inf")])
def test_figures_that_are_not_whole_are_refused(folder: RunFolder, column: str, value: float) -> None:
    path = files(folder)[0]
    table = pq.read_table(path)
    pq.write_table(table.set_column(table.schema.get_field_index(column), column, pa.array([value, 1.0])), path)
    refused(folder, "columns")


@pytest.mark.parametrize("change", ["lost", "more", "renamed", "order", "foreign"])
def test_other_columns_are_refused(folder: RunFolder, change: str) -> None:
    path = files(folder)[0]
    table = pq.read_table(path)
    changed = {
        "lost": table.drop_columns("macs"),
        "more": table.append_column("more", pa.array([1, 2])),
        "renamed": table.rename_columns(["title", *table.column_names[1:]]),
        "order": table.select(list(reversed(table.column_names))),
        "foreign": pa.table({"hello": [1]}).replace_schema_metadata(table.schema.metadata),
    }[change]
    pq.write_table(changed, path)
    refused(folder, "columns")


@pytest.mark.parametrize("schema", [None, b"99", b"0", b"two"])
def test_another_schema_is_refused(folder: RunFolder, schema: bytes | None) -> None:
    path = files(folder)[0]
    metadata = {} if schema is None else {b"bench_schema": schema}
    pq.write_table(pq.read_table(path).replace_schema_metadata(metadata), path)
    refused(folder, "schema")


@pytest.mark.parametrize("left", [0, 4, 0.5, 0.99])
def test_a_file_that_was_cut_is_refused(folder: RunFolder, left: float) -> None:
    path = files(folder)[0]
    whole = path.read_bytes()
    path.write_bytes(whole[: left if isinstance(left, int) else int(left * len(whole))])
    refused(folder, "cannot be read")


def test_a_file_that_never_ends_is_refused(folder: RunFolder) -> None:
    path = files(folder)[0]
    path.unlink()
    os.mkfifo(path)
    refused(folder, "not an ordinary file")


def test_layers_that_are_gone_are_missed(folder: RunFolder) -> None:
    files(folder)[0].unlink()
    frame = folder.frame()
    assert list(folder.layers(frame).values()) == [SECOND]
    assert folder.missing(frame, {}) == ("The layers of 1 trial are gone from layers/.",)


def test_sums_that_are_gone_leave_the_layers(folder: RunFolder) -> None:
    frame = folder.frame()
    assert list(folder.layers(frame[frame["metric"] != "layers"]).values()) == [FIRST, SECOND]
