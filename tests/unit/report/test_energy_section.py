"""Energy where it was asked for: the figure with its validity, or why there is none."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bench.records import Measurement, Sample, Subject, Trial
from bench.results.folder import COLUMNS
from tests.unit.report.report_kit import PHONE, Stored


def asked(stored: Stored, figures: dict[str, list[float]], reason: str = "") -> Stored:
    """A stored run whose plan asked for energy, with the joules of launches by variant of lenet5 on the phone, or with
    that reason why there are none, or what to think of them."""
    run = stored.run.model_copy(update={"plan": {**stored.run.plan, "protocol": {"energy_seconds": 60.0}}})
    failed, new, rows = reason.startswith("no energy"), [], []
    for variant, joules in figures.items():
        subject = Subject(model="lenet5", variant=variant, device=PHONE, runtime="ncnn")
        for launch, value in enumerate(joules):
            trial = Trial(subject=subject, pass_="energy", launch=launch, order=9000 + len(new))
            about: dict[str, Any] = {"rest_watts": 0.8, "load_watts": 2.8 + launch / 10, "words": "charge counter"}
            new.append(
                Measurement(
                    trial=trial, status="failed" if failed else "ok", reason=reason, started="", wall_s=120.0,
                    samples=() if failed else (Sample("energy", 0, value),),
                    conditions={} if failed else {"energy": about},
                )
            )  # fmt: skip
            rows.append(
                {**subject.model_dump(), "trial": trial.id, "pass": "energy", "launch": launch, "order": trial.order,
                 "virtual": False, "translated": False, "status": new[-1].status, "reason": reason,
                 "metric": "" if failed else "energy", "index": 0, "value": value}
            )  # fmt: skip
    frame = pd.concat([stored.frame, pd.DataFrame(rows, columns=COLUMNS.names)], ignore_index=True)
    return stored.but(run=run, measurements=(*stored.measurements, *new), frame=frame)


def test_a_run_that_did_not_ask_has_no_such_section(judged: Stored) -> None:
    assert "energy" not in judged.sections()


def test_each_variant_has_its_energy_ratio_power_and_validity(judged: Stored) -> None:
    found = asked(judged, {"baseline": [0.040] * 5, "half": [0.020, 0.0201, 0.0199, 0.02, 0.0202]})
    (table,) = found.tables("energy")
    baseline, half = table.rows
    assert baseline[0] == "lenet5 baseline"
    assert baseline[2].startswith("40.0 mJ")
    assert half[2].startswith("20.0 mJ (")
    assert half[3].startswith("2.00×")
    assert half[4:6] == ("0.80 W", "2.80 to 3.20 W")
    assert half[6].startswith("usable")


def test_an_energy_that_is_not_there_is_absent_with_its_reason_and_a_way_out(judged: Stored) -> None:
    why = "it is plugged in, so its battery is not what feeds it"
    found = asked(judged, {"baseline": [0.0] * 5, "half": [0.0] * 5}, f"no energy: {why}")
    (table,) = found.tables("energy")
    assert [row[2] for row in table.rows] == ["absent", "absent"]
    assert [row[6] for row in table.rows] == [why, why]
    assert any("adb tcpip 5555" in note for note in table.notes)
    assert not any(s.statistics for s in found.findings.summaries if s.metric == "energy")


def test_energy_that_no_phone_was_there_for_is_said(judged: Stored) -> None:
    section = asked(judged, {}).sections()["energy"]
    assert section.notices == ("Energy was asked for; no phone was there to measure it.",)


def test_a_unit_that_only_its_size_told_stands_with_the_figure(judged: Stored) -> None:
    found = asked(
        judged, {"baseline": [0.04] * 5, "half": [0.02] * 5}, "that the current is in µA was told by its size"
    )
    (table,) = found.tables("energy")
    assert all("that the current is in µA was told by its size" in row[6] for row in table.rows), table.rows
    assert table.rows[0][2].startswith("40.0 mJ")
