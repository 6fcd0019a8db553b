"""The history: what is added is found again, whole or not at all, whoever else writes."""

from __future__ import annotations

import multiprocessing
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import CorruptData, UsageError
from bench.results.history import LAUNCHES, History, key_of


def rows(
    run: str = "r1", device: str = "p1", when: datetime = datetime(2026, 11, 26, tzinfo=UTC), **more: Any
) -> pa.Table:
    """Three launches of one subject."""
    same = {
        "key": key_of({"id": run}, run), "run": run, "name": "night", "started": when, "folder": f"/runs/{run}",
        "bench_version": "0", "commit": "", "device": device, "device_name": "a phone", "os": "Android 14",
        "virtual": True, "translated": False, "model": "m", "variant": "v", "ordinary": True, "runtime": "ncnn",
        "threads": 1, "precision": "fp32", "inputs": "1", "artifact": "a", "program": "p", "samples": "s",
        "protocol": "w", "cores": "any", "metric": "latency", "iterations": 50, "status": "ok", "reason": "",
        "unusable": "",
    }  # fmt: skip
    return pa.Table.from_pylist([same | {"launch": n, "value": 100.0 + n} | more for n in range(3)], LAUNCHES)


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "history")


def test_a_place_without_a_history_has_an_empty_one(history: History) -> None:
    assert history.launches().num_rows == 0
    assert history.tags() == {}
    assert not history.path.exists()


def test_what_was_added_comes_back_to_the_bit_and_in_order(history: History) -> None:
    later, sooner = rows("b", when=datetime(2026, 12, 1, tzinfo=UTC)), rows("a")
    history.add(later)
    history.add(sooner)
    assert history.launches() == pa.concat_tables([sooner, later]).replace_schema_metadata(None)


def test_a_run_that_is_added_again_replaces_itself(history: History) -> None:
    history.add(rows())
    history.add(rows(value=7.0))
    assert history.launches(["value"])["value"].to_pylist() == [7.0] * 3


def test_columns_devices_values_and_months_are_chosen(history: History) -> None:
    for device in ("p1", "p2"):
        history.add(rows(f"old-{device}", device, datetime(2025, 1, 1, tzinfo=UTC)))
        history.add(rows(f"new-{device}", device))
    assert set(history.launches(["run"], device="p1")["run"].to_pylist()) == {"old-p1", "new-p1"}
    assert set(history.launches(["run"], since="2026-01")["run"].to_pylist()) == {"new-p1", "new-p2"}
    assert history.launches(metric=["load", "pss"]).num_rows == 0
    assert history.launches(device=()).num_rows == 0


def _add_many(path: Path, writer: str, count: int) -> None:
    for number in range(count):
        History(path).add(rows(f"{writer}-{number}"))
        History(path).tag(key_of({"id": f"{writer}-{number}"}, f"{writer}-{number}"), "good")


def test_writers_at_once_lose_nothing(history: History) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_add_many, args=(history.path, name, 15)) for name in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert len(set(history.launches(["run"])["run"].to_pylist())) == 45
    assert history.launches().num_rows == 135
    assert len(history.tags()) == 45


@pytest.mark.parametrize("damage", [b"", b"PAR1", os.urandom(3000), None], ids=["empty", "head", "noise", "cut"])
def test_a_damaged_file_is_named_and_refused(history: History, damage: bytes | None) -> None:
    for run in "ab":
        history.add(rows(run))
    file = min(history.path.glob("launches/*/*/*.parquet"))
    file.write_bytes(file.read_bytes()[:-200] if damage is None else damage)
    with pytest.raises(CorruptData, match="is damaged") as refused:
        history.launches()
    assert str(file) in refused.value.what
    assert "bench results add" in refused.value.fix


def test_a_file_that_lacks_a_column_is_refused_not_read_as_nothing(history: History) -> None:
    history.add(rows())
    (file,) = history.path.glob("launches/*/*/*.parquet")
    pa.parquet.write_table(rows().drop_columns(["value"]), file)
    with pytest.raises(CorruptData, match="is damaged"):
        history.launches()
    with pytest.raises(CorruptData, match="is damaged"):
        history.launches(["value"])


def test_what_was_being_written_when_the_power_failed_is_not_read(history: History) -> None:
    history.add(rows())
    (file,) = history.path.glob("launches/*/*/*.parquet")
    file.with_name(f".{file.name}.1.draft").write_bytes(b"half")
    assert history.launches().num_rows == 3


@pytest.mark.parametrize(
    ("content", "words"),
    [('{"schema_version": 2}', "format '2'"), ("{}", "cannot be read"), ("[1", "cannot be read"), (None, "is missing")],
)
def test_another_format_is_refused_and_stays_as_it_is(history: History, content: str | None, words: str) -> None:
    history.add(rows())
    version = history.path / "history.json"
    version.unlink()
    if content is not None:
        version.write_text(content)
    for ask in (history.launches, lambda: history.add(rows("b"))):
        with pytest.raises(CorruptData, match=words):
            ask()
    assert len(list(history.path.glob("launches/*/*/*.parquet"))) == 1


@settings(max_examples=40, deadline=None)
@given(device=st.text(min_size=1, max_size=200), run=st.text(min_size=1, max_size=200))
def test_no_name_leads_out_of_the_folder(tmp_path_factory: pytest.TempPathFactory, device: str, run: str) -> None:
    encodable = (device + run).encode("utf-8", "ignore").decode() == device + run
    if not encodable:
        return
    place = tmp_path_factory.mktemp("h")
    history = History(place / "history")
    history.add(rows(run, device))
    assert [p.name for p in place.iterdir()] == ["history"]
    assert len(list(history.path.glob("launches/*/*/*.parquet"))) == 1
    found = history.launches(device=device)
    assert set(found["run"].to_pylist()) == {run}


def test_tags_are_given_and_taken(history: History) -> None:
    history.add(rows())
    key = history.launches(["key"])["key"][0].as_py()
    history.tag(key, "last-good")
    history.tag(key, "v1.2")
    assert history.tags() == {key: ("last-good", "v1.2")}
    history.tag(key, "v1.2", remove=True)
    assert history.tags() == {key: ("last-good",)}
    with pytest.raises(UsageError, match="not a tag"):
        history.tag(key, "../out")


def test_a_run_that_is_removed_is_gone_with_its_tags(history: History) -> None:
    for run in "ab":
        history.add(rows(run))
    key = key_of({"id": "a"}, "a")
    history.tag(key, "good")
    history.remove(key)
    assert set(history.launches(["run"])["run"].to_pylist()) == {"b"}
    assert history.tags() == {}


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="nothing can be kept"):
        History(tmp_path / "file" / "history").add(rows())


@pytest.mark.parametrize(
    ("column", "value"),
    [("value", -1.0), ("value", float("nan")), ("value", float("inf")), ("value", None), ("value", 1e300),
     ("low", float("nan")), ("high", -float("inf"))],
)  # fmt: skip
def test_figures_that_cannot_have_been_measured_are_refused_with_their_file(
    history: History, column: str, value: float | None
) -> None:
    history.add(rows("good"))
    more: dict[str, Any] = {column: value}
    history.add(rows("bad", **more))
    words = r"bad-[0-9a-f]{8}.parquet is damaged: .*run bad.*: latency of "
    with pytest.raises(CorruptData, match=words):
        history.launches()
    assert history.launches(["run"]).num_rows == 6  # who asks for no figure is not stopped
