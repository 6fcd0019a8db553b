"""Verdicts and comparisons, from frames in the stored form."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest

from bench.analyse import analyse
from bench.caveats import ADVICE, CaveatKind
from bench.errors import CorruptData
from bench.findings import Findings, Summary
from bench.records import METRICS, Answers, Artifact, Device, NoiseRecord, RunRecord, Tensor
from bench.results.folder import COLUMNS

DEVICES = tuple(
    Device(serial=s, kind="desktop" if s == "desktop" else "phone", name=s, os="", abis=())
    for s in ("phone1", "desktop")
)
GOOD = {"latency": [2e7] * 50, "load": [3e7], "first_inference": [4e7]}
ROW: dict[str, Any] = {
    "model": "m", "variant": "baseline", "device": "phone1", "runtime": "ncnn", "threads": 1, "precision": "fp32",
    "virtual": False, "translated": False, "status": "ok", "reason": "", "order": 0,
}  # fmt: skip


def artifact(variant: str) -> Artifact:
    return Artifact(
        model="m", variant=variant, runtime="ncnn", ordinary=variant == "baseline", files=(), deployed=(),
        inputs=(Tensor(name="in0", shape=(1,)),), outputs=(Tensor(name="out0", shape=(2,)),), task="classification",
    )  # fmt: skip


def run(**protocol: Any) -> RunRecord:
    case = {"model": "m", "variants": ["baseline", "b"]}
    return RunRecord(
        id="r", name="r", started="2026-11-21T00:00:00+00:00", bench_version="0", versions={}, toolchain={},
        reference="torch", plan={"name": "r", "cases": [case], "protocol": protocol}, devices=DEVICES,
        artifacts=tuple(artifact(variant) for variant in ("baseline", "b")),
    )  # fmt: skip


def launch(number: int, samples: dict[str, list[float]], **row: Any) -> list[dict[str, Any]]:
    common = {**ROW, **row, "launch": number}
    common["pass"] = METRICS[next(iter(samples))].pass_ if samples else row.get("pass", "latency")
    common["trial"] = "-".join(str(common[k]) for k in ("pass", "variant", "device", "runtime", "threads", "launch"))
    pairs = [(m, i, v) for m, values in samples.items() for i, v in enumerate(values)] or [("", 0, float("nan"))]
    return [{**common, "metric": m, "index": i, "value": v} for m, i, v in pairs]


def find(
    *launches: Iterable[dict[str, Any]], answers: Mapping[str, Answers] | None = None, **protocol: Any
) -> Findings:
    rows = [row for one in launches for row in one]
    return analyse(pd.DataFrame(rows, columns=COLUMNS.names), run(**protocol), answers or {})


def only(findings: Findings, metric: str, **subject: Any) -> Summary:
    (found,) = (
        s
        for s in findings.summaries
        if s.metric == metric and all(getattr(s.subject, k) == v for k, v in subject.items())
    )
    return found


def kinds(summary: Summary) -> set[str]:
    return {c.kind for c in summary.caveats}


def test_a_run_by_the_protocol_is_usable() -> None:
    found = find(*(launch(i, GOOD) for i in range(5)))
    assert {s.metric: s.verdict for s in found.summaries} == dict.fromkeys(GOOD, "usable")
    latency = only(found, "latency")
    assert latency.statistics is not None
    assert (latency.statistics.median, latency.statistics.samples, latency.unit) == (2e7, 250, "ns")


@pytest.mark.parametrize(
    ("count", "samples", "row", "protocol", "kind", "usable"),
    [
        (2, GOOD, {}, {}, "no-interval", False),
        (4, GOOD, {}, {}, "few-launches", True),
        (5, {"latency": [2e9] * 49}, {}, {}, "few-iterations", True),
        (5, {"latency": [1e6] * 50}, {}, {}, "few-iterations", True),
        (5, GOOD, {}, {"warmup_seconds": 0.4}, "short-warm-up", True),
        (5, GOOD, {}, {"warmup_iterations": 9}, "short-warm-up", True),
        (5, GOOD, {"virtual": True}, {}, "virtual", True),
        (5, GOOD, {"virtual": True, "translated": True}, {}, "translated", False),
        (5, GOOD, {"status": "tagged", "reason": "hot"}, {}, "tagged", False),
        (2, {"vm_hwm": [1e6]}, {}, {}, "few-launches", True),
    ],
)
def test_what_is_wrong_with_a_figure(
    count: int, samples: dict[str, list[float]], row: dict[str, Any], protocol: dict[str, Any], kind: str, usable: bool
) -> None:
    found = only(find(*(launch(i, samples, **row) for i in range(count)), **protocol), next(iter(samples)))
    assert kind in kinds(found)
    assert found.usable is usable
    assert found.verdict.startswith("not usable: ") is not usable


def test_ten_thousand_short_iterations_are_enough() -> None:
    found = only(find(*(launch(i, {"latency": [5e4] * 10_000}) for i in range(5))), "latency")
    assert found.verdict == "usable"


def test_launches_that_differ_are_noisy() -> None:
    found = only(find(*(launch(i, {"latency": [2e7 * (1 + i / 5)] * 50}) for i in range(5))), "latency")
    assert kinds(found) == {"noisy"}


def test_translation_leaves_answers_and_sizes_usable() -> None:
    there = {"virtual": True, "translated": True}
    found = find(launch(0, {"top1": [0.9], "agreement": [1.0]}, **there), launch(0, {"deployed": [10.0]}, **there))
    assert {s.metric: s.verdict for s in found.summaries} == {
        "top1": "usable (virtual)",
        "agreement": "usable (virtual)",
        "deployed": "usable (virtual)",
    }


def test_a_failed_pass_is_a_summary_with_its_reason() -> None:
    failed = {"status": "failed", "reason": "out_of_memory: conv_1"}
    found = find(*(launch(i, {}, **failed) for i in range(3)))
    (summary,) = found.summaries
    assert (summary.metric, summary.statistics, summary.usable) == ("latency", None, False)
    assert summary.verdict == "not usable: failed: out_of_memory: conv_1"
    assert found.summary(summary.subject, "first_inference") is summary
    assert found.summary(summary.subject, "vm_hwm") is None


def test_some_failed_launches_do_not_hide_behind_the_others() -> None:
    found = find(*(launch(i, GOOD) for i in range(3)), launch(3, {}, status="failed", reason="killed"))
    latency = only(found, "latency")
    assert {"launches-failed", "few-launches"} == kinds(latency)
    assert "1 of 4 launches failed: killed" in latency.verdict


def test_answers_that_vary_are_told() -> None:
    found = find(*(launch(i, {"top1": [0.9 + i / 100]}) for i in range(2)))
    assert kinds(only(found, "top1")) == {"answers-vary"}


def variants(slower: float, **row: Any) -> list[list[dict[str, Any]]]:
    base = [1e9, 1.01e9, 0.99e9, 1.005e9, 0.995e9]
    return [
        launch(i, {"latency": [v * factor] * 50}, variant=variant, **row)
        for variant, factor in (("baseline", 1.0), ("b", slower))
        for i, v in enumerate(base)
    ]


def test_a_difference_is_called_only_when_it_is_there() -> None:
    (faster,) = find(*variants(0.25)).comparisons
    assert (faster.kind, faster.left.variant, faster.right.variant) == ("variant", "baseline", "b")
    assert (faster.ratio, faster.called) == (pytest.approx(4), True)
    (same,) = find(*variants(1.0)).comparisons
    assert (same.ratio, same.outcome) == (1, "not-shown")


def test_nothing_is_called_within_the_noise_that_was_known_of_the_device() -> None:
    frame = pd.DataFrame([row for one in variants(0.95) for row in one], columns=COLUMNS.names)
    (called,) = analyse(frame, run(), {}).comparisons
    assert called.called
    assert called.floor is not None
    assert called.floor.measured
    noisy = NoiseRecord(device="phone1", runtime="ncnn", metric="latency", launch=0.03, launch_freedom=40)
    found = analyse(frame, run().model_copy(update={"noise": (noisy,)}), {})
    (within,) = found.comparisons
    assert within.outcome == "not-shown"
    assert within.verdict.startswith("within the noise floor of 6.")
    assert [one.noise.launch for one in found.reach] == [0.03]


def test_a_run_louder_than_the_device_was_known_to_be_is_judged_by_its_own_noise() -> None:
    loud = [
        launch(i, {"latency": [v * 1e6] * 50}, variant=variant)
        for variant, values in (("baseline", (100, 160, 95, 150, 120)), ("b", (90, 60, 110, 70, 100)))
        for i, v in enumerate(values)
    ]
    quiet = NoiseRecord(device="phone1", runtime="ncnn", metric="latency", launch=0.001, launch_freedom=40)
    frame = pd.DataFrame([row for one in loud for row in one], columns=COLUMNS.names)
    (found,) = analyse(frame, run().model_copy(update={"noise": (quiet,)}), {}).comparisons
    assert found.floor is not None
    assert found.floor.value > 0.2
    assert not found.called


def test_nothing_is_called_on_figures_that_are_not_usable() -> None:
    (tagged,) = find(*variants(0.25, status="tagged", reason="hot")).comparisons
    assert (tagged.outcome, tagged.called) == ("unusable", False)
    (translated,) = find(*variants(0.25, virtual=True, translated=True)).comparisons
    assert translated.outcome == "translated"


def test_bytes_are_compared_exactly() -> None:
    sizes = (launch(0, {"deployed": [n]}, variant=v) for v, n in (("baseline", 124e6), ("b", 4e3)))
    (found,) = find(*sizes).comparisons
    assert (found.ratio, found.outcome, found.interval) == (31_000, "differs", None)


def test_desktop_and_phone_are_compared_variant_by_variant() -> None:
    found = find(*variants(0.25), *variants(0.25, device="desktop"))
    pairs = {(c.left.device, c.right.device, c.right.variant) for c in found.comparisons if c.kind == "device"}
    assert pairs == {("desktop", "phone1", "baseline"), ("desktop", "phone1", "b")}


def accuracy(value: float, **row: Any) -> list[dict[str, Any]]:
    return launch(0, {"top1": [value], "agreement": [0.999], "max_abs_delta": [2e-3]}, **row)


def test_accuracies_are_equal_to_the_last_digit_or_the_reason_is_told() -> None:
    torch = accuracy(0.984, device="desktop", runtime="torch")
    native = accuracy(0.98401, device="desktop", threads=2)
    phone = accuracy(0.983, threads=2, precision="fp16s")
    found = {c.kind: c for c in find(torch, native, phone, accuracy(0.98401, device="desktop", threads=1)).comparisons}
    assert found["runtime"].outcome == "equal"
    assert "98.40 %" in found["runtime"].verdict
    assert "device" not in found  # no desktop row has the phone's setting
    differs = find(torch, accuracy(0.983, device="desktop", precision="fp16s")).comparisons[0]
    assert differs.called
    assert differs.verdict == (
        "98.40 % against 98.30 %: fp16s against fp32, agreement with the reference 99.90 %, max |Δ| 0.002"
    )


def answered(right: int, variant: str, **row: Any) -> tuple[list[dict[str, Any]], dict[str, Answers]]:
    """An accuracy trial over 200 samples, the first `right` of them answered rightly, and what it answered."""
    rows = launch(0, {}, variant=variant, **{"pass": "accuracy", **row})
    rank = np.repeat([0.0, 1.0], [right, 200 - right])
    facts = {name: np.zeros(200) for name in ("label", "confidence", "agrees", "max_abs_delta", "max_abs_reference")}
    return rows, {rows[0]["trial"]: {"answer": rank, "rank": rank, **facts}}


def test_scores_come_from_stored_answers_with_their_interval() -> None:
    rows, answers = answered(150, "baseline")
    top1 = only(find(rows, answers=answers), "top1")
    assert top1.statistics is not None
    assert (top1.statistics.median, top1.statistics.samples) == (0.75, 200)
    assert top1.statistics.interval is not None
    assert 0.68 < top1.statistics.interval.low < 0.75 < top1.statistics.interval.high < 0.82
    assert top1.usable


def test_answers_of_a_tagged_trial_say_so_at_each_score() -> None:
    rows, answers = answered(150, "baseline", status="tagged", reason="the phone preprocessed the pictures itself")
    found = find(rows, answers=answers)
    for metric in ("top1", "agreement"):
        one = only(found, metric)
        assert "answers-tagged" in kinds(one)
        assert "preprocessed the pictures itself" in one.verdict
        assert one.usable


def test_scores_of_variants_are_compared_sample_by_sample() -> None:
    for right, outcome in ((150, "equal"), (148, "not-shown"), (120, "differs")):
        ours, theirs = answered(150, "baseline"), answered(right, "b")
        found = find(ours[0], theirs[0], answers=ours[1] | theirs[1]).comparisons
        (top1,) = (c for c in found if c.metric == "top1" and c.kind == "variant")
        assert (top1.outcome, top1.difference) == (outcome, pytest.approx((right - 150) / 200))


def test_the_speed_of_a_network_whose_answers_are_wrong_is_not_compared() -> None:
    wrong = launch(
        0, {}, variant="b", status="failed", reason="its answers are not the network's", **{"pass": "accuracy"}
    )
    found = find(wrong, *variants(0.25), *variants(0.25, device="desktop"))
    latency = only(found, "latency", variant="b", device="phone1")
    assert not latency.usable
    assert "wrong-answers" in kinds(latency)
    assert "its answers are not the network" in latency.verdict
    outcomes = {(c.kind, c.right.device): c.outcome for c in found.comparisons if c.right.variant == "b"}
    assert outcomes == {
        ("variant", "phone1"): "unusable", ("device", "phone1"): "unusable", ("variant", "desktop"): "differs"
    }  # fmt: skip


def test_the_speed_of_a_network_whose_files_changed_is_not_compared() -> None:
    frame = pd.DataFrame(
        [row for part in (variants(0.25), variants(0.25, device="desktop")) for one in part for row in one]
    )
    found = analyse(frame, run().model_copy(update={"damaged": {"phone1": ("m/b",)}}), {})
    latency = only(found, "latency", variant="b", device="phone1")
    assert kinds(latency) == {"wrong-answers"}
    assert "changed during the run" in latency.verdict
    assert only(found, "latency", variant="b", device="desktop").usable


def test_a_metric_or_plan_of_another_version_is_refused() -> None:
    row = launch(0, {"latency": [1.0]})[0] | {"metric": "taste"}
    with pytest.raises(CorruptData, match="taste"):
        find([row])
    strange = run().model_copy(update={"plan": {"name": "r"}})
    with pytest.raises(CorruptData, match="plan"):
        analyse(pd.DataFrame(columns=COLUMNS.names), strange, {})


def test_a_run_without_samples_finds_nothing() -> None:
    assert find() == Findings((), ())


def test_every_caveat_is_explained_where_it_links_to() -> None:
    page = (Path(__file__).parents[3] / "docs" / "measurement.md").read_text()
    assert set(re.findall(r"^### (\S+)$", page, re.MULTILINE)) == set(get_args(CaveatKind)) == set(ADVICE)


def warm(count: int, tagged: int, samples: dict[str, list[float]], **row: Any) -> list[list[dict[str, Any]]]:
    """So many launches, the last of them tagged and ten times as slow."""
    return [
        launch(i, samples, **row)
        if i < count - tagged
        else launch(
            i, {m: [10 * v for v in values] for m, values in samples.items()}, status="tagged", reason="hot", **row
        )
        for i in range(count)
    ]


@pytest.mark.parametrize(("count", "tagged", "left"), [(5, 1, 4), (5, 2, 3), (8, 5, 3)])
def test_tagged_launches_are_left_out_where_three_others_remain(count: int, tagged: int, left: int) -> None:
    found = only(find(*warm(count, tagged, GOOD)), "latency")
    assert found.usable
    assert f"{tagged} of {count} launches left out: hot" in found.verdict
    assert found.statistics is not None
    assert (found.statistics.median, found.statistics.p95, found.statistics.samples) == (2e7, 2e7, 50 * left)
    assert [one.launch for one in found.statistics.launches] == list(range(left))
    assert [(one.launch, one.tagged, one.median) for one in found.statistics.left_out] == [
        (i, True, 2e8) for i in range(left, count)
    ]


@pytest.mark.parametrize(("count", "tagged"), [(5, 3), (3, 1), (4, 4)])
def test_fewer_than_three_launches_without_a_tag_are_not_usable(count: int, tagged: int) -> None:
    found = only(find(*warm(count, tagged, GOOD)), "latency")
    assert not found.usable
    assert "tagged" in kinds(found)
    assert found.statistics is not None
    assert sum(one.tagged for one in found.statistics.launches) == tagged
    assert (len(found.statistics.launches), found.statistics.left_out) == (count, ())


def test_a_difference_is_called_from_the_launches_that_remain() -> None:
    base = variants(0.25)
    hot = [
        [row | {"status": "tagged", "reason": "hot", "value": 9e9} if row["launch"] == 4 else row for row in one]
        for one in base
    ]
    (found,) = find(*hot).comparisons
    assert (found.ratio, found.called) == (pytest.approx(4, rel=0.01), True)


def at_clock(*hertz: float, **row: Any) -> list[list[dict[str, Any]]]:
    return [launch(i, {**GOOD, "clock": [hz]}, **row) for i, hz in enumerate(hertz)]


@pytest.mark.parametrize(
    ("hertz", "words"),
    [
        ((2.4e9, 2.4e9, 2.4e9, 2.4e9, 2.3e9), ""),
        ((2.4e9, 2.4e9, 2.4e9, 2.4e9, 1.8e9), "1 of 5 launches ran at 1.80 GHz where the median is 2.40 GHz"),
        ((2.4e9, 2.4e9, 2.4e9, 3.0e9, 1.8e9), "2 of 5 launches ran at 1.80 GHz, 3.00 GHz where the median is 2.40 GHz"),
    ],
)
def test_launches_at_another_clock_than_the_others_are_said(hertz: tuple[float, ...], words: str) -> None:
    found = only(find(*at_clock(*hertz)), "latency")
    assert found.usable
    assert ("clock-differs" in kinds(found)) == bool(words)
    assert words in found.verdict
    assert "clock-differs" not in kinds(only(find(*at_clock(*hertz)), "load"))


def test_a_launch_that_was_left_out_may_have_had_any_clock() -> None:
    launches = at_clock(2.4e9, 2.4e9, 2.4e9, 2.4e9, 0.9e9)
    launches[4] = [row | {"status": "tagged", "reason": "hot"} for row in launches[4]]
    assert kinds(only(find(*launches), "latency")) == {"launches-left-out", "few-launches"}


def test_energy_is_compared_as_times_are() -> None:
    def energy(variant: str, joules: float) -> list[list[dict[str, Any]]]:
        return [launch(i, {"energy": [joules * (1 + i / 1000)]}, variant=variant) for i in range(5)]

    found = find(*energy("baseline", 0.040), *energy("b", 0.010))
    assert {s.verdict for s in found.summaries} == {"usable"}
    (ratio,) = found.comparisons
    assert (ratio.metric, ratio.ratio, ratio.called) == ("energy", pytest.approx(4), True)


def test_latency_beside_others_is_a_mean_everywhere() -> None:
    """One inference of ten waits for a slice, which a median does not see."""

    def contended(variant: str, waited: float) -> list[list[dict[str, Any]]]:
        return [launch(i, {"contended": [1e6] * 90 + [waited + 1e3 * i] * 10}, variant=variant) for i in range(5)]

    found = find(*contended("baseline", 31e6), *contended("b", 1e6), beside=1)
    assert [s.statistics.median for s in found.summaries if s.statistics] == pytest.approx([4e6, 1e6], rel=1e-3)
    (ratio,) = found.comparisons
    assert (ratio.metric, ratio.ratio, ratio.called) == ("contended", pytest.approx(4, rel=1e-3), True)


def test_quiet_neighbours_do_not_vouch_for_launches_that_differ_among_themselves() -> None:
    """The noise of a place is of all that ran there, and these two differ more than the rest."""
    quiet = [
        launch(i, {"first_inference": [1e6 * (1 + i / 1e3)]}, variant=variant, threads=threads)
        for variant in ("baseline", "b")
        for threads in (2, 4, 6, 8)
        for i in range(3)
    ]
    loud = [
        launch(i, {"first_inference": [ns]}, variant=variant)
        for variant, times in (("baseline", (4.9e6, 9e4, 2.6e6)), ("b", (1.7e4, 1e4, 8e3)))
        for i, ns in enumerate(times)
    ]
    found = find(*quiet, *loud)
    (ratio,) = (c for c in found.comparisons if c.right.threads == 1)
    assert ratio.interval is not None
    assert ratio.interval.excludes(1)
    assert not ratio.called
    assert "these launches differ among themselves" in ratio.verdict


@pytest.mark.parametrize(("by", "counts"), [("qemu-user", False), ("qemu-system", True)])
def test_memory_of_a_whole_emulated_machine_is_its_own_and_times_never_are(by: str, counts: bool) -> None:
    there = {"virtual": True, "translated": True, "device": "vm"}
    rows = [*launch(0, {"vm_hwm": [5e6]}, **there), *launch(0, {"latency": [2e7] * 50}, **there)]
    machine = DEVICES[0].model_copy(
        update={"serial": "vm", "virtual": True, "translated": True, "facts": {"ro.bench.translation": by}}
    )
    record = run().model_copy(update={"devices": (*DEVICES, machine)})
    found = analyse(pd.DataFrame(rows, columns=COLUMNS.names), record, {})
    assert ("translated" not in kinds(only(found, "vm_hwm"))) == counts
    assert "translated" in kinds(only(found, "latency"))
