"""Layers in a report: a stored run (SYNTHETIC) in which the second layer takes thrice what its work predicts."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from bench.report import Context
from bench.report.plots import layers as plot
from bench.report.section import Section
from tests.unit.report.report_kit import PHONE, Stored


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    return Stored.read("synthetic-run-4", tmp_path_factory.mktemp("stored"))


@pytest.fixture(scope="module")
def section(stored: Stored) -> Section:
    return stored.sections()["layers"]


def test_a_run_without_a_profile_has_no_such_section(judged: Stored) -> None:
    assert "layers" not in judged.but(layers={}).keep(judged.frame["pass"] != "profile").sections()


def test_the_worst_surprise_is_first_and_said(stored: Stored, section: Section) -> None:
    table = next(t for t in section.tables if t.title.startswith("baseline lenet5 on") and PHONE in t.title)
    assert table.rows[0][0] == "conv2"
    assert table.rows[0][7].startswith("+")
    assert any("conv2 (Convolution) takes 45.0 % where" in sentence for sentence in section.sentences)


def test_a_variants_layer_has_the_name_of_the_ordinary_one(stored: Stored, section: Section) -> None:
    tables = {folded.table.title: folded.table for folded in section.folded}
    ordinary, ours = (
        next(table for title, table in tables.items() if title.startswith(f"{variant} lenet5 on {PHONE}"))
        for variant in ("baseline", "fr-auto:20x")
    )
    assert (ordinary.rows[3][:2], ours.rows[3][:2]) == (("conv3", "Convolution"), ("conv3", "RankCore"))
    assert ours.rows[2][0] == "RankPass after conv2"
    assert ours.rows[2][2] == "deferred"


def test_layers_that_do_not_add_up_are_tagged_and_told_why(section: Section) -> None:
    assert all("unet" in notice for notice in section.notices)
    assert section.notices
    assert "25 % more than ordinary inferences of the same launches" in section.notices[0]
    assert "takes 26 % longer" in section.notices[0]
    (sums,) = (table for table in section.tables if table.title == "The sum of layers")
    tones = {row[0].text: row[5].tone for row in sums.cells}
    assert tones["lenet5"] == "plain"
    assert tones["unet"] == "bad"


def test_virtual_phones_are_marked_in_every_title(stored: Stored, section: Section) -> None:
    titles = [table.title for table in section.tables if PHONE in table.title]
    assert titles
    assert all(f"{PHONE} (virtual)" in title for title in titles)
    (picture,) = plot.draw(Context.of(stored.run, stored.measurements, stored.findings, pictures=True))
    assert f"{PHONE} (virtual)" in picture.svg
    assert "conv2" in picture.svg
    assert "conv2 45 %" in picture.alt


def test_programs_get_every_layer(stored: Stored, tmp_path: Path) -> None:
    stored.page(tmp_path)
    rows = list(csv.DictReader((tmp_path / "layers.csv").read_text(encoding="utf-8").splitlines()[1:]))
    assert len(rows) == sum(len(one.layers) for one in stored.findings.profiles)
    mine = [row for row in rows if (row["model"], row["variant"], row["device"]) == ("lenet5", "baseline", PHONE)]
    assert [row["layer"] for row in mine] == ["conv1", "conv2", "ReLU after conv2", "conv3", "head"]
    assert sum(float(row["share"]) for row in mine) == pytest.approx(1)


def test_launches_that_failed_say_why(stored: Stored) -> None:
    frame = stored.frame.copy()
    rows = frame["pass"] == "profile"
    frame.loc[rows, ["status", "reason", "metric"]] = ["failed", "unsupported: it does not time its layers", ""]
    failed = stored.but(frame=frame, layers={}).sections()["layers"]
    assert failed.tables == ()
    assert all(sentence.endswith("unsupported: it does not time its layers.") for sentence in failed.sentences)
