"""What each variant keeps under drift, and who loses more than the ordinary network: by planted answers."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.analyse import analyse, intervals
from bench.errors import CorruptData
from tests.unit.analyse.drift_kit import FRAGILE, GOOD, SETS, N, Shown, run_of


def test_a_mean_over_all_corruptions_is_that_of_their_means_and_is_given_relative_to_the_samples_as_they_are() -> None:
    shown = Shown(run_of("baseline"))
    shown.add("baseline", GOOD)
    one = shown.found()["baseline@p1"]
    noise, blur = one.kinds
    assert (one.score, one.n) == ("top1", N)
    assert [cell.severity for cell in noise.cells] == [1, 3, 5]
    assert noise.value == pytest.approx(np.mean([cell.value for cell in noise.cells]))
    assert one.overall is not None
    assert one.relative is not None
    assert one.relative_bounds is not None
    assert one.overall.value == pytest.approx((noise.value + blur.value) / 2)
    assert one.relative == pytest.approx(one.overall.value / one.clean)
    assert one.relative_bounds[0] < one.relative < one.relative_bounds[1]
    for kind in (*one.kinds, one.overall):
        assert kind.bounds is not None
        assert kind.bounds[0] <= kind.value <= kind.bounds[1]


def test_a_cell_is_held_against_the_same_samples_as_they_are() -> None:
    shown = Shown(run_of("baseline"))
    shown.add("baseline", GOOD)
    noise, blur = shown.found()["baseline@p1"].kinds
    worst, mild = noise.cells[-1], blur.cells[0]
    assert worst.difference == pytest.approx(worst.value - shown.found()["baseline@p1"].clean)
    assert worst.called
    assert worst.difference_bounds is not None
    assert worst.difference_bounds[1] < 0
    assert not mild.called, "two samples of two hundred are chance"


def test_a_variant_that_falls_further_is_called_under_that_corruption_alone() -> None:
    shown = Shown(run_of("baseline", "fr", "half"))
    for variant, rates in (("baseline", GOOD), ("fr", FRAGILE), ("half", GOOD)):
        shown.add(variant, rates)
    found = shown.found()
    noise, blur = found["fr@p1"].kinds
    assert noise.called
    assert noise.more == pytest.approx(0.19, abs=0.03)
    assert noise.more_bounds is not None
    assert noise.more_bounds[0] > 0
    assert not blur.called
    assert not any(kind.called for kind in found["half@p1"].kinds)
    assert all(kind.more is None for kind in found["baseline@p1"].kinds)
    assert found["fr@p1"].overall is not None
    assert found["fr@p1"].overall.called


def test_a_worse_network_that_keeps_as_much_does_not_lose_more() -> None:
    """It is ten points worse everywhere: that is its score, and not its drift."""
    shown = Shown(run_of("baseline", "small"))
    shown.add("baseline", GOOD)
    shown.add("small", {name: [rate - 0.1 for rate in rates] for name, rates in GOOD.items()})
    assert not any(kind.called for kind in shown.found()["small@p1"].kinds)


def test_variants_alike_but_for_chance_are_called_in_few_of_many_runs() -> None:
    """A family of eight tests at 5 %, corrected: one run in twenty may call one of them."""
    calls = 0
    for seed in range(12):
        shown = Shown(run_of("baseline", "a", "b", "c", "d"))
        for number, variant in enumerate(("baseline", "a", "b", "c", "d")):
            shown.add(variant, GOOD, seed=1000 * seed + number)
        calls += any(kind.called for one in shown.found().values() for kind in one.kinds)
    assert calls <= 2


def test_the_same_answers_in_two_places_are_one_finding_and_both_places_are_named() -> None:
    shown = Shown(run_of("baseline"))
    shown.add("baseline", GOOD, device="desktop")
    shown.add("baseline", GOOD)
    found = shown.found()
    assert found["baseline@desktop"].like == found["baseline@p1"].subject, "a phone stands for both"
    shown = Shown(run_of("baseline"))
    shown.add("baseline", GOOD, device="desktop")
    shown.add("baseline", FRAGILE)
    assert all(one.like == one.subject for one in shown.found().values())


@pytest.mark.parametrize(("labels", "trained"), [(False, True), (True, False)])
def test_without_a_right_answer_it_is_whether_the_answer_stays(labels: bool, trained: bool) -> None:
    shown = Shown(run_of("baseline", "fr", trained=trained))
    shown.add("baseline", GOOD, labels=labels)
    shown.add("fr", FRAGILE, labels=labels)
    one = shown.found()["fr@p1"]
    assert (one.score, one.clean, one.clean_bounds) == ("drift_agreement", 1.0, None)
    noise, _ = one.kinds
    assert noise.cells[2].value == pytest.approx(1 - 0.54, abs=0.06)
    assert all(cell.p is None for cell in noise.cells)
    assert noise.called
    metrics = {s.metric for s in analyse(shown.frame, shown.run, shown.answers).summaries}
    assert metrics == {"drift_agreement"}


def test_what_failed_is_missing_and_nothing_stands_for_all_of_them() -> None:
    shown = Shown(run_of("baseline", "fr"))
    shown.add("baseline", GOOD)
    shown.add("fr", FRAGILE, failed=["blur"])
    one = shown.found()["fr@p1"]
    assert [kind.name for kind in one.kinds] == ["noise"]
    assert (one.overall, one.relative) == (None, None)
    assert one.missing == ("blur: killed",)
    assert one.kinds[0].more is None, "it was not shown the same as the ordinary network"


def test_without_the_samples_as_they_are_there_is_nothing_to_say() -> None:
    shown = Shown(run_of("baseline"))
    shown.add("baseline", GOOD, failed=["clean"])
    assert not shown.found()


def test_the_mean_is_a_figure_of_the_run() -> None:
    shown = Shown(run_of("baseline"))
    shown.add("baseline", GOOD)
    (summary,) = analyse(shown.frame, shown.run, shown.answers).summaries
    assert summary.metric == "drift_score"
    assert summary.virtual
    assert summary.statistics is not None
    overall = shown.found()["baseline@p1"].overall
    assert overall is not None
    assert summary.statistics.median == overall.value


def test_answers_that_do_not_fit_the_samples_are_refused() -> None:
    shown = Shown(run_of("baseline"))
    shown.add("baseline", GOOD)
    trial = next(name for name in shown.answers if name.endswith("/1"))
    shown.answers[trial] = {fact: values[:-1] for fact, values in shown.answers[trial].items()}
    with pytest.raises(CorruptData, match="not those to 3 × 200 samples"):
        shown.found()


def test_a_launch_that_the_run_does_not_know_is_refused() -> None:
    shown = Shown(run_of("baseline"))
    shown.add("baseline", GOOD)
    shown.run = run_of("baseline", sets=SETS[:2])
    with pytest.raises(CorruptData, match="a set of samples that the run does not know"):
        shown.found()


def test_a_run_of_an_older_bench_has_no_drift() -> None:
    run = run_of("baseline")
    samples = run.samples["m"].model_copy(update={"drift": None})
    shown = Shown(run)
    shown.add("baseline", GOOD)
    shown.run = run.model_copy(update={"samples": {"m": samples}})
    assert not shown.found()


def test_masks_are_judged_by_their_dice() -> None:
    shown = Shown(run_of("baseline"))
    shown.add("baseline", GOOD)
    random = np.random.default_rng(4)
    for trial, known in shown.answers.items():
        size, worse = len(known["answer"]), 0 if trial.endswith("/0") else 20
        both = random.integers(50 - worse, 80 - worse, size).astype(float)
        shown.answers[trial] = {"both": both, "ours": both + 10, "theirs": both + 15, "agrees": np.ones(size)}
    one = shown.found()["baseline@p1"]
    assert one.score == "dice"
    assert one.clean > one.kinds[0].value
    assert one.kinds[0].cells[0].called


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
@settings(deadline=None)
def test_corrected_p_values_are_no_smaller_and_in_the_same_order(values: list[float]) -> None:
    found = intervals.holm(values)
    assert all(before <= after <= 1 for before, after in zip(values, found, strict=True))
    order = np.argsort(values, kind="stable")
    assert all(found[a] <= found[b] for a, b in pairwise(order))
    assert min(found) == pytest.approx(min(1, len(values) * min(values)))


def test_sign_flips_know_the_exact_chance_of_few_samples() -> None:
    """Five equal differences: only two of 32 choices of signs are as far from 0."""
    assert intervals.sign_flips(np.ones((5, 1)))[0] == pytest.approx(2 / 32, abs=0.01)
    assert intervals.sign_flips(np.zeros((9, 2))).tolist() == [1, 1]


def test_severities_of_a_sample_do_not_count_as_samples_of_their_own() -> None:
    """They depend on each other: three of them make an interval hardly narrower than one."""
    shown = Shown(run_of("baseline", "fr"))
    shown.add("baseline", GOOD)
    shown.add("fr", GOOD | {"noise": [0.88, 0.78, 0.68]})
    noise = shown.found()["fr@p1"].kinds[0]
    assert noise.more_bounds is not None
    wide = noise.more_bounds[1] - noise.more_bounds[0]
    once = Shown(run_of("baseline", "fr", sets=[SETS[0], SETS[1].model_copy(update={"severities": (1,)}), SETS[2]]))
    once.add("baseline", GOOD | {"noise": [0.8]})
    once.add("fr", GOOD | {"noise": [0.78]})
    bounds = once.found()["fr@p1"].kinds[0].more_bounds
    assert bounds is not None
    assert wide > 0.5 * (bounds[1] - bounds[0])
