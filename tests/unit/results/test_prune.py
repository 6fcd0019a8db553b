"""Pruning: raw data go, what people read stays, and whatever was cut off goes on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bench.campaign import session
from bench.errors import CorruptData, UsageError
from bench.results import prune
from bench.results.folder import RunFolder

GOLDEN = Path(__file__).parents[2] / "golden" / "synthetic-run-2"
WHEN = "2026-11-26T09:00:00.000+00:00"


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = Path(shutil.copytree(GOLDEN, tmp_path_factory.mktemp("reported") / "run"))
    RunFolder(path).consolidate()
    for name in ("report.html", "summary.csv"):
        (path / name).write_text("as it was")
    return path


@pytest.fixture
def folder(reported: Path, tmp_path: Path) -> Path:
    """A run with its report, and one of the same night in it."""
    path = Path(shutil.copytree(reported, tmp_path / "run"))
    shutil.copytree(reported, path / "again" / "run-again")
    return path


def kept(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_samples_and_answers_go_and_all_else_stays_as_it_is(folder: Path) -> None:
    before = kept(folder)
    size = prune.raw_bytes(folder)
    assert size > 0
    assert prune.prune(folder, WHEN) == size
    after = kept(folder)
    gone = {name.removeprefix("again/run-again/").partition("/")[0] for name in before.keys() - after.keys()}
    assert gone <= set(prune.RAW)
    assert "measurements.parquet" in gone
    assert {name: after[name] for name in before.keys() & after.keys()} == {
        name: before[name] for name in before.keys() & after.keys()
    }
    assert after.keys() - before.keys() == {prune.MARK, f"again/run-again/{prune.MARK}"}
    assert (prune.raw_bytes(folder), prune.pruned(folder)) == (0, WHEN)


def test_a_report_is_refused_instead_of_made_of_the_rest(folder: Path) -> None:
    prune.prune(folder, WHEN)
    before = kept(folder)
    for read in (session.report, RunFolder.consolidate, RunFolder.frame, RunFolder.answers):
        with pytest.raises(UsageError, match="pruned on 2026-11-26"):
            read(RunFolder(folder))
    assert RunFolder(folder).record().name
    assert RunFolder(folder).measurements()
    assert kept(folder) == before


def test_what_was_cut_off_is_refused_too_and_goes_on(folder: Path) -> None:
    saved = shutil.copytree(folder / "answers", folder.parent / "answers")
    prune.prune(folder, WHEN)
    shutil.copytree(saved, folder / "answers")  # as if the power had failed here
    with pytest.raises(UsageError, match="pruned"):
        session.report(RunFolder(folder))
    assert prune.raw_bytes(folder) > 0
    assert prune.prune(folder, "2027-01-01") > 0
    assert (prune.raw_bytes(folder), prune.pruned(folder)) == (0, WHEN)


def test_links_are_removed_and_never_followed(folder: Path) -> None:
    elsewhere = folder.parent / "elsewhere"
    (folder / "answers").rename(elsewhere)
    (folder / "answers").symlink_to(elsewhere)
    before = kept(elsewhere)
    prune.prune(folder, WHEN)
    assert not (folder / "answers").is_symlink()
    assert kept(elsewhere) == before


@pytest.mark.parametrize("name", prune.STAYS)
def test_a_run_that_lacks_what_should_stay_keeps_all(folder: Path, name: str) -> None:
    (folder / name).unlink()
    before = kept(folder)
    with pytest.raises(UsageError, match=name):
        prune.prune(folder, WHEN)
    assert kept(folder) == before


def test_a_damaged_mark_is_named(folder: Path) -> None:
    (folder / prune.MARK).write_text("{")
    with pytest.raises(CorruptData, match=r"pruned\.json"):
        RunFolder(folder).frame()
