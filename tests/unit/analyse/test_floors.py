"""What the input has by itself is known, so that a network that returns its input is not praised."""

import numpy as np
import pytest

from bench.analyse.scores import floors
from bench.contest import WithoutNetwork
from bench.findings import Findings, Interval, Launch, Statistics, Summary
from bench.records import Artifact, RunRecord, SamplesRecord, Subject
from bench.report import Context
from bench.report.sections import results

N = 4
UNALTERED = SamplesRecord(source="made", count=N, labelled=True, unaltered={"squared_error": (1e-3,) * N})
FACTS = {"peak": np.ones(N), "squared_error": np.full(N, 1e-3)}


def subject(variant: str = "baseline") -> Subject:
    return Subject(model="net", variant=variant, device="desktop", runtime="ncnn")


def run(shown: SamplesRecord) -> RunRecord:
    return RunRecord(
        id="r", name="r", started="2026-11-26T00:00:00+00:00", bench_version="0", versions={}, toolchain={},
        reference="torch", plan={"name": "r", "cases": [{"model": "net"}]}, devices=(), samples={"net": shown},
        artifacts=tuple(
            Artifact(
                model="net", variant=variant, runtime="ncnn", task="reconstruction", inputs=(), outputs=(),
                files=(), deployed=(), trained=True, ordinary=variant == "baseline",
            )
            for variant in ("baseline", "idle")
        ),
    )  # fmt: skip


def psnr(variant: str, low: float, middle: float, high: float) -> Summary:
    figures = Statistics(
        middle, middle, middle, middle, 0.0, None, None, N, (Launch(0, N, middle, middle),), Interval(low, high, "")
    )
    return Summary(subject(variant), "psnr", "dB", figures, False, False, ())


def test_the_floor_is_the_score_of_the_input_itself() -> None:
    assert floors(run(UNALTERED), {subject(): FACTS}) == {
        "net": (WithoutNetwork("psnr", pytest.approx(30.0), "the input itself"),)
    }


def test_runs_that_did_not_store_it_have_none() -> None:
    assert floors(run(UNALTERED.model_copy(update={"unaltered": {}})), {subject(): FACTS}) == {}


def test_a_variant_within_its_interval_of_the_floor_is_said_to_be_no_better_than_its_input() -> None:
    found = Findings(
        (psnr("baseline", 33, 34, 35), psnr("idle", 29.5, 30, 30.5)),
        floors={"net": (WithoutNetwork("psnr", 30.0, "the input itself"),)},
    )
    notes = results.section(Context.of(run(UNALTERED), (), found)).tables[0].notes
    assert "Without any network (the input itself): PSNR 30.00 dB. No better than that: idle." in notes
