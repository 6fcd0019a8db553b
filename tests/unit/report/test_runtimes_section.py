"""The section of several runtimes, of a stored run in which a second one did the same in half the time."""

from pathlib import Path

import pandas as pd
import pytest

from tests.unit.report.report_kit import PHONE, Stored


@pytest.fixture
def two(tmp_path: Path) -> Stored:
    one = Stored.read("synthetic-run-4", tmp_path)
    again = one.frame[(one.frame["runtime"] == "ncnn") & (one.frame["model"] == "lenet5")].copy()
    again["runtime"] = "swift"
    again["trial"] = again["trial"].astype(str) + "-swift"
    again.loc[again["metric"] == "latency", "value"] /= 2
    frame = pd.concat([one.frame, again.astype(one.frame.dtypes.to_dict())], ignore_index=True)
    artifacts = [a for a in one.run.artifacts if a.model == "lenet5" and a.runtime == "ncnn"]
    record = one.run.model_copy(
        update={
            "plan": one.run.plan | {"runtime": ["ncnn", "swift", "lame"]},
            "artifacts": (*one.run.artifacts, *(a.model_copy(update={"runtime": "swift"}) for a in artifacts)),
            "absent": {"lenet5/half by lame": "it has no\n  float16"},
        }
    )
    return one.but(run=record, frame=frame)


def test_runtimes_stand_side_by_side_with_the_ratio_to_the_first(two: Stored) -> None:
    table = two.table("runtimes", f"lenet5 on {PHONE}")
    assert "ncnn ÷ it" in table.header
    rows = {(row[0].text, row[1].text): dict(zip(table.header, row, strict=True)) for row in table.cells}
    assert rows["baseline", "ncnn"]["ncnn ÷ it"].text == "1"
    assert rows["baseline", "swift"]["ncnn ÷ it"].text.startswith("2.00×")
    assert next(iter(rows)) == ("baseline", "ncnn")


def test_a_runtime_that_could_not_is_in_the_table_with_its_reason(two: Stored) -> None:
    table = two.table("runtimes", f"lenet5 on {PHONE}")
    (row,) = (row for row in table.cells if row[1].text == "lame")
    assert (row[0].text, row[2].text) == ("half", "left out")
    assert "half is not executed by lame: it has no float16" in table.notes


def test_the_fastest_is_said_first_of_all(two: Stored) -> None:
    sentences = two.sections()["answer"].sentences
    assert any(
        s.startswith(f"Of 2 runtimes on {PHONE} (virtual), swift is the fastest for baseline lenet5") for s in sentences
    )
