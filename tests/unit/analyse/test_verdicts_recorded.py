"""How often verdicts are wrong, on launches that were recorded of the same network under two names."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from bench.analyse import noise
from bench.analyse.series import Series
from bench.analyse.verdicts import verdict
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
