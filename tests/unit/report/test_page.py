"""The page of every kind of run: whole, interrupted, failed, without a phone, translated, hostile."""

import re
from pathlib import Path

import pandas as pd
import pytest
from report_kit import PHONE, Checker, Stored


def test_a_whole_run(stored: Stored, tmp_path: Path) -> None:
    page = Checker(stored.page(tmp_path))
    files = {"report.html", "summary.csv", "latency.png", "memory.png", "size.png"}
    drawn = {f"{name}.png" for name in ("ratios", "places", "start-up")}
    assert files | drawn <= {f.name for f in tmp_path.iterdir()}
    assert all((tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG") for name in ("latency", "memory", "size"))
    assert "Virtual phone." in page.text
    assert "out_of_memory: 124174344 bytes for the weights of conv_17" in page.text
    assert "interrupted" not in page.text


def test_every_section_with_a_title_has_its_link(judged: Stored, tmp_path: Path) -> None:
    page = Checker(judged.page(tmp_path))
    assert {s.id for s in judged.sections().values() if s.title} | {"plots"} <= {link[1:] for link in page.links}


@pytest.mark.parametrize("trials", [0, 1, 20, 60])
def test_an_interrupted_run(stored: Stored, tmp_path: Path, trials: int) -> None:
    some = stored.keep(stored.frame.order < trials).but(run=stored.run.model_copy(update={"finished": None}))
    page = Checker(some.page(tmp_path))
    assert "This run was interrupted." in page.text
    assert f"{trials} trials" in page.text


def test_a_run_in_which_everything_failed(stored: Stored, tmp_path: Path) -> None:
    failed = stored.fail("left with status 7")
    page = Checker(failed.page(tmp_path))
    assert f"Nothing was measured: {len(failed.measurements)} trials failed" in page.text
    assert "left with status 7" in page.text
    cells = {row[2] for table in failed.tables("results") for row in table.rows}
    assert {cell.split(" ")[0] for cell in cells} == {"failed"}


def test_a_run_without_a_phone(stored: Stored, tmp_path: Path) -> None:
    desktop = stored.keep(stored.frame.device == "desktop")
    devices = tuple(d for d in stored.run.devices if d.kind == "desktop")
    alone = desktop.but(run=stored.run.model_copy(update={"devices": devices}))
    page = Checker(alone.page(tmp_path))
    assert PHONE not in page.text.replace("pushed to emulator-5554", "")
    assert any("fr-factored unet" in s and "on desktop ncnn" in s for s in alone.sections()["answer"].sentences)


def test_no_time_of_a_translated_phone_is_shown(stored: Stored, tmp_path: Path) -> None:
    frame = stored.frame.assign(translated=stored.frame.device == PHONE)
    devices = tuple(d.model_copy(update={"translated": d.virtual}) for d in stored.run.devices)
    translated = stored.but(frame=frame, run=stored.run.model_copy(update={"devices": devices}))
    page = Checker(translated.page(tmp_path))
    assert "Translated machine code." in page.text
    assert "meaningless under translation" in page.text
    table = translated.table("results", "lenet5")
    timed = [table.header.index(name) for name in ("Latency, median", "Peak RSS", "Load", "First inference")]
    for row in table.cells:
        if row[1].text == f"{PHONE} (virtual, translated)":
            assert {row[i].text for i in timed} == {"meaningless"}
            assert row[table.header.index("p90")].text == "–"
            assert row[table.header.index("Agreement")].text == "100.00 %"


def test_six_variants_and_two_phones(stored: Stored, tmp_path: Path) -> None:
    names = [f"variant-{i}" for i in range(5)]
    lenet5 = stored.frame[stored.frame.model == "lenet5"]
    copies = [lenet5[lenet5.variant == "fr-dense"].assign(variant=name) for name in names]
    frame = pd.concat([lenet5[lenet5.variant == "baseline"], *copies])
    second = frame[frame.device == PHONE].assign(device="R58M123", virtual=False)
    phone = stored.run.devices[1].model_copy(update={"serial": "R58M123", "virtual": False})
    plan = stored.run.plan | {"cases": [{"model": "lenet5", "variants": ["baseline", *names]}]}
    run = stored.run.model_copy(update={"devices": (*stored.run.devices, phone), "plan": plan})
    many = stored.but(run=run, frame=pd.concat([frame, second]))
    page = Checker(many.page(tmp_path))
    assert "R58M123 (virtual)" not in page.text
    lenet = many.table("results", "lenet5")
    assert list(dict.fromkeys(row[0] for row in lenet.rows)) == ["baseline", *names]
    assert len(lenet.rows) == 6 * 4


@pytest.mark.parametrize("reason", ["<script>alert(1)</script>", "$\\frac{1$ & 'q' \"r\"", "記憶體不足", "x" * 5000])
def test_a_reason_is_shown_as_text_whatever_it_holds(stored: Stored, tmp_path: Path, reason: str) -> None:
    failed = stored.keep((stored.frame.model == "lenet5") & (stored.frame.device == PHONE)).fail(reason)
    page = Checker(failed.page(tmp_path))
    assert re.sub(r"\s+", " ", reason) in page.text


def test_what_acts_instead_of_being_seen_is_shown_as_an_escape(stored: Stored, tmp_path: Path) -> None:
    hostile = "red \x1b[31m back \x08 line\u2028 turned \u202e c1 \x9b"
    devices = tuple(d.model_copy(update={"name": f"{hostile} half \udc80"}) for d in stored.run.devices)
    named = stored.fail(hostile).but(run=stored.run.model_copy(update={"devices": devices, "notes": (hostile,)}))
    page = Checker(named.page(tmp_path)).text
    assert "red \\x1b[31m back \\x08 line\\u2028 turned \\u202e c1 \\x9b half \\udc80" in page
    assert not set("\x1b\x08\u2028\u202e\x9b") & set(page + (tmp_path / "summary.csv").read_text(encoding="utf-8"))
