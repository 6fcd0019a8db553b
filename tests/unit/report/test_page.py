"""The page of every kind of run: whole, interrupted, failed, without a phone, translated, hostile."""

import base64
import hashlib
import re
from importlib import resources
from itertools import product
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest

from bench.report import Section
from bench.report.page import Page, render
from bench.report.table import Cell, Table
from tests.unit.report.report_kit import PHONE, Checker, Stored

STYLE = resources.files("bench.report").joinpath("page.css").read_text("utf-8")


def test_a_whole_run(stored: Stored, tmp_path: Path) -> None:
    page = Checker(stored.page(tmp_path))
    assert {f.name for f in tmp_path.iterdir()} == {
        "report.html", "report.md", "summary.csv", "summary.parquet", "variants.csv", "plots",
    }  # fmt: skip
    plots = {f.stem for f in (tmp_path / "plots").iterdir()}
    assert plots >= {"latency", "memory", "size", "ratios", "places", "start-up"}
    for name in plots:
        assert (tmp_path / "plots" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        ElementTree.parse(tmp_path / "plots" / f"{name}.svg")
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
    cells = {row[3] for table in failed.tables("results") for row in table.rows}
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


def page_of(*sections: Section) -> str:
    return render(Page("title", "", (), sections, "bench", "end"))


def test_a_page_may_fetch_nothing_and_run_no_script_but_its_own(judged: Stored, tmp_path: Path) -> None:
    text = judged.page(tmp_path)
    page = Checker(text)
    (policy,) = (given["content"] for tag, given in page.attributes if given.get("http-equiv"))
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.split("; ")[0] == "default-src 'none'"
    assert f"script-src 'sha256-{digest}'" in policy.split("; ")
    styles = " ".join(re.findall(r"<style.*?</style>|style=\"[^\"]*\"", text, re.DOTALL))
    assert "@import" not in styles
    assert set(re.findall(r"url\((.)", styles)) <= {"#"}


def test_a_page_has_landmarks_a_language_and_a_way_past_its_head(judged: Stored, tmp_path: Path) -> None:
    page = Checker(judged.page(tmp_path))
    assert ("html", {"lang": "en"}) in page.attributes
    assert all(page.count[tag] for tag in ("header", "nav", "main", "footer"))
    first_link = next(given for tag, given in page.attributes if tag == "a")
    assert first_link == {"class": "skip", "href": "#content"}


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_text_stands_out_from_its_ground(mode: int) -> None:
    """WCAG 2.2, success criterion 1.4.3."""
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", STYLE.split(":root {")[1 + mode]))
    texts, grounds = ("ink", "soft", "link", "good", "bad"), ("paper", "raised", "warn")
    for text, ground in product(texts, grounds):
        if ground == "warn" and text != "ink":
            continue
        light, dark = sorted((luminance(colours[text]), luminance(colours[ground])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground)


def test_figures_carry_the_numbers_that_they_are_sorted_by(judged: Stored) -> None:
    for section in ("results", "comparisons"):
        for table in judged.tables(section):
            for row in table.cells:
                for cell in row[table.words :]:
                    assert (cell.value is not None) == any(c.isdigit() for c in cell.text) or cell.text == "equal"


def test_a_table_is_sorted_by_values_and_not_by_what_they_look_like() -> None:
    cells = ((Cell("a"), Cell("1.20 s", value=1.2e9)), (Cell("b"), Cell("80 ms", value=8e7)), (Cell("c"), Cell("–")))
    page = page_of(Section("s", "S", tables=(Table("t", ("Name", "Time"), cells, words=1),)))
    assert re.findall(r'<td class="figure"(.*?)>', page) == [
        ' data-value="1200000000.0"',
        ' data-value="80000000.0"',
        "",
    ]
    assert '<table class="sortable">' in page


def test_large_figures_say_what_the_tables_say(judged: Stored) -> None:
    found = judged.sections()["answer"].highlights
    (unet,) = (h for h in found if h.title.startswith("unet: fr-auto"))
    table = judged.table("comparisons", "unet: baseline ÷ variant")
    (row,) = (cells for cells in table.cells if cells[0].text == "fr-auto" and PHONE in cells[1].text)
    latency, memory, size = row[2:5]
    assert [(f.text, f.words) for f in unet.figures] == [
        (latency.text, "faster"), (memory.text, "less"), (size.text, "fewer"), ("−3.99", "points"),
    ]  # fmt: skip
    assert f"95 %: {latency.detail}" in unet.figures[0].details
    assert unet.virtual
    assert unet.sentence == "fr-auto makes unet faster, lighter on memory and smaller; its Dice falls by 3.99 points."


def test_a_virtual_figure_is_labelled_where_it_stands_large(judged: Stored, tmp_path: Path) -> None:
    page = judged.page(tmp_path)
    labels = re.findall(r"<dt>((?:Latency|Peak memory|Bytes|Dice|Accuracy).*?)</dt>", page)
    assert labels
    assert all(label.endswith("(virtual)") for label in labels)


def test_a_figure_that_is_not_usable_is_not_shown_large(judged: Stored) -> None:
    latency = (judged.frame["pass"] == "latency") & (judged.frame.model == "unet")
    tagged = judged.but(frame=judged.frame.assign(status=judged.frame.status.where(~latency, "tagged")))
    (unet,) = (h for h in tagged.sections()["answer"].highlights if h.title.startswith("unet: "))
    assert (unet.figures[0].text, unet.figures[0].words) == ("–", "not usable")
    assert "faster" not in unet.sentence


def test_a_page_says_how_to_make_the_run_again(judged: Stored, tmp_path: Path) -> None:
    words = ("bench", "run", "--plan", "a plan.toml", "--label", "</code><script>")
    run = judged.run.model_copy(update={"command": words, "commit": "5ca1ab1e+"})
    page = Checker(judged.but(run=run).page(tmp_path))
    assert "bench run --plan 'a plan.toml' --label '</code><script>'" in page.text
    assert "5ca1ab1e with uncommitted changes" in page.text
    assert "```sh\nbench run --plan 'a plan.toml'" in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_a_run_without_its_command_says_so(judged: Stored) -> None:
    assert "did not store the command" in judged.sections()["reproduce"].note


def test_the_validity_of_every_figure_is_listed(judged: Stored) -> None:
    (validity,) = (f for f in judged.sections()["measured"].folded if f.id == "validity")
    assert len(validity.table.cells) == len(judged.findings.summaries)
    assert {row[3].split(":")[0] for row in validity.table.rows} >= {"usable", "not usable", "usable with care"}
