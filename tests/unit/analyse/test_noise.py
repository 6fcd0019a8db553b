"""A/A noise: found again where it was put, robust against a few disturbed launches, and power as it was promised."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bench.analyse import noise
from bench.analyse.noise import Place, detectable, floor, launches_for, noises
from bench.analyse.verdicts import verdict
from bench.findings import Noise
from tests.unit.analyse.verdict_kit import SAME, made

PLACE = Place("p1", "ncnn", "latency")


def rows(values: dict[str, dict[str, list[float]]], **more: Any) -> pd.DataFrame:
    """Rows of the history: by run and variant, medians of launches."""
    same = SAME | {
        "device": "p1", "model": "m", "runtime": "ncnn", "threads": 1, "precision": "fp32", "metric": "latency",
        "status": "ok", "unusable": "",
    }  # fmt: skip
    return pd.DataFrame(
        [
            same | {"key": run, "variant": variant, "launch": n, "value": value} | more
            for run, variants in values.items()
            for variant, medians in variants.items()
            for n, value in enumerate(medians)
        ]
    )


def drawn(deviation: float, runs: int, launches: int, between: float = 0.0, seed: int = 3) -> dict[str, Any]:
    dice = np.random.default_rng(seed)
    return {
        f"r{run}": {
            "v": (1000 * math.exp(dice.normal(0, between)) * np.exp(dice.normal(0, deviation, launches))).tolist()
        }
        for run in range(runs)
    }


def test_noise_within_and_between_runs_is_found_again() -> None:
    found = noises(rows(drawn(0.01, 60, 12, between=0.05)))[PLACE]
    assert found.launch == pytest.approx(0.01, rel=0.1)
    assert found.run == pytest.approx(0.05, rel=0.25)
    assert (found.launch_freedom, found.run_freedom) == (60 * 11, 59)


def test_variants_of_other_speed_are_no_noise() -> None:
    quiet = [100.0, 100.1, 99.9, 100.05, 99.95]
    found = noises(rows({"r": {"a": quiet, "b": [9 * v for v in quiet]}}))[PLACE]
    assert found.launch is not None
    assert found.launch < 0.002


def test_one_disturbed_launch_in_twenty_changes_little() -> None:
    quiet = drawn(0.01, 20, 20)
    disturbed = {run: {"v": [2 * values["v"][0], *values["v"][1:]]} for run, values in quiet.items()}
    before, after = (noises(rows(one))[PLACE].launch for one in (quiet, disturbed))
    assert before is not None
    assert after is not None
    assert before <= after < 1.3 * before


def test_what_is_not_the_same_says_nothing_of_noise_from_run_to_run() -> None:
    values = drawn(0.01, 4, 5)
    frame = rows(values)
    frame["artifact"] = frame["key"]
    found = noises(frame)[PLACE]
    assert found.run is None
    assert found.launch is not None


def test_variants_of_the_same_runs_are_not_more_runs() -> None:
    two = {f"r{run}": {v: [1000.0 + run] * 5 for v in "abcde"} for run in range(2)}
    frame = rows(two)
    frame["artifact"] = frame["variant"]
    assert noises(frame)[PLACE].run is None


def test_tagged_and_unusable_launches_do_not_count() -> None:
    values = drawn(0.01, 4, 5)
    assert noises(rows(values, status="tagged")) == {}
    assert noises(rows(values, unusable="wrong answers")) == {}
    assert noises(rows(values, metric="top1")) == {}


def test_too_few_launches_are_not_taken_for_knowledge() -> None:
    found = noises(rows(drawn(0.01, 2, 2)))[PLACE]
    assert (found.launch, found.run) == (None, None)
    assert not floor(found, 5, 5, between_runs=False).measured


@pytest.mark.parametrize("between_runs", [False, True])
def test_one_comparison_in_a_hundred_of_the_same_is_beyond_the_floor(between_runs: bool) -> None:
    dice, beyond, trials = np.random.default_rng(7), 0, 150
    for seed in range(trials):
        known = noises(rows(drawn(0.01, 5, 5, between=0.02, seed=seed)))[PLACE]
        shift = dice.normal(0, 0.02, 2) if between_runs else (0, 0)
        a, b = (np.exp(s + dice.normal(0, 0.01, 5)) for s in shift)
        ratio = abs(math.log(np.median(a) / np.median(b)))
        beyond += ratio > math.log1p(floor(known, 5, 5, between_runs=between_runs).value)
    assert beyond <= 0.03 * trials


@pytest.mark.parametrize("launches", [5, 20])
def test_the_difference_that_a_plan_promises_is_found_as_often_as_it_says(launches: int) -> None:
    known, dice, trials = Noise(0.01, 40), np.random.default_rng(5), 100
    promised = 1 + detectable(known, launches)
    found = 0
    for _ in range(trials):
        a, b = (np.exp(dice.normal(0, 0.01, launches)) for _ in "ab")
        sides = made(a.tolist()), made((promised * b).tolist())
        found += verdict(*sides, {PLACE: known}, lambda one: {}, 0.0).outcome == "worse"
    assert 0.75 * trials <= found <= 0.99 * trials


def test_more_launches_find_less_and_the_number_needed_is_found() -> None:
    known = Noise(0.02, 40)
    assert detectable(known, 5) > detectable(known, 20) > detectable(known, 80)
    needed = launches_for(known, 0.03)
    assert needed is not None
    assert detectable(known, needed) <= 0.03 < detectable(known, needed - 1)
    assert launches_for(known, 1e-6) is None
    assert noise.launches_for(Noise(), 0.03) is None
