"""Past runs are found by what people call them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from bench.campaign import past
from bench.campaign.compared import compared
from bench.errors import UnknownName, UsageError
from bench.results.history import History
from tests.unit.results.test_history import rows

COMMIT = "0123456789abcdef0123456789abcdef01234567"
QUIET = (100.0, 100.1, 99.9, 100.05, 99.95)


def night(number: int, factor: float = 1.0, **more: Any) -> pa.Table:
    """A night with two variants of a phone, five launches each."""
    when = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(days=number)
    tables = [
        rows(f"n{number}", when=when, variant=variant, launch=i, value=factor * value, **more).slice(0, 1)
        for variant in ("v", "fr:20x")
        for i, value in enumerate(QUIET)
    ]
    return pa.concat_tables(tables)


@pytest.fixture
def history(tmp_path: Path) -> History:
    made = History(tmp_path / "history")
    for number in range(4):
        made.add(night(number, 1 + number / 1000, commit=COMMIT if number in (1, 2) else ""))
    return made


def runs_of(history: History, name: str) -> list[str]:
    table = past.side(name, history, history.path.parent).table
    return sorted(set(table["run"].to_pylist()))


@pytest.mark.parametrize(
    ("name", "runs"),
    [
        ("last", ["n3"]), ("last~1", ["n2"]), ("last~3", ["n0"]), ("n1", ["n1"]), ("good", ["n0"]),
        (COMMIT, ["n1", "n2"]), (COMMIT[:7], ["n1", "n2"]), ("last:v", ["n3"]), ("n2@p1", ["n2"]),
    ],
)  # fmt: skip
def test_a_run_has_many_names(history: History, name: str, runs: list[str]) -> None:
    history.tag(past.runs(history)[0].key, "good")
    assert runs_of(history, name) == runs


def test_a_variant_may_have_a_colon_in_its_name(history: History) -> None:
    side = past.side("last:fr:20x@p1", history, history.path.parent)
    assert set(side.table["variant"].to_pylist()) == {"fr:20x"}
    assert {s.subject.variant for s in past.whole(side, history, history.path.parent).series()} == {"v", "fr:20x"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("last~4", "has 4 runs"),
        ("012345", "unknown run"),
        ("n1:w", "variant of n1"),
        ("n1@p2", "device of n1"),
        ("~", "unknown run"),
    ],
)
def test_what_is_not_known_is_said_with_what_is(history: History, name: str, words: str) -> None:
    with pytest.raises(UnknownName, match=words):
        runs_of(history, name)


def test_where_there_is_no_run_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="there is none in") as said:
        past.side("last", History(tmp_path / "history"), tmp_path)
    assert "bench run" in said.value.fix


def test_nights_are_compared_by_the_noise_of_nights(history: History) -> None:
    (same, other) = compared("last~1", "last", history, history.path.parent, 0.03, {})
    assert same.outcome == other.outcome == "same"
    assert same.floor is not None
    assert same.floor.measured
    history.add(night(9, 1.2, artifact="changed"))
    slower = compared("last~1", "last", history, history.path.parent, 0.03, {"variant": ["v"]})
    assert [v.word for v in slower] == ["slower"]
    assert "another artifact" in slower[0].tags


def test_all_runs_of_a_commit_are_one_side(history: History) -> None:
    (found, _) = compared(COMMIT, "last", history, history.path.parent, 0.03, {})
    assert found.launches == (10, 5)


def test_a_variant_that_is_missing_after_is_not_passed_over(history: History) -> None:
    history.add(night(8).filter(pa.compute.equal(night(8)["variant"], "v")))
    found = compared("n3", "last", history, history.path.parent, 0.03, {})
    assert [(v.right.variant, v.outcome) for v in found] == [("v", "same"), ("fr:20x", "cannot tell")]


def test_runs_with_nothing_in_common_are_refused(history: History) -> None:
    history.add(night(9, model="another"))
    with pytest.raises(UsageError, match="no figure of the same network"):
        compared("n3", "last", history, history.path.parent, 0.03, {})


def test_a_commit_is_that_of_the_folder_and_marked_when_changed(tmp_path: Path) -> None:
    assert past.commit(tmp_path) == ""
