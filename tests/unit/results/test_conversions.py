"""The file of all conversions: nothing is lost between two writers, and it does not grow without an end."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bench.conversion import Cell, Trouble, by_kind
from bench.errors import UsageError
from bench.results import conversions
from bench.results.conversions import Conversions


def bad(network: str, kind: str = "unsupported operator", said: str = "no") -> Cell:
    return Cell(network=network, runtime="ncnn", trouble=Trouble(kind=kind, stage="convert", said=said), key=network)


def test_a_file_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert Conversions(tmp_path / "none").cells() == ()


def test_what_was_found_last_counts(tmp_path: Path) -> None:
    kept = Conversions(tmp_path)
    kept.add([bad("a"), bad("b")])
    kept.add([Cell(network="a", runtime="ncnn", equal=True, key="a")])
    assert [cell.network for cell in kept.cells()] == ["a", "b", "a"]
    assert kept.latest("a")["ncnn"].equal
    assert kept.latest("c") == {}


def test_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: Conversions(tmp_path).add([bad(f"n{number}", said="…×" * 200)]), range(64)))
    assert sorted(cell.network for cell in Conversions(tmp_path).cells()) == sorted(
        f"n{number}" for number in range(64)
    )


def test_the_older_half_goes_when_it_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversions, "MOST_BYTES", 20_000)
    kept = Conversions(tmp_path)
    for number in range(200):
        kept.add([bad(f"n{number}")])
    found = [cell.network for cell in kept.cells()]
    assert kept.path.stat().st_size <= 20_000
    assert found == [f"n{number}" for number in range(200 - len(found), 200)]


def test_lines_that_are_none_are_passed_over(tmp_path: Path) -> None:
    kept = Conversions(tmp_path)
    kept.add([bad("a")])
    with kept.path.open("ab") as file:
        file.write(b'half a li\n\xff\xfe\n{"network": 1}\n')
    kept.add([bad("b")])
    assert [cell.network for cell in kept.cells()] == ["a", "b"]


def test_a_folder_that_cannot_be_written_to_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="nothing can be kept"):
        Conversions(tmp_path / "file" / "history").add([bad("a")])


def test_kinds_come_by_how_often_they_were_met() -> None:
    found = by_kind([bad("a", "timeout"), bad("b"), bad("c"), Cell(network="d", runtime="ncnn", equal=True)])
    assert {kind: len(cells) for kind, cells in found.items()} == {"unsupported operator": 2, "timeout": 1}
    assert next(iter(found)) == "unsupported operator"
