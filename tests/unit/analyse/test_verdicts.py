"""Verdicts: what may be compared, what the words mean, and that scores are judged by their paired test."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.analyse.noise import Place
from bench.analyse.series import Series
from bench.analyse.verdicts import gone, overall, pairs, verdict
from bench.findings import Noise, Verdict
from bench.records import METRICS
from tests.unit.analyse.verdict_kit import SAME, made

QUIET = {Place("p1", "ncnn", metric): Noise(0.003, 40, 0.004, 10) for metric in ("latency", "vm_hwm", "load")}
FIVE = (100.0, 100.2, 99.9, 100.1, 99.8)


def none_stored(one: Series) -> dict[Any, Any]:
    return {}


def judged(left: Series, right: Series, margin: float = 0.03, noises: dict[Place, Noise] | None = None) -> Verdict:
    return verdict(left, right, QUIET if noises is None else noises, none_stored, margin)


def times(factor: float, values: tuple[float, ...] = FIVE) -> list[float]:
    return [factor * value for value in values]


@pytest.mark.parametrize(
    ("metric", "factor", "word"),
    [
        ("latency", 1.0, "same"), ("latency", 1.1, "slower"), ("latency", 0.9, "faster"),
        ("vm_hwm", 1.1, "larger"), ("vm_hwm", 0.9, "smaller"), ("latency", 1.02, "same"),
    ],
)  # fmt: skip
def test_the_word_says_what_became_of_it(metric: str, factor: float, word: str) -> None:
    found = judged(made(FIVE, metric), made(times(factor), metric))
    assert found.word == word
    assert found.ratio == pytest.approx(factor)


def test_a_difference_within_the_noise_of_the_place_is_never_called() -> None:
    """The launches of either side agree to 0.1 %, the place by 5 %: the sides happen to lie 8 % apart."""
    loud = {Place("p1", "ncnn", "latency"): Noise(0.05, 40, None, 0)}
    found = judged(made(FIVE), made(times(1.08)), noises=loud)
    assert found.outcome == "cannot tell"
    assert "noise floor" in found.reason
    assert found.interval is not None
    assert found.interval.excludes(1)


def test_launches_that_differ_more_than_the_place_does_are_blamed_themselves() -> None:
    found = judged(made(FIVE), made([100.0, 125.0, 99.0, 126.0, 100.1]))
    assert found.outcome == "cannot tell"
    assert found.reason == "these launches differ too much among themselves"


@pytest.mark.parametrize("run", ["r", "later"])
def test_three_launches_that_differ_by_factors_call_nothing(run: str) -> None:
    before, after = (4.9e6, 9e4, 2.6e6), (1.7e4, 1e4, 8e3)
    for noises in ({}, {Place("p1", "ncnn", "first_inference"): Noise(0.05, 40, 0.05, 10)}):
        found = judged(made(before, "first_inference"), made(after, "first_inference", run), noises=noises)
        assert found.outcome == "cannot tell"
        assert found.floor is not None
        assert found.floor.words.startswith("these launches differ among themselves")


def test_nor_is_what_is_not_shown_called_the_same() -> None:
    loud = {Place("p1", "ncnn", "latency"): Noise(0.05, 40, None, 0)}
    assert judged(made(FIVE), made(FIVE), noises=loud).outcome == "cannot tell"
    assert judged(made(FIVE), made(FIVE), margin=0.2, noises=loud).outcome == "same"


def test_an_unknown_noise_is_said_and_a_default_stands_for_it() -> None:
    one_run = judged(made(FIVE), made(times(1.04)), noises={})
    assert one_run.floor is not None
    assert (one_run.floor.value, one_run.floor.measured, one_run.outcome) == (0.05, False, "cannot tell")
    assert "not known" in one_run.floor.words
    two_runs = judged(made(FIVE), made(times(1.12), run="later"), noises={})
    assert two_runs.floor is not None
    assert (two_runs.floor.value, two_runs.outcome) == (0.15, "cannot tell")
    assert judged(made(FIVE), made(times(1.3), run="later"), noises={}).word == "slower"


def test_two_runs_are_judged_by_the_noise_from_run_to_run() -> None:
    noises = {Place("p1", "ncnn", "latency"): Noise(0.001, 40, 0.02, 10)}
    assert judged(made(FIVE), made(times(1.05)), noises=noises).word == "slower"
    assert judged(made(FIVE), made(times(1.05), run="later"), noises=noises).outcome == "cannot tell"


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.floats(50, 150), min_size=3, max_size=8), st.lists(st.floats(50, 150), min_size=3, max_size=8),
    st.sampled_from([2.0**-20, 2.0**20]),
)  # fmt: skip
def test_sides_and_units_do_not_matter(a: list[float], b: list[float], unit: float) -> None:
    found = judged(made(a), made(b))
    scaled = judged(made(times(unit, tuple(a))), made(times(unit, tuple(b))))
    assert (scaled.outcome, scaled.ratio, scaled.bounds) == (found.outcome, found.ratio, found.bounds)
    assert found.bounds is not None
    assert found.floor is not None
    assert found.ratio is not None
    assert found.bounds[0] <= found.ratio / (1 + found.floor.value) <= found.ratio <= found.bounds[1]
    back = judged(made(b), made(a))
    if found.outcome in ("better", "worse") and back.outcome in ("better", "worse"):
        assert found.outcome != back.outcome


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"virtual": True}, "virtual"),
        ({"conditions": SAME | {"inputs": "1x32x32"}}, "input shapes"),
        ({"conditions": SAME | {"cores": "big"}}, "other cores"),
        ({"unusable": "accuracy pass failed"}, "accuracy pass failed"),
        ({"launches": {0: 1.0, 1: 1.0}, "left_out": 3, "why": "hot"}, "2 launches, and 3 left out (hot)"),
    ],
)
def test_what_may_not_be_compared_is_not(change: dict[str, Any], why: str) -> None:
    for left, right in ((made(FIVE), replace(made(FIVE), **change)), (replace(made(FIVE), **change), made(FIVE))):
        found = judged(left, right)
        assert found.outcome == "cannot tell"
        assert why in found.reason
        assert found.ratio is None


@pytest.mark.parametrize(
    ("change", "tag"),
    [
        ({"conditions": SAME | {"os": "Android 15"}}, "another system"),
        ({"conditions": SAME | {"protocol": "no warm-up"}}, "another protocol"),
        ({"conditions": SAME | {"program": "q"}}, "another build of the runtime"),
        ({"conditions": SAME | {"artifact": "b"}}, "another artifact"),
        ({"left_out": 2, "why": "hot"}, "2 launches after left out (hot)"),
    ],
)
def test_what_else_differs_is_a_tag(change: dict[str, Any], tag: str) -> None:
    found = judged(made(FIVE), replace(made(FIVE), **change))
    assert tag in found.tags
    assert found.ratio == 1


def test_bytes_are_exact() -> None:
    same, larger = (judged(made([100.0], "deployed"), made([size], "deployed")) for size in (102.0, 104.0))
    assert (same.outcome, larger.word) == ("same", "larger")
    assert larger.interval is None


@pytest.mark.parametrize(("side", "word", "status"), [(252, "smaller", 1), (688, "same", 0), (1400, "larger", 0)])
def test_a_larger_picture_is_better_than_a_smaller_one(side: int, word: str, status: int) -> None:
    found = judged(made([688.0**2], "largest_picture"), made([float(side**2)], "largest_picture"), margin=0.07)
    assert (found.word, overall([found])) == (word, status)
    assert found.not_worse == (status == 0)


def test_pictures_that_the_search_does_not_tell_apart_are_not_told_apart() -> None:
    for side in (672.0, 704.0):
        found = judged(made([688.0**2], "largest_picture"), made([side**2], "largest_picture", run="later"))
        assert found.outcome == "cannot tell"
        assert found.floor is not None
        assert 0.06 < found.floor.value < 0.062


def test_a_lower_bound_is_compared_only_where_it_decides() -> None:
    small, large = (made([side**2], "largest_picture") for side in (700.0, 1400.0))
    small_bound, large_bound = (replace(one, bound="all up to the limit") for one in (small, large))
    assert judged(small, large_bound).outcome == "better"
    assert judged(large_bound, small).outcome == "worse"
    for left, right in ((small_bound, large), (large, small_bound)):
        assert judged(left, right).outcome == "cannot tell"
        assert "lower bound" in judged(left, right).reason
        assert overall([judged(left, right)]) == 2
    both = judged(large_bound, large_bound)
    assert (both.outcome, both.bounds) == ("cannot tell", None)
    assert overall([both, judged(made(FIVE), made(FIVE))]) == 0


def test_a_memory_test_of_one_side_alone_decides_nothing() -> None:
    assert overall([gone(made([700.0**2], "largest_picture")), judged(made(FIVE), made(FIVE))]) == 0


def test_every_figure_knows_which_way_is_better() -> None:
    for name, kind in METRICS.items():
        if kind.pass_ in ("accuracy", "sustained"):
            continue
        more, less = (judged(made(FIVE, name), made(times(f), name)) for f in (2.0, 0.5))
        expected = {"lower": ("worse", "better"), "higher": ("better", "worse"), "equal": ("cannot tell",) * 2}
        assert (more.outcome, less.outcome) == expected[kind.better], name
        assert (more.not_worse, less.not_worse) == tuple(one == "better" for one in expected[kind.better]), name
        if kind.better == "equal":
            assert more.word == less.word == "differs"


class TestScores:
    """Of 200 samples, answered before and after."""

    def facts(self, wrong: int, first: int = 0) -> dict[str, Any]:
        ranks = np.zeros(200)
        ranks[first : first + wrong] = 1
        return {"rank": ranks, "label": np.arange(200.0) % 10, "answer": np.arange(200.0) % 10}

    def judged(self, before: dict[str, Any] | None, after: dict[str, Any] | None, **more: Any) -> Verdict:
        stored = {"r": before, "later": after}
        left, right = (
            made([float(np.mean(stored[run]["rank"] == 0)) if stored[run] else 0.9], "top1", run)
            for run in stored  # type: ignore[index]
        )
        right = replace(right, **more)
        return verdict(
            left, right, {}, lambda one: {one.subject: facts} if (facts := stored[one.runs[0]]) else {}
        )  # fmt: skip

    def test_many_more_mistakes_are_worse(self) -> None:
        found = self.judged(self.facts(2), self.facts(20))
        assert (found.outcome, found.difference) == ("worse", pytest.approx(-0.09))
        assert self.judged(self.facts(20), self.facts(2)).outcome == "better"

    def test_other_mistakes_cannot_be_told_from_chance(self) -> None:
        found = self.judged(self.facts(5), self.facts(5, first=100))
        assert found.outcome == "cannot tell"
        assert found.p_value == 1

    def test_the_same_answers_are_the_same_however_few(self) -> None:
        assert self.judged(self.facts(5), self.facts(5)).reason == "the same answers to every sample"

    def test_other_samples_are_refused(self) -> None:
        found = self.judged(self.facts(5), self.facts(5), conditions=SAME | {"samples": "t"})
        assert (found.outcome, found.reason) == ("cannot tell", "other samples: not comparable")

    def test_without_stored_answers_only_equal_figures_say_something(self) -> None:
        assert self.judged(None, None).outcome == "same"
        found = self.judged(self.facts(5), None)
        assert found.outcome == "cannot tell"
        assert "not stored" in found.reason


def test_one_that_became_worse_decides_and_one_that_cannot_be_told_is_not_fine() -> None:
    same, slower, faster = (judged(made(FIVE), made(times(f))) for f in (1.0, 1.2, 0.8))
    unclear = judged(made(FIVE), made(FIVE), noises={})
    assert overall([same, faster]) == 0
    assert overall([unclear, slower, faster]) == 1
    assert overall([unclear, faster]) == 2
    assert overall([]) == 2


def test_what_is_surely_no_slower_passes_even_if_it_may_be_faster() -> None:
    found = judged(made(FIVE), made([90.0, 99.5, 94.0, 92.0, 101.0]))
    assert found.outcome == "cannot tell"
    assert found.not_worse
    assert overall([found]) == 0


def test_what_is_missing_after_is_not_taken_for_fine() -> None:
    found = gone(made(FIVE))
    assert (found.outcome, found.values) == ("cannot tell", (100.0, None))
    assert overall([judged(made(FIVE), made(times(0.8))), found]) == 2


class TestPairs:
    def test_a_variant_is_matched_with_itself_in_the_same_place(self) -> None:
        old = [made(FIVE, variant=v, device=d) for v in ("a", "b") for d in ("p1", "p2")]
        new = [made(FIVE, variant=v, device=d, run="n") for v in ("b", "c") for d in ("p2", "p3")]
        found = list(pairs(old, new, any_variant=False))
        assert found[0] == (old[3], new[0])
        assert found[1:] == [(one, None) for one in old[:3]]

    def test_other_variants_and_the_only_other_phone_are_matched_when_asked_for(self) -> None:
        old, new = made(FIVE, variant="a"), made(FIVE, variant="b", device="p2", run="n")
        assert list(pairs([old], [new], any_variant=False)) == [(old, None)]
        assert list(pairs([old], [new], any_variant=True)) == [(old, new)]
        assert "another device (p1 and p2)" in judged(old, new).tags


def test_latency_beside_others_is_compared_only_beside_the_same_others() -> None:
    two, three = ({**SAME, "protocol": f"w, beside {count} copies and 0 threads"} for count in (2, 3))
    same = judged(made(FIVE, "contended", conditions=two), made(times(1.2), "contended", conditions=two), noises={})
    other = judged(made(FIVE, "contended", conditions=two), made(times(1.2), "contended", conditions=three))
    assert same.word == "slower"
    assert (other.outcome, other.reason) == ("cannot tell", "another protocol: not comparable")
