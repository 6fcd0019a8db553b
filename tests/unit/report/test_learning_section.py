"""What a machine learnt by itself, in a report."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bench.analyse.learning import lessons
from bench.findings import Findings
from bench.learnt import Right, TrainingRecord
from bench.report import Context, Section, content
from bench.report.sections.learning import section
from tests.unit.learnt_kit import failed, learnt, run


def context(*trainings: TrainingRecord, pictures: bool = False, **device: Any) -> Context:
    record = run(**device)
    return Context.of(record, (), replace(Findings((), ()), lessons=lessons(trainings, record)), pictures=pictures)


def shown(*trainings: TrainingRecord, **device: Any) -> Section:
    found = section(context(*trainings, **device))
    assert found is not None
    return found


def test_a_run_without_trainings_has_no_such_section() -> None:
    assert section(context()) is None


def test_the_best_is_said_first_and_beside_it_float64_and_the_network() -> None:
    beside = Right(right=984, of=1000)
    found = shown(learnt(1024, 930, 930, ordinary=beside), learnt(2048, 950, 953, ordinary=beside))
    assert found.sentences == (
        "2,048 neurons, learnt on emulator-5554 (virtual), answer 95.00 % (93.5–96.2 %) of 1,000 test samples rightly.",
        "The ordinary lenet5, trained on this computer with the same data, answers 98.40 % (97.4–99.0 %) of them.",
        "From float64 on this computer it is −0.30 points away at most (at 2,048 neurons).",
    )
    assert "virtual phone" in found.note
    assert [row[0] for row in found.tables[0].rows] == ["1,024", "2,048"]
    assert found.tables[0].rows[0][4] == "93.00 % (91.2–94.4)"


def test_of_a_failed_size_the_reason_is_told() -> None:
    found = shown(learnt(1024, 930), failed(131072, "131072 neurons need 32 GiB", memory=True))
    assert "131,072 neurons (float32) failed: 131072 neurons need 32 GiB." in found.tables[0].notes
    assert len(found.tables[0].rows) == 1
    assert shown(failed(64, "no room")).sentences == ("No training on emulator-5554 (virtual) ended well.",)


def test_translated_code_shows_answers_alone() -> None:
    (row,) = shown(learnt(1024, 930), translated=True).tables[0].rows
    assert row[4].startswith("93.00 %")
    assert set(row[6:11]) == {"–"}


def test_two_sizes_are_drawn_and_one_is_not() -> None:
    one = section(context(learnt(1024, 930), pictures=True))
    two = section(context(learnt(1024, 930, 930), learnt(2048, 950), pictures=True))
    assert one is not None
    assert two is not None
    assert not one.pictures
    (picture,) = two.pictures
    assert "1,024 neurons 93.00 %, 2,048 neurons 95.00 %" in picture.alt
    assert "virtual" in picture.title


def test_a_run_that_only_learnt_says_nothing_of_trials() -> None:
    found = content(context(learnt(1024, 930)))
    assert [one.id for one in found] == ["notices", "learning", "measured", "reproduce"]
    assert found[2].folded[0].id == "devices"


def test_a_computer_is_no_phone() -> None:
    found = shown(learnt(1024, 930), kind="desktop", virtual=False)
    assert found.title == "Learning on this computer"
    assert "virtual" not in found.note
