"""Drift from end to end: corrupted digits on a virtual phone and here, the report, an old and a damaged folder."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pandas as pd
import pytest

from bench.results.folder import RunFolder
from bench.results.pictures import Pictures
from bench.virtual.phone import VirtualPhone
from tests.e2e.command import QUICK, Finished, bench, run

pytestmark = pytest.mark.timeout(1200)

PLAN = f"""
name = "drifting"
desktop = ["torch", "ncnn"]
{QUICK.replace("launches = 3", "launches = 1", 1)}
[[cases]]
model = "lenet5"
variants = ["baseline", "half"]
data = {{ samples = 40 }}
"""
ASKED = ("--drift", "noise,shift:2,shift:5", "--drift-samples", "20")


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plan") / "plan.toml"
    path.write_text(PLAN)
    return path


@pytest.fixture(scope="module")
def finished(
    virtual_phone: VirtualPhone, env: dict[str, str], plan: Path, tmp_path_factory: pytest.TempPathFactory
) -> Finished:
    results = tmp_path_factory.mktemp("results")
    return run("--device", virtual_phone.serial, "--plan", plan, *ASKED, "--results", results, env=env)


def test_every_set_of_samples_was_answered_on_the_phone_and_here(
    finished: Finished, virtual_phone: VirtualPhone
) -> None:
    frame = finished.frame
    mine = frame[frame["pass"] == "drift"]
    assert set(mine.status) == {"ok"}, set(mine.reason)
    assert set(zip(mine.device, mine.runtime, strict=True)) == {
        (virtual_phone.serial, "ncnn"), ("desktop", "ncnn"),
    }  # fmt: skip
    assert sorted(mine[mine.device == virtual_phone.serial].launch) == [0, 0, 1, 1, 2, 2]
    record = finished.record.samples["lenet5"].drift
    assert record is not None
    assert len(record.samples) == 20
    assert [(one.name, one.severities) for one in record.sets] == [
        ("", (0,)), ("noise", (1, 2, 3, 4, 5)), ("shift", (2, 5)),
    ]  # fmt: skip
    answers = RunFolder(finished.folder).answers()
    noisy = answers[f"drift/lenet5/baseline/{virtual_phone.serial}/ncnn/t1/fp32/1"]
    assert {len(values) for values in noisy.values()} == {100}
    assert noisy["label"].tolist() == answers[f"drift/lenet5/baseline/{virtual_phone.serial}/ncnn/t1/fp32/0"][
        "label"
    ].tolist() * 5  # fmt: skip


def test_the_samples_as_they_are_are_answered_as_in_the_accuracy_pass(
    finished: Finished, virtual_phone: VirtualPhone
) -> None:
    answers = RunFolder(finished.folder).answers()
    place = f"lenet5/half/{virtual_phone.serial}/ncnn/t1/fp32/0"
    record = finished.record.samples["lenet5"].drift
    assert record is not None
    whole, part = answers[f"accuracy/{place}"], answers[f"drift/{place}"]
    assert [whole["answer"][index] for index in record.samples] == part["answer"].tolist()


def test_the_report_tells_it_on_the_page_the_terminal_and_in_files(finished: Finished, env: dict[str, str]) -> None:
    said = " ".join(bench("report", finished.folder, env=env).stdout.split())
    assert "20 of 40 samples under 2 corruptions in 2 to 5 severities: baseline keeps " in said
    page = (finished.folder / "report.html").read_text(encoding="utf-8")
    assert 'id="drift"' in page
    assert "(virtual) and desktop ncnn: accuracy" in page
    for name in ("drift-0", "drift-samples-0"):
        assert (finished.folder / "plots" / f"{name}.png").stat().st_size > 1000
    assert "## Drift" in (finished.folder / "report.md").read_text(encoding="utf-8")
    lines = (finished.folder / "drift.csv").read_text(encoding="utf-8").splitlines()[1:]
    rows = list(csv.DictReader(lines))
    assert {(one["corruption"], one["severity"]) for one in rows} >= {("noise", "5"), ("shift", "2"), ("all", "")}
    assert {one["severity"] for one in finished.answer["drift"][0]["kinds"][1]["cells"]} == {2, 5}
    summary = pd.read_csv(finished.folder / "summary.csv", skiprows=1)
    means = summary[summary.metric == "drift_score"]
    assert len(means) == 4
    assert means["virtual"].sum() == 2
    kept = [one.record for one in Pictures(finished.folder).read() if one.record.kind == "corrupted"]
    assert len(kept) == 8


def test_a_run_that_is_resumed_has_the_same_samples(
    finished: Finished, env: dict[str, str], tmp_path: Path, virtual_phone: VirtualPhone
) -> None:
    """One launch of drift is taken away, and done again with the very same file."""
    record = json.loads((finished.folder / "run.json").read_text())
    lines = (finished.folder / "trials.jsonl").read_text().splitlines(keepends=True)
    copy = tmp_path / finished.folder.name
    bench("report", finished.folder, env=env)
    copy.mkdir()
    for path in finished.folder.iterdir():
        if path.is_dir():
            (copy / path.name).mkdir()
            for one in path.iterdir():
                (copy / path.name / one.name).write_bytes(one.read_bytes())
        else:
            (copy / path.name).write_bytes(path.read_bytes())
    record["finished"] = None
    (copy / "run.json").write_text(json.dumps(record))
    gone = f'"variant": "half", "device": "{virtual_phone.serial}"'
    kept = [one for one in lines if not (gone in one and '"pass_": "drift"' in one and '"launch": 2' in one)]
    assert len(kept) == len(lines) - 1
    (copy / "trials.jsonl").write_text("".join(kept))
    bench("run", "--resume", copy, "--quiet", env=env)
    again = RunFolder(copy)
    assert again.record().finished
    trial = f"drift/lenet5/half/{virtual_phone.serial}/ncnn/t1/fp32/2"
    before, after = RunFolder(finished.folder).answers()[trial], again.answers()[trial]
    assert before["answer"].tolist() == after["answer"].tolist()


def test_answers_that_are_gone_are_said(finished: Finished, env: dict[str, str], tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in (p for p in finished.folder.rglob("*") if p.is_file()):
        target = copy / path.relative_to(finished.folder)
        target.parent.mkdir(exist_ok=True, parents=True)
        target.write_bytes(path.read_bytes())
    lost = next(path for path in (copy / "answers").iterdir() if path.name.startswith("drift-lenet5-half-desktop"))
    lost.unlink()
    said = " ".join(bench("report", copy, env=env).stdout.split())
    assert "The answers of 1 trial are gone" in said


@pytest.mark.parametrize(
    ("words", "why", "status"),
    [
        (["--drift", "snow"], "unknown corruption 'snow'", 4),
        (["--drift", "noise:9"], "no severity from 1 to 5", 2),
        (["--drift", ","], "--drift is given without a value", 2),
        (["--drift-samples", "5"], "neither --drift nor the plan asks for any", 2),
    ],
)
def test_what_is_not_understood_is_refused(
    words: list[str], why: str, status: int, plan: Path, env: dict[str, str]
) -> None:
    done = bench("plan", "--plan", plan, *words, env=env, status=status)
    assert why in " ".join(done.stderr.split())


def test_floats_are_refused_since_they_were_never_pixels(env: dict[str, str], tmp_path: Path, plan: Path) -> None:
    import numpy as np

    path = tmp_path / "floats.npz"
    np.savez(path, x=np.random.default_rng(1).random((20, 1, 28, 28), np.float32), y=np.arange(20) % 10)
    done = bench("run", "--plan", plan, "--data", path, "--drift", "noise", env=env, status=2)
    assert "inputs already, not pictures" in " ".join(done.stderr.split())
