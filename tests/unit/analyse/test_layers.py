"""Shares of layers, what predicts them, and whether layers add up to the network."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from bench.analyse.layers import profiles
from bench.findings import Statistics, Summary
from bench.layered import LayerRecord, Profile
from bench.records import Subject

SUBJECT = Subject(model="net", variant="baseline", device="phone", runtime="ncnn")


def layer(ns: int, macs: int | None, moved: int | None = 0, **changes: Any) -> LayerRecord:
    first = LayerRecord("-", "Convolution", "", ns, 10, macs, moved, False, (1, 2, 3))
    return first._replace(**changes)


def found(*launches: tuple[LayerRecord, ...], status: str = "ok", reason: str = "", **whole: float) -> Profile:
    """The profile of these launches, with the medians of `whole` by metric."""
    ids = [str(number) for number in range(max(1, len(launches)))]
    same = SUBJECT.model_dump() | {"pass": "profile", "status": status, "reason": reason}
    frame = pd.DataFrame([same | {"trial": one, "virtual": True, "translated": False} for one in ids])
    summaries = [Summary(SUBJECT, metric, "ns", _statistics(value), True, False, ()) for metric, value in whole.items()]
    summaries = summaries or [Summary(SUBJECT, "layers", "ns", None, True, False, ())]
    (one,) = profiles(frame, summaries, dict(zip(ids, launches, strict=False)))
    return one


def _statistics(median: float) -> Statistics:
    return Statistics(median, median, median, median, 0.0, 0.0, 0.0, 3, (), None)


def test_shares_are_of_the_sum_of_layers_with_an_interval_over_launches() -> None:
    one = found((layer(10, 1), layer(30, 3)), (layer(11, 1), layer(30, 3)), (layer(9, 1), layer(31, 3)))
    assert [share.ns for share in one.layers] == [10, 30]
    assert one.layers[0].share == pytest.approx(10 / 40)
    low, high = one.layers[0].interval or (0, 0)
    assert 9 / 40 <= low <= 0.25 <= high <= 11 / 41
    assert (one.launches, one.virtual) == (3, True)


def test_work_of_two_kinds_is_predicted_exactly_where_time_follows_it() -> None:
    """Here a multiply-add takes 2 ns, and a byte 3."""
    work = ((100, 10), (10, 100), (50, 50), (7, 0))
    one = found(tuple(layer(2 * macs + 3 * moved, macs, moved) for macs, moved in work))
    assert one.rates == pytest.approx((2, 3))
    assert all(share.surprise == pytest.approx(0) for share in one.layers)


def test_the_worst_surprise_comes_first() -> None:
    times = (100, 100, 100, 600, 100)
    one = found(tuple(layer(ns, 100, 10, module=f"m{place}") for place, ns in enumerate(times)))
    assert one.surprises[0].label == "m3"
    assert one.surprises[0].surprise == pytest.approx(0.6 - 0.2)


def test_what_is_not_known_of_a_layer_is_not_predicted() -> None:
    one = found((layer(10, 10, 1), layer(10, 10, 2), layer(20, None, None)))
    assert one.layers[2].predicted is None
    assert sum(share.predicted or 0 for share in one.layers) == pytest.approx(0.5)
    assert found((layer(10, None, None), layer(10, None, None))).rates is None


def test_the_sum_is_held_against_inferences_of_the_same_launches_or_else_the_latency_pass() -> None:
    launch = (layer(48, 1), layer(48, 1))
    one = found(launch, plain=100, latency=200, layered=102)
    assert (one.whole, one.sums_up) == (100, True)
    assert one.apart == pytest.approx(-0.04)
    assert one.cost == pytest.approx(0.02)
    other = found(launch, latency=200)
    assert (other.whole, other.sums_up, other.cost) == (200, False, None)
    assert "latency pass" in other.of


def test_a_subject_whose_launches_failed_says_why() -> None:
    one = found(status="failed", reason="unsupported: this library does not time its layers")
    assert (one.layers, one.refused) == ((), "unsupported: this library does not time its layers")


def test_layers_are_named_by_their_module_else_by_what_they_follow() -> None:
    names = [share.label for share in found((
        layer(1, 1, type="Padding"), layer(1, 1, module="a.conv"), layer(1, 1, type="ReLU"),
        layer(1, 1, type="ReLU"), layer(1, 1, name="node_7", type="Conv"),
    )).layers]  # fmt: skip
    assert names == ["Padding", "a.conv", "ReLU after a.conv (1)", "ReLU after a.conv (2)", "node_7"]
