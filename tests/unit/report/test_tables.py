"""Tables, summary.csv and JSON."""

import csv
import json
import sys
from pathlib import Path
from subprocess import run

import pandas as pd
import pytest

from bench import report
from bench.findings import Comparison, Interval
from bench.records import Subject
from bench.registry import Registry
from bench.report import Context, Section, content, values
from bench.report.labels import difference
from tests.unit.report.report_kit import PHONE, Stored

SUBJECT = Subject(model="m", variant="v", device="d", runtime="r")


def test_a_score_is_shown_with_its_interval_and_its_samples(judged: Stored) -> None:
    table = judged.table("results", "lenet5")
    accuracy = table.cells[0][table.header.index("Accuracy")]
    assert (accuracy.text, accuracy.detail) == ("98.40 %", "96.0–99.4 %, n = 250")
    answers = judged.table("results", "lenet5: answers")
    assert answers.header[2:] == ("Accuracy", "Top-5", "Confidence", "Calibration error", "Agreement", "Max |Δ|")


def test_scores_that_were_not_measured_have_no_column(judged: Stored, stored: Stored) -> None:
    assert judged.table("results", "unet: answers").header[2:] == ("Dice", "IoU", "Agreement", "Max |Δ|")
    assert stored.table("results", "unet: answers").header[2:] == ("Agreement", "Max |Δ|")


def test_settings_are_told_apart(stored: Stored) -> None:
    more = stored.frame[stored.frame["pass"] == "latency"].assign(threads=2)
    lenet = stored.but(frame=pd.concat([stored.frame, more])).table("results", "lenet5")
    wheres = [row[1].split(" [")[0] for row in lenet.rows]
    assert len({(row[0], where) for row, where in zip(lenet.rows, wheres, strict=True)}) == len(lenet.rows)
    assert {where.rpartition(", ")[2] for where in wheres} == {"1 thread", "2 threads"}
    sizes = {row[6] for row in lenet.rows if "ncnn" in row[1] and row[0] == "baseline"}
    assert sizes == {"1.73 MB"}


def test_two_runtimes_of_a_phone_are_told_apart(judged: Stored) -> None:
    other = judged.frame[judged.frame.device == PHONE].assign(runtime="other")
    both = judged.but(frame=pd.concat([judged.frame, other]))
    wheres = {row[1].split(" [")[0] for row in both.table("results", "lenet5").rows}
    assert {f"{PHONE} (virtual) ncnn", f"{PHONE} (virtual) other"} <= wheres


@pytest.mark.parametrize(
    ("metric", "figures", "text"),
    [
        ("top1", (-0.013, (-0.021, -0.005), 0.0004), "−1.30 points [−2.1, −0.5], p = 0.0004"),
        ("dice", (0.0, (-0.0004, 0.0004), 1.0), "0.00 points [0.0, 0.0], p = 1.00"),
        ("psnr", (1.25, (0.5, 2.0), 0.00001), "+1.25 dB [+0.5, +2.0], p < 0.0001"),
        ("top1", (0.5, None, None), "+50.00 points"),
    ],
)
def test_a_difference_as_text(
    metric: str, figures: tuple[float, tuple[float, float] | None, float | None], text: str
) -> None:
    value, bounds, p = figures
    interval = Interval(*bounds, "paired") if bounds else None
    found = Comparison("variant", metric, SUBJECT, SUBJECT, None, interval, "differs", "", value, p)
    shown = difference(found)
    assert shown is not None
    assert shown.text == text


def test_summary_csv_is_read_back_with_pandas(stored: Stored, tmp_path: Path) -> None:
    stored.page(tmp_path)
    found = pd.read_csv(tmp_path / "summary.csv", skiprows=1)
    phone = found[(found.device == PHONE) & (found.model == "lenet5") & (found.metric == "top1")]
    assert dict(zip(phone.variant, phone["median"], strict=True)) == {
        "baseline": 0.984,
        "fr-dense": 0.972,
        "fr-factored": 0.972,
    }
    whole = found[(found.metric == "latency") & (found.device == "desktop") & (found.runtime == "ncnn")]
    assert ((whole.low <= whole["median"]) & (whole["median"] <= whole.high)).all()


@pytest.mark.parametrize("reason", ["=HYPERLINK(1)", "+1", "-1", "@SUM(1)", "\t=1", "'=1"])
def test_no_cell_of_summary_csv_is_a_formula(stored: Stored, reason: str) -> None:
    named = stored.frame.assign(device=stored.frame.device.replace(PHONE, reason))
    text = values.summary_csv(stored.but(frame=named).findings)
    rows = list(csv.DictReader(text.splitlines()[1:]))
    devices = {row["device"] for row in rows} - {"desktop"}
    assert len(devices) == 1
    assert devices.pop().startswith("'")
    assert all(float(row["median"]) > 0 for row in rows if row["metric"] == "latency")


def test_json_has_every_summary(stored: Stored) -> None:
    context = Context.of(stored.run, stored.measurements, stored.findings)
    found = json.loads(json.dumps(values.as_json(stored.findings, content(context))))
    assert len(found["summaries"]) == len(stored.findings.summaries)
    assert found["summaries"][0]["subject"]["model"] == "lenet5"
    assert {s["verdict"].split(":")[0] for s in found["summaries"]} >= {"usable", "usable (virtual)", "not usable"}
    assert len(found["answer"]) >= 3
    assert {"results", "comparisons"} <= {table["section"] for table in found["tables"]}


def test_tables_are_made_without_matplotlib() -> None:
    code = (
        "import sys, bench.report as r; [r.SECTIONS[n] for n in r.SECTIONS.names()]; print('matplotlib' in sys.modules)"
    )
    done = run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def a_section(context: Context) -> Section:
    return Section("third-party", "From elsewhere", sentences=(f"{len(context.measurements)} trials.",))


def test_an_installed_package_adds_a_section(judged: Stored, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    more = Registry("report section", "none", {"third-party": f"{__name__}:a_section"})
    monkeypatch.setattr(report, "SECTIONS", more)
    assert f"{len(judged.measurements)} trials." in judged.page(tmp_path)


def a_broken_section(context: Context) -> Section:
    return Section(str(1 // 0))


def test_a_section_of_another_package_that_breaks_costs_itself_alone(
    judged: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = {"broken": f"{__name__}:a_broken_section", "third-party": f"{__name__}:a_section"}
    monkeypatch.setattr(report, "SECTIONS", Registry("report section", "none", places))
    shown = judged.sections()
    (notice,) = shown["broken"].notices
    assert notice.startswith("This section is missing: ZeroDivisionError")
    assert shown["third-party"].sentences
