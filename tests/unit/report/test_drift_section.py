"""The section, the plots and the rows of drift, of runs with planted answers."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from bench.analyse import analyse
from bench.drifted import Strip, Tile
from bench.findings import Findings
from bench.report import Context, drift_rows, values
from bench.report.plots import drift as plots
from bench.report.section import Section
from bench.report.sections import drift as sections
from tests.unit.analyse.drift_kit import FRAGILE, GOOD, SETS, Shown, run_of


def shown_of(*, labels: bool = True, failed: Sequence[str] = ()) -> Shown:
    shown = Shown(run_of("baseline", "fr", "half"))
    for device in ("desktop", "p1"):
        shown.add("baseline", GOOD, device=device, labels=labels)
        shown.add("fr", FRAGILE, device=device, labels=labels, failed=failed)
        shown.add("half", GOOD, device=device, labels=labels)
    return shown


def context_of(shown: Shown, findings: Findings | None = None) -> Context:
    found = findings or analyse(shown.frame, shown.run, shown.answers)
    return Context.of(shown.run, (), found)


def section_of(shown: Shown) -> Section:
    found = sections.section(context_of(shown))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def told() -> Section:
    return section_of(shown_of())


def test_a_sentence_says_what_is_kept_and_who_loses_more(told: Section) -> None:
    (sentence,) = told.sentences
    assert sentence.startswith(
        "m on p1 (virtual) and desktop ncnn, 200 of 1,000 samples under 2 corruptions in 3 sever"
    )
    assert "baseline keeps " in sentence
    assert "of its accuracy (" in sentence
    assert re.search(
        r"fr loses more under Gaussian noise \((18|19|20)\.\d points, p < 0\.001\) than baseline\.", sentence
    )
    assert "That half loses more than baseline is shown for no corruption." in sentence


def test_the_table_has_a_row_for_each_corruption_and_a_column_for_each_variant(told: Section) -> None:
    (table,) = told.tables
    assert table.header == ("Corruption", "baseline", "fr", "half")
    assert [row[0].text for row in table.cells] == [
        "as they are", "Gaussian noise", "blur", "mean of all", "kept of the score",
    ]  # fmt: skip
    noise = table.cells[1]
    assert noise[2].tone == "bad"
    assert re.search(r"(18|19|20)\.\d more, p < 0\.001$", noise[2].detail)
    assert (noise[1].tone, noise[3].tone) == ("plain", "plain")


def test_every_severity_is_in_a_table_to_unfold(told: Section) -> None:
    (folded,) = told.folded
    assert [(row[0].text, row[1].text) for row in folded.table.cells] == [
        (one.text, str(severity)) for one in SETS if one.name for severity in one.severities
    ]
    worst, mild = folded.table.cells[2][2], folded.table.cells[3][2]
    assert worst.tone == "plain"
    assert mild.tone == "muted", "half a point is chance"
    assert "−" in worst.detail


def test_without_labels_it_is_agreement_and_says_so() -> None:
    found = section_of(shown_of(labels=False))
    assert "the answer stays that to the sample as it is (nobody knows the right one): baseline " in found.sentences[0]
    assert found.tables[0].title.endswith("agreement with the answer to the sample as it is")
    assert [row[0].text for row in found.tables[0].cells] == ["Gaussian noise", "blur", "mean of all"]


def test_what_failed_is_said_where_its_figure_would_be() -> None:
    found = section_of(shown_of(failed=["noise"]))
    assert "fr m on p1 (virtual): Gaussian noise: killed." in found.details
    assert [row[2].text for row in found.tables[0].cells if row[0].text in ("Gaussian noise", "mean of all")] == [
        "not measured", "not measured",
    ]  # fmt: skip


def test_a_variant_that_answered_nothing_is_said_to_have_failed() -> None:
    shown = Shown(run_of("baseline"))
    shown.add("baseline", GOOD, failed=["clean", "noise", "blur"])
    (sentence,) = section_of(shown).sentences
    assert sentence == "baseline m on p1 (virtual) was shown no corrupted samples: failed: killed."


def test_a_run_without_drift_has_no_section() -> None:
    shown = Shown(run_of("baseline"))
    assert sections.section(context_of(shown, Findings())) is None


def test_the_curves_and_the_strip_are_drawn_and_say_in_words_what_they_show() -> None:
    shown = shown_of()
    out = io.BytesIO()
    Image.fromarray(np.full((20, 30, 3), 90, np.uint8)).save(out, format="PNG")
    tiles = tuple(Tile(severity, out.getvalue()) for severity in (0, 1, 3, 5))
    strips = tuple(Strip(model, one.name, one.text, tiles) for model in ("m", "n") for one in SETS if one.name)
    findings = replace(analyse(shown.frame, shown.run, shown.answers), strips=strips)
    curves, strip = plots.draw(context_of(shown, findings))
    assert curves.name == "drift-0"
    assert re.search(r"; fr, 9\d\.\d\d % as they are: Gaussian noise ", curves.alt)
    assert "Gaussian noise" in curves.alt
    assert strip.title == "What corruptions make of one sample of m and n", "two networks that were shown the same"
    for picture in (curves, strip):
        with Image.open(io.BytesIO(picture.png)) as png:
            png.load()
        assert picture.titled


def test_rows_have_every_severity_and_the_means() -> None:
    shown = shown_of()
    findings = analyse(shown.frame, shown.run, shown.answers)
    rows = list(drift_rows.rows(findings, shown.run))
    text = values.as_csv(drift_rows.COLUMNS, rows)
    read = list(csv.DictReader(io.StringIO(text.partition("\n")[2])))
    mine = [one for one in read if (one["variant"], one["device"]) == ("fr", "p1")]
    assert [(one["corruption"], one["severity"]) for one in mine] == [
        ("noise", "1"), ("noise", "3"), ("noise", "5"), ("noise", ""), ("blur", "1"), ("blur", "3"), ("blur", "5"),
        ("blur", ""), ("all", ""),
    ]  # fmt: skip
    assert all(one["virtual"] == "True" for one in mine)
    noise = mine[3]
    assert float(noise["more_low"]) < float(noise["more"]) < float(noise["more_high"])
    assert float(noise["p"]) < 0.001
    made = json.loads(json.dumps(values.as_json(findings, ())["drift"]))
    assert made[0]["kinds"][0]["cells"][0]["severity"] == 1
    assert {one["score"] for one in made} == {"top1"}
