"""Confidence and cascades in a report: a stored run with facts at a temperature, and one without."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.confidence import Calibration, Cascade
from bench.report import Context
from bench.report.sections.confidence import section
from tests.unit.report.report_kit import PHONE, Stored

MODEL, VARIANT = "lenet5", "half"


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """The golden run, with a cascade in the place of one of its variants."""
    found = Stored.read("synthetic-run-4", tmp_path_factory.mktemp("run"))
    random = np.random.default_rng(1)
    made = Cascade(
        small="dense-small:20x", threshold=0.8, temperature=1.2, goal="-0.5pt", samples=1_566,
        accuracy=(0.9, 0.97, 0.968), asked=0.25,
    )  # fmt: skip
    fitted = Calibration(temperatures=(1.2, 1.5), samples=1_566, nll=(0.4, 0.3), ece=(0.06, 0.01))
    artifacts = tuple(
        a.model_copy(update={"cascade": made, "calibration": fitted}) if (a.model, a.variant) == (MODEL, VARIANT) else a
        for a in found.run.artifacts
    )
    answers = {
        trial: {
            **facts,
            "calibrated": np.clip(facts["confidence"] - 0.03, 0, 1),
            "asked": random.integers(0, 2, len(facts["confidence"])).astype(np.float64),
        }
        if f"/{MODEL}/{VARIANT}/" in trial and "confidence" in facts
        else facts
        for trial, facts in found.answers.items()
    }
    return found.but(run=found.run.model_copy(update={"artifacts": artifacts}), answers=answers)


def test_a_run_without_temperatures_has_no_section_on_confidence(tmp_path: Path) -> None:
    sections = Stored.read("synthetic-run-4", tmp_path).sections()
    assert not {"confidence", "cascade"} & sections.keys()


def test_the_calibration_error_of_an_old_run_is_the_mean_distance_of_its_bins(tmp_path: Path) -> None:
    """As it was before there were temperatures."""
    found = Stored.read("synthetic-run-4", tmp_path)
    some = 0
    for summary in found.findings.summaries:
        s = summary.subject
        trial = f"accuracy/{s.model}/{s.variant}/{s.device}/{s.runtime}/t{s.threads}/{s.precision}/0"
        if summary.metric != "ece" or summary.statistics is None:
            continue
        facts = found.answers[trial]
        bins = np.clip(np.ceil(np.asarray(facts["confidence"]) * 15) - 1, 0, 14)
        gaps = (np.asarray(facts["rank"]) == 0) - np.asarray(facts["confidence"])
        assert summary.statistics.median == pytest.approx(
            sum(abs(gaps[bins == k].sum()) for k in range(15)) / len(gaps)
        )
        some += 1
    assert some


def test_a_variant_with_a_temperature_has_its_error_before_and_after(stored: Stored) -> None:
    (table,) = stored.tables("confidence")
    row = next(row for row in table.rows if row[0] == VARIANT)
    assert row[2] == "1.2, 1.5 (of the small network, of the one that it asks)"
    assert "n = 1,566" in row[5]
    assert "virtual" in " ".join(row)
    assert row[3] != row[4]


def test_a_cascade_is_held_against_the_network_that_it_asks(stored: Stored) -> None:
    cascade = stored.sections()["cascade"]
    (table,) = cascade.tables
    assert all(row[0] == VARIANT for row in table.rows)
    phone = next(row for row in table.rows if row[1].startswith(PHONE))
    assert phone[2].endswith("%)") or "n =" in phone[2]
    assert phone[6] != "–"
    assert "is below 0.800 (goal -0.5pt)" in cascade.details[0]


def test_a_reliability_diagram_says_in_words_what_it_shows(stored: Stored) -> None:
    context = Context.of(stored.run, stored.measurements, stored.findings, pictures=True)
    found = section(context)
    assert found is not None
    assert [picture.name for picture in found.pictures][:1] == ["reliability-0"]
    assert "right at" in found.pictures[0].alt
