"""The score: a run of its suite, recomputed by plain arithmetic from summary.csv and the reference file alone."""

from __future__ import annotations

import csv
import io
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bench
from bench import plan
from bench.analyse import analyse, score
from bench.findings import Findings
from bench.records import METRICS, Answers, Artifact, Device, RunRecord, Task, Tensor
from bench.report import values
from bench.results.folder import COLUMNS
from bench.scored import Points, Score, Scores

PHONE = Device(serial="phone1", kind="phone", name="A phone", os="Android 14", abis=("arm64-v8a",))
REFERENCE = tomllib.loads((Path(bench.__file__).parent / "analyse" / "reference.toml").read_text(encoding="utf-8"))
TASKS: dict[str, Task] = {
    "mobilenetv2": "classification", "unet": "segmentation", "vdsr": "reconstruction", "lstm-digits": "classification",
}  # fmt: skip
SCORED = {"unet": "dice", "vdsr": "psnr", "lstm-digits": "top1"}


class Made(NamedTuple):
    """What is made up of a variant: ms, peak bytes, its score, and the side of the largest picture."""

    ms: float
    peak: float
    score: float | None = None
    side: int | None = None


RUN: dict[tuple[str, str], Made] = {
    ("mobilenetv2", "baseline"): Made(7.7, 31e6),
    ("mobilenetv2", "half"): Made(7.2, 24e6),
    ("unet", "baseline"): Made(1310.0, 911e6, 0.98),
    ("unet", "fr-resident"): Made(41.0, 12e6, 0.78),
    ("unet", "fr-auto-16k"): Made(22.0, 14e6, 0.97),
    ("vdsr", "baseline"): Made(402.0, 98e6, 36.1, 1000),
    ("vdsr", "half"): Made(401.0, 97e6, 36.1, 1000),
    ("vdsr", "fr-resident"): Made(61.0, 12e6, 35.95, 3200),
    ("lstm-digits", "baseline"): Made(0.51, 4.1e6, 0.95),
    ("lstm-digits", "half"): Made(0.52, 4.0e6, 0.95),
}


def facts(model: str, value: float) -> Answers:
    """Answers to 200 samples that are worth so much."""
    n = 200
    match SCORED[model]:
        case "top1":
            return {
                "label": np.zeros(n),
                "answer": np.zeros(n),
                "rank": (np.arange(n) >= round(value * n)).astype(float),
            }
        case "dice":
            return {"both": np.full(n, value), "ours": np.ones(n), "theirs": np.ones(n)}
    return {"squared_error": np.full(n, 10 ** (-value / 10)), "peak": np.ones(n)}


def rows(model: str, variant: str, made: Made, **more: Any) -> Iterator[dict[str, Any]]:
    figures: dict[str, list[float]] = {"latency": [1e6 * made.ms] * 2, "vm_hwm": [made.peak]}
    if made.side is not None:
        figures["largest_picture"] = [float(made.side**2)]
    common = {
        "model": model, "variant": variant, "device": "phone1", "runtime": "ncnn", "threads": 1, "precision": "fp32",
        "virtual": False, "translated": False, "status": "ok", "reason": "", "order": 0,
    }  # fmt: skip
    for metric, found in figures.items():
        kind = METRICS[metric].pass_
        for launch in range(1 if kind == "largest" else 5):
            trial = f"{kind}/{model}/{variant}/{launch}"
            for index, value in enumerate(found):
                row = {"pass": kind, "launch": launch, "trial": trial, "metric": metric, "index": index, "value": value}
                yield {**common, **row, **more.get(metric, {})}
    if made.score is not None:
        row = {"pass": "accuracy", "launch": 0, "trial": f"accuracy/{model}/{variant}", "metric": "", "index": 0}
        yield {**common, **row, "value": float("nan")}


def artifact(model: str, variant: str) -> Artifact:
    return Artifact(
        model=model, variant=variant, runtime="ncnn", ordinary=variant == "baseline", files=(), deployed=(),
        inputs=(Tensor(name="in0", shape=(3, 8, 8)),), outputs=(Tensor(name="out0", shape=(2,)),), task=TASKS[model],
        trained=model in SCORED,
    )  # fmt: skip


def found(
    made: Mapping[tuple[str, str], Made] = RUN, *, device: Device = PHONE, asked: dict[str, Any] | None = None,
    **more: Any,
) -> Findings:  # fmt: skip
    """The findings of a run of the suite; `more` are columns of the rows of a metric, by `model_variant_metric`."""
    run = RunRecord(
        id="r", name="ai", started="2026-11-26T00:00:00+00:00", bench_version="0", versions={}, toolchain={},
        reference="torch", plan=asked or plan.suite("ai").model_dump(mode="json"), devices=(device,),
        artifacts=tuple(artifact(*key) for key in made),
    )  # fmt: skip
    table = [
        row | {"virtual": device.virtual}
        for (model, variant), one in made.items()
        for row in rows(model, variant, one, **more.get(f"{model} {variant}", {}))
    ]
    answers = {
        f"accuracy/{model}/{variant}": facts(model, one.score)
        for (model, variant), one in made.items()
        if one.score is not None
    }
    return analyse(pd.DataFrame(table, columns=COLUMNS.names), run, answers)


@cache
def whole() -> Findings:
    """Of a complete run."""
    return found()


def scores(findings: Findings) -> Scores:
    assert findings.scores is not None
    return findings.scores


def total(findings: Findings, kind: str) -> Score:
    (one,) = (one for one in scores(findings).totals if one.kind == kind)
    return one


# --- by hand -------------------------------------------------------------------------------------------------------


def recomputed(table: str, chosen: Mapping[str, str]) -> float:
    """The total of those variants, from the text of summary.csv and the reference file: docs/score.md in Python."""
    text = io.StringIO(table)
    assert text.readline().startswith("# bench_schema=")
    cells = {(r["model"], r["variant"], r["metric"]): r for r in csv.DictReader(text)}
    sections: dict[str, list[float]] = {}
    for test in REFERENCE["tests"]:
        network, metric = test["network"], test["metric"]
        cell = cells[network, chosen[network], metric]
        assert cell["usable"] == "True"
        measured = float(cell["median"])
        ratio = measured / test["reference"] if metric == "largest_picture" else test["reference"] / measured
        lost = 0.0
        if "score" in test:
            value = float(cells[network, chosen[network], test["score"]]["median"])
            below = test["accuracy"] - value
            lost = 10 * below if test["score"] == "psnr" else 100 * below / test["accuracy"]
        sections.setdefault(test["section"], []).append(1000 * ratio * 10 ** (-min(20, max(0, lost)) / 20))
    assert list(sections) == ["classification", "segmentation", "image-to-image", "sequence", "memory"]
    product = 1.0
    for points in sections.values():
        product *= float(np.prod(points)) ** (1 / len(points))
    return product ** (1 / len(sections))


ORDINARY = dict.fromkeys(TASKS, "baseline")
BEST = {**ORDINARY, "unet": "fr-auto-16k", "vdsr": "fr-resident"}


def test_the_score_is_recomputed_from_the_table_and_the_reference_alone() -> None:
    findings = whole()
    table = values.summary_csv(findings)
    assert total(findings, "ordinary").total == pytest.approx(recomputed(table, ORDINARY))
    assert total(findings, "compressed").total == pytest.approx(recomputed(table, BEST))


def test_the_reference_itself_has_a_thousand_points_everywhere() -> None:
    own = {(t["network"], t["metric"]): t["reference"] for t in REFERENCE["tests"]}
    accuracy = {t["network"]: t["accuracy"] for t in REFERENCE["tests"] if "score" in t}
    side = own["vdsr", "largest_picture"] ** 0.5
    made = {
        (model, "baseline"): Made(
            own[model, "latency"] / 1e6,
            own[model, "vm_hwm"],
            accuracy.get(model),
            round(side) if model == "vdsr" else None,
        )
        for model in TASKS
    }
    one = total(found(made), "ordinary")
    assert one.total == pytest.approx(1000, abs=1)
    assert [section.points for section in one.sections] == pytest.approx([1000] * 5, abs=1)


# --- what counts ---------------------------------------------------------------------------------------------------


def test_the_compressed_score_takes_the_best_variant_by_latency_that_keeps_98_percent_of_the_score() -> None:
    chosen = {one.network: one.variant for one in total(whole(), "compressed").tests()}
    assert chosen == BEST
    slower = {**RUN, ("unet", "fr-auto-16k"): Made(1400.0, 14e6, 0.97)}
    assert {one.network: one.variant for one in total(found(slower), "compressed").tests()}["unet"] == "baseline"


@pytest.mark.parametrize(
    ("key", "score_", "kept"),
    [
        (("unet", "fr-auto-16k"), 0.9605, True), (("unet", "fr-auto-16k"), 0.9603, False),
        (("vdsr", "fr-resident"), 35.91, True), (("vdsr", "fr-resident"), 35.89, False),
    ],
)  # fmt: skip
def test_where_98_percent_end(key: tuple[str, str], score_: float, kept: bool) -> None:
    made = {**RUN, key: RUN[key]._replace(score=score_)}
    chosen = {(one.network, one.variant) for one in total(found(made), "compressed").tests()}
    assert (key in chosen) is kept


def test_a_little_speed_bought_by_accuracy_is_not_chosen() -> None:
    """5 % faster and a point worse has fewer points for latency than the ordinary network."""
    accuracy = next(t["accuracy"] for t in REFERENCE["tests"] if t["network"] == "unet")
    for ms, best in ((950.0, "baseline"), (850.0, "fr-auto-16k")):
        made = {
            **RUN,
            ("unet", "baseline"): Made(1000.0, 911e6, accuracy),
            ("unet", "fr-auto-16k"): Made(ms, 14e6, 0.99 * accuracy),
        }
        assert {one.network: one.variant for one in total(found(made), "compressed").tests()}["unet"] == best


def test_a_variant_of_an_untrained_network_keeps_no_score_and_is_never_the_best() -> None:
    fast = {**RUN, ("mobilenetv2", "half"): Made(0.1, 1e6)}
    findings = found(fast)
    assert {one.variant for one in total(findings, "compressed").tests() if one.network == "mobilenetv2"} == {
        "baseline"
    }
    assert scores(findings).notes == (
        "mobilenetv2 is untrained: its speed and memory count, and it has no accuracy to lose",
    )


def test_every_variant_has_points_of_its_own() -> None:
    found_ = scores(whole()).variants
    assert {(one.network, one.variant) for one in found_} == set(RUN)
    (resident,) = (o for o in found_ if (o.network, o.variant, o.metric) == ("unet", "fr-resident", "latency"))
    assert resident.lost == pytest.approx(min(20, 100 * (1 - 0.78 / resident_reference("unet"))))


def resident_reference(network: str) -> float:
    return next(float(t["accuracy"]) for t in REFERENCE["tests"] if t["network"] == network and "accuracy" in t)


# --- what does not -------------------------------------------------------------------------------------------------


def without(findings: Findings, network: str, metric: str) -> tuple[Score, Points]:
    one = total(findings, "ordinary")
    (test,) = (t for t in one.tests() if (t.network, t.metric) == (network, metric))
    assert (test.points, test.measured) == (None, None)
    assert one.total is None
    return one, test


def test_a_suite_without_a_network_has_sections_but_no_total() -> None:
    less = {key: one for key, one in RUN.items() if key[0] != "lstm-digits"}
    one, test = without(found(less), "lstm-digits", "latency")
    assert {section.name for section in one.sections if section.points is not None} == {
        "classification", "segmentation", "image-to-image",
    }  # fmt: skip
    assert test.why == "lstm-digits was not measured there"
    assert test.why in one.why


def test_a_tagged_figure_gives_no_points() -> None:
    tagged = {"latency": {"status": "tagged", "reason": "the phone throttles for heat (thermal status 3)"}}
    one, test = without(found(RUN, **{"vdsr baseline": tagged}), "vdsr", "latency")
    assert "the phone throttles for heat" in test.why
    assert {section.name: section.points for section in one.sections}["image-to-image"] is None


def test_a_failed_pass_gives_no_points_and_its_reason() -> None:
    made = {**RUN, ("vdsr", "baseline"): RUN["vdsr", "baseline"]._replace(side=1)}
    failed = {
        "largest_picture": {"status": "failed", "reason": "not even 256 × 256", "metric": "", "value": float("nan")}
    }
    _, test = without(found(made, **{"vdsr baseline": failed}), "vdsr", "largest_picture")
    assert "not even 256 × 256" in test.why


def test_a_network_with_a_score_but_without_answers_has_no_points() -> None:
    made = {**RUN, ("unet", "baseline"): RUN["unet", "baseline"]._replace(score=None)}
    _, test = without(found(made), "unet", "latency")
    assert test.why == "dice of baseline unet was not measured"


def test_a_network_that_was_shown_something_else_than_in_the_suite_does_not_count() -> None:
    asked = plan.suite("ai").model_dump(mode="json")
    next(case for case in asked["cases"] if case["model"] == "unet")["input_size"] = [96, 144]
    _, test = without(found(asked=asked), "unet", "latency")
    assert test.why == "the plan has another input_size for unet than the suite"


def test_a_bound_of_the_largest_picture_makes_the_points_a_bound() -> None:
    reached = {
        "largest_picture": {"reason": "at least, not a measured limit: 1,000 × 1,000 was the largest to be tried"}
    }
    one = total(found(RUN, **{"vdsr baseline": reached}), "ordinary")
    assert [(t.network, t.metric) for t in one.tests() if t.bound] == [("vdsr", "largest_picture")]
    assert one.total is not None


def test_the_score_of_a_virtual_phone_is_virtual() -> None:
    assert not total(whole(), "ordinary").virtual
    assert total(found(device=PHONE.model_copy(update={"virtual": True})), "ordinary").virtual


def test_a_desktop_and_other_plans_have_no_score() -> None:
    assert scores(found(device=PHONE.model_copy(update={"kind": "desktop"}))).totals == ()
    other = plan.suite("ai").model_dump(mode="json") | {"name": "mine"}
    assert found(asked=other).scores is None


# --- the formula ---------------------------------------------------------------------------------------------------


@given(value=st.floats(0.01, 60), wanted=st.floats(0.01, 60), kind=st.sampled_from(("top1", "dice", "psnr")))
def test_the_penalty_is_mild_bounded_and_never_a_reward(value: float, wanted: float, kind: str) -> None:
    left = score.penalty(score.lost(kind, value, wanted))
    assert 0.1 <= left <= 1
    if value >= wanted:
        assert left == 1


def test_what_lost_points_cost() -> None:
    assert [round(score.penalty(lost), 3) for lost in (0, 1, 2, 6, 20)] == [1, 0.891, 0.794, 0.501, 0.1]
    assert score.lost("top1", 0.96, 0.96) == 0
    assert score.lost("dice", 0.49, 0.98) == 20
    assert score.lost("dice", 0.9702, 0.98) == pytest.approx(1)
    assert score.lost("psnr", 35.8, 36.0) == pytest.approx(2)


@given(st.lists(st.floats(1, 1e6), min_size=1, max_size=9), st.floats(1, 100))
def test_the_geometric_mean_does_not_care_which_machine_is_the_reference(points: list[float], times: float) -> None:
    ratio = score.mean([times * one for one in points]) / score.mean(points)
    assert ratio == pytest.approx(times)
    assert min(points) * (1 - 1e-9) <= score.mean(points) <= max(points) * (1 + 1e-9)


def test_every_test_of_the_reference_is_in_the_suite() -> None:
    suite = plan.suite("ai")
    stated, tests = score.reference()
    assert {t.network for t in tests} == {case.label for case in suite.cases} == set(TASKS)
    assert {t.section for t in tests} == set(score.SECTIONS)
    assert stated.virtual
    for case in suite.cases:
        assert next(v.label for v in case.variants or ()) == "baseline"
        assert (case.threads, case.precision) == ((1,), ("fp32",))
        wants = {t.metric for t in tests if t.network == case.label}
        assert ("largest_picture" in wants) is bool(suite.protocol_for(case.label).largest_side)


def test_scores_can_be_written_as_json() -> None:
    written = values.as_json(whole(), ())["scores"]
    assert {one["kind"] for one in written["totals"]} == {"ordinary", "compressed"}
    assert values.as_json(replace(whole(), scores=None), ())["scores"] is None
