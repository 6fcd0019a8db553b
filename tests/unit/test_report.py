"""The report of every kind of run: whole, interrupted, failed, without a phone, translated, hostile."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
from bench.store import RunFolder

from bench.analyse import analyse
from bench.records import Measurement, RunRecord
from bench.report import html, tables

STORED = RunFolder(Path(__file__).parents[1] / "golden" / "synthetic-run")
PHONE = "emulator-5554"


class Stored(NamedTuple):
    run: RunRecord
    measurements: tuple[Measurement, ...]
    frame: pd.DataFrame

    def keep(self, wanted: pd.Series) -> "Stored":
        orders = set(self.frame[wanted].order)
        kept = tuple(m for m in self.measurements if m.trial.order in orders)
        return self._replace(frame=self.frame[wanted], measurements=kept)

    def fail(self, reason: str) -> "Stored":
        frame = self.frame.drop_duplicates("trial").assign(
            status="failed", reason=reason, metric="", value=float("nan")
        )
        failed = tuple(m.model_copy(update={"status": "failed", "reason": reason}) for m in self.measurements)
        return self._replace(frame=frame, measurements=failed)

    def page(self, folder: Path) -> str:
        return html.write(folder, self.run, self.measurements, analyse(self.frame, self.run)).read_text()

    def tables(self) -> tables.Tables:
        return tables.of_run(self.run, self.measurements, analyse(self.frame, self.run))


@pytest.fixture(scope="module")
def stored() -> Stored:
    frame = pd.read_parquet(STORED.path / "measurements.parquet")
    return Stored(STORED.record(), STORED.measurements(), frame)


class Checker(HTMLParser):
    """Every element closed, no id twice, nothing fetched from elsewhere, every link to an id that exists."""

    EMPTY = frozenset({"meta", "br", "img", "link", "input", "hr"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []
        assert len(self.ids) == len(set(self.ids))
        assert {link.removeprefix("#") for link in self.links} <= set(self.ids)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag != "script"
        if tag not in self.EMPTY:
            self.open.append(tag)
        for key, value in attrs:
            if key == "id":
                self.ids.append(value or "")
            if key in ("href", "src", "xlink:href"):
                assert value is not None
                assert value.startswith("#"), f"{tag} would fetch {value}"
                self.links.append(value)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.EMPTY:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def test_a_whole_run(stored: Stored, tmp_path: Path) -> None:
    page = Checker(stored.page(tmp_path))
    files = {"report.html", "summary.csv", "latency.png", "memory.png", "size.png"}
    assert {f.name for f in tmp_path.iterdir()} == files
    assert all((tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG") for name in ("latency", "memory", "size"))
    assert "Virtual phone." in page.text
    assert "out_of_memory: 124174344 bytes for the weights of conv_17" in page.text
    assert "interrupted" not in page.text


def test_the_sentences_say_what_the_table_says(stored: Stored) -> None:
    shown = stored.tables()
    (ratios,) = (t for t in shown.ratios if t.title.startswith("unet"))
    (row,) = (
        cells for cells in ratios.cells if (cells[0].text, cells[1].text) == ("fr-factored", f"{PHONE} (virtual)")
    )
    latency, memory, size = row[2:5]
    (sentence,) = (s for s in shown.answer.sentences if "fr-factored unet" in s)
    assert f"is {latency.text} faster than baseline [{latency.detail}]" in sentence
    assert f"peaks at {memory.text} less memory and needs {size.text} fewer bytes on {PHONE} (virtual)" in sentence


def test_everything_virtual_or_untrained_says_so(stored: Stored) -> None:
    shown = stored.tables()
    for table in shown.tables:
        for row in table.rows:
            for cell in row:
                assert PHONE not in cell or f"{PHONE} (virtual)" in cell
        if table.title.startswith("unet"):
            assert "untrained: speed and fidelity only" in table.title
    for sentence in (*shown.answer.sentences, *shown.answer.details):
        assert PHONE not in sentence or f"{PHONE} (virtual)" in sentence


def test_a_variant_with_weights_of_its_own_has_its_dice_beside_an_untrained_baseline(stored: Stored) -> None:
    """As where the FR variants are the ones that come with bench. SYNTHETIC figures."""
    ours = (stored.frame.model == "unet") & (stored.frame.variant != "baseline")
    dice = stored.frame[ours & (stored.frame.metric == "agreement")].assign(metric="accuracy", value=0.9312)
    artifacts = tuple(
        a.model_copy(update={"trained": True}) if (a.model, a.variant) != ("unet", "baseline") else a
        for a in stored.run.artifacts
    )
    run = stored.run.model_copy(update={"artifacts": artifacts})
    shown = stored._replace(run=run, frame=pd.concat([stored.frame, dice])).tables()
    (unet,) = (table for table in shown.results if table.title.startswith("unet"))
    assert unet.title == "unet (baseline untrained: speed and fidelity only)"
    column = unet.header.index("Dice")
    for row in unet.rows:
        assert row[column] == ("untrained" if row[0] == "baseline" else "93.12 %")
    (sentence,) = (s for s in shown.answer.sentences if "fr-factored unet" in s)
    assert "at 93.12 % Dice" in sentence
    assert "instead of" not in sentence


def test_summary_csv_is_read_back_with_pandas(stored: Stored, tmp_path: Path) -> None:
    stored.page(tmp_path)
    found = pd.read_csv(tmp_path / "summary.csv", skiprows=1)
    phone = found[(found.device == PHONE) & (found.model == "lenet5") & (found.metric == "accuracy")]
    assert dict(zip(phone.variant, phone["median"], strict=True)) == {
        "baseline": 0.984,
        "fr-dense": 0.972,
        "fr-factored": 0.972,
    }
    whole = found[(found.metric == "latency") & (found.device == "desktop") & (found.runtime == "native")]
    assert ((whole.low <= whole["median"]) & (whole["median"] <= whole.high)).all()


def test_json_has_every_summary(stored: Stored) -> None:
    shown = stored.tables()
    values = json.loads(json.dumps(shown.as_json()))
    assert len(values["summaries"]) == len(shown.findings.summaries)
    assert {s["verdict"].split(":")[0] for s in values["summaries"]} >= {"usable", "usable (virtual)", "not usable"}


@pytest.mark.parametrize("trials", [0, 1, 20, 60])
def test_an_interrupted_run(stored: Stored, tmp_path: Path, trials: int) -> None:
    some = stored.keep(stored.frame.order < trials)._replace(run=stored.run.model_copy(update={"finished": None}))
    page = Checker(some.page(tmp_path))
    assert "This run was interrupted." in page.text
    assert f"{trials} trials" in page.text


def test_a_run_in_which_everything_failed(stored: Stored, tmp_path: Path) -> None:
    failed = stored.fail("left with status 7")
    page = Checker(failed.page(tmp_path))
    assert f"Nothing was measured: {len(failed.measurements)} trials failed" in page.text
    assert "left with status 7" in page.text
    cells = {row[2] for table in failed.tables().results for row in table.rows}
    assert {cell.split(" ")[0] for cell in cells} == {"failed"}


def test_a_run_without_a_phone(stored: Stored, tmp_path: Path) -> None:
    desktop = stored.keep(stored.frame.device == "desktop")
    devices = tuple(d for d in stored.run.devices if d.kind == "desktop")
    alone = desktop._replace(run=stored.run.model_copy(update={"devices": devices}))
    page = Checker(alone.page(tmp_path))
    assert PHONE not in page.text.replace("pushed to emulator-5554", "")
    assert any("fr-factored unet" in s and "on desktop native" in s for s in alone.tables().answer.sentences)


def test_one_variant_alone_is_no_comparison(stored: Stored, tmp_path: Path) -> None:
    one = stored.keep((stored.frame.variant == "baseline") & (stored.frame.model == "lenet5"))
    Checker(one.page(tmp_path))
    shown = one.tables()
    assert shown.ratios == ()
    assert shown.answer.sentences[0].endswith("nothing to compare it with.")


def test_no_time_of_a_translated_phone_is_shown(stored: Stored, tmp_path: Path) -> None:
    frame = stored.frame.assign(translated=stored.frame.device == PHONE)
    devices = tuple(d.model_copy(update={"translated": d.virtual}) for d in stored.run.devices)
    translated = stored._replace(frame=frame, run=stored.run.model_copy(update={"devices": devices}))
    page = Checker(translated.page(tmp_path))
    assert "Translated machine code." in page.text
    assert "meaningless under translation" in page.text
    where = f"{PHONE} (virtual, translated)"
    for table in translated.tables().results:
        for row in table.cells:
            if row[1].text == where:
                assert {row[i].text for i in (2, 4, 6, 7)} <= {"meaningless", "failed"}
                assert row[3].text == "–"
                assert row[9].text == "100.00 %"


def test_six_variants_and_two_phones(stored: Stored, tmp_path: Path) -> None:
    names = [f"variant-{i}" for i in range(5)]
    lenet5 = stored.frame[stored.frame.model == "lenet5"]
    copies = [lenet5[lenet5.variant == "fr-dense"].assign(variant=name) for name in names]
    frame = pd.concat([lenet5[lenet5.variant == "baseline"], *copies])
    second = frame[frame.device == PHONE].assign(device="R58M123", virtual=False)
    phone = stored.run.devices[1].model_copy(update={"serial": "R58M123", "virtual": False})
    plan = stored.run.plan | {"cases": [{"model": "lenet5", "variants": ["baseline", *names]}]}
    run = stored.run.model_copy(update={"devices": (*stored.run.devices, phone), "plan": plan})
    many = Stored(run, stored.measurements, pd.concat([frame, second]))
    page = Checker(many.page(tmp_path))
    assert "R58M123 (virtual)" not in page.text
    (lenet,) = many.tables().results
    assert list(dict.fromkeys(row[0] for row in lenet.rows)) == ["baseline", *names]
    assert len(lenet.rows) == 6 * 4


@pytest.mark.parametrize("reason", ["<script>alert(1)</script>", "$\\frac{1$ & 'q' \"r\"", "記憶體不足", "x" * 5000])
def test_a_reason_is_shown_as_text_whatever_it_holds(stored: Stored, tmp_path: Path, reason: str) -> None:
    failed = stored.keep((stored.frame.model == "lenet5") & (stored.frame.device == PHONE)).fail(reason)
    page = Checker(failed.page(tmp_path))
    assert re.sub(r"\s+", " ", reason) in page.text


def test_settings_are_told_apart(stored: Stored) -> None:
    more = stored.frame[stored.frame["pass"] == "latency"].assign(threads=2)
    two = stored._replace(frame=pd.concat([stored.frame, more]))
    (lenet, _) = two.tables().results
    wheres = [row[1].split(" [")[0] for row in lenet.rows]
    assert len({(row[0], where) for row, where in zip(lenet.rows, wheres, strict=True)}) == len(lenet.rows)
    assert {where.rpartition(", ")[2] for where in wheres} == {"1 thread", "2 threads"}
    sizes = {row[5] for row in lenet.rows if "native" in row[1] and row[0] == "baseline"}
    assert sizes == {"1.73 MB"}
