"""How often verdicts are wrong, on launches that were recorded of the same network under two names."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from bench.analyse import noise
from bench.analyse.series import Series
from bench.analyse.verdicts import verdict
from bench.campaign.adaptive import Goal
from bench.plan import Protocol
from bench.records import Measurement, Sample, Subject, Trial
from tests.unit.analyse.verdict_kit import frame, recorded, window

COMPARISONS = 200
LAUNCHES = 5
"""Of each variant, as a plan has them by default."""


def outcomes(network: str, launches: int, factor: float, count: int, metric: str = "latency") -> Counter[str]:
    """The verdicts of `count` comparisons of `launches` launches, in the order they were made, with as many of the
    other label, `factor` times as long: runs as they would have been from some moment of the recording on."""
    dice = random.Random(11)
    found: Counter[str] = Counter()
    a, b = recorded(network, metric)
    noises = noise.noises(frame(network))
    last = min(len(a.launches), len(b.launches)) - launches
    for _ in range(count):
        first = dice.randint(0, last)
        sides = window(a, first, launches), window(b, first, launches, factor)
        found[verdict(*sides, noises, _none, 0.03).word] += 1
    return found


def until_known(network: str, wanted: float, count: int) -> tuple[Counter[str], list[int]]:
    """The verdicts of `count` comparisons of launches that went on until their ratio was known to ± `wanted`, as
    `bench run --precision` does, and how many launches each had."""
    dice = random.Random(11)
    found: Counter[str] = Counter()
    a, b = recorded(network)
    noises = noise.noises(frame(network))
    most = 40
    lengths = []
    for _ in range(count):
        first = dice.randint(0, min(len(a.launches), len(b.launches)) - most)
        sides = dict(
            zip(("a", "b"), dice.sample([window(one, first, most).launches for one in (a, b)], 2), strict=True)
        )
        goal = Goal("m", Protocol(ratio_interval=wanted, budget_seconds=86_400), {"a"})
        for launch in range(LAUNCHES):
            for variant in sides:
                goal.add(_measured(variant, launch, sides[variant][launch]))
        while (block := goal.block()) and block[0].launch < most:
            for trial in block:
                goal.add(_measured(trial.subject.variant, trial.launch, sides[trial.subject.variant][trial.launch]))
        (record,) = goal.records()
        lengths.append(record.launches)
        left, right = (
            replace(one, launches=dict(list(sides[variant].items())[: record.launches]))
            for variant, one in (("a", a), ("b", b))
        )
        found[verdict(left, right, noises, _none, 0.03).word] += 1
    return found, lengths


def _measured(variant: str, launch: int, median: float) -> Measurement:
    subject = Subject(model="m", variant=variant, device="p1", runtime="ncnn")
    trial = Trial(subject=subject, pass_="latency", launch=launch)
    return Measurement(trial=trial, status="ok", samples=(Sample("latency", 0, median),), started="", wall_s=0.0)


def test_stopping_when_a_ratio_is_known_makes_no_false_verdicts() -> None:
    """To stop as soon as an interval is narrow is to stop where launches happen to be alike; the noise floor guards
    against what that does."""
    found, lengths = until_known("lenet5", 0.005, COMPARISONS)
    assert COMPARISONS - found["same"] - found["cannot tell"] <= 0.03 * COMPARISONS, found
    assert min(lengths) == LAUNCHES < max(lengths)


def _none(one: Series) -> dict[object, object]:
    return {}


@pytest.mark.parametrize(
    ("network", "metric", "launches", "count"),
    [
        ("lenet5", "latency", LAUNCHES, 120), ("unet-small", "latency", LAUNCHES, 80),
        ("lenet5", "load", LAUNCHES, 60), ("lenet5", "vm_hwm", 3, 60),
    ],
)  # fmt: skip
def test_the_same_network_is_hardly_ever_called_different(network: str, metric: str, launches: int, count: int) -> None:
    found = outcomes(network, launches, 1.0, count, metric)
    assert count - found["same"] - found["cannot tell"] <= 0.03 * count, found


@pytest.mark.parametrize(("launches", "factor", "share"), [(LAUNCHES, 1.05, 0.90), (10, 1.10, 0.95)])
def test_a_slow_down_is_found(launches: int, factor: float, share: float) -> None:
    found = outcomes("lenet5", launches, factor, COMPARISONS)
    assert found["slower"] >= share * COMPARISONS, found
    assert found["faster"] == 0


def test_where_noise_drowns_everything_nothing_is_called_the_same() -> None:
    """The launches of unet-small differed by tens of percent: other programs had the cores."""
    assert outcomes("unet-small", LAUNCHES, 1.0, 40)["same"] == 0


def test_most_comparisons_of_the_same_say_so_in_a_quiet_place() -> None:
    assert outcomes("lenet5", 10, 1.0, 100)["same"] >= 80
