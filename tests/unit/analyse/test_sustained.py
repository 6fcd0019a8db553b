"""Load that goes on: cold against steady, throttling, and who overtakes whom; from windows made up for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bench.analyse.noise import Place
from bench.analyse.sustained import leads, parts, per_unit, ratio_bounds, sustained, throttled, turns
from bench.endurance import Moment, Sustained, Turn
from bench.findings import Noise
from bench.plan import Case, Plan, Protocol
from bench.records import Device, RunRecord, Subject

PLACE = Place("p1", "ncnn", "latency")
QUIET = {PLACE: Noise(0.002, 20)}


def windows(values: Sequence[float]) -> tuple[Moment, ...]:
    return tuple(Moment(float(second), value) for second, value in enumerate(values))


def run_of(seconds: float) -> RunRecord:
    plan = Plan(name="a", cases=(Case(model="m"),), protocol=Protocol(sustained_seconds=seconds))
    phone = Device(serial="p1", kind="phone", name="P", os="Android", abis=("arm64-v8a",))
    return RunRecord(
        id="r", name="a", started="2026-11-26T10:00:00+00:00", bench_version="0", plan=plan.model_dump(mode="json"),
        reference="torch", versions={}, toolchain={}, devices=(phone,), artifacts=(),
    )  # fmt: skip


def launched(
    seconds: int, ns: Callable[[int], float], variant: str = "baseline", status: str = "ok", metric: str = "sustained"
) -> pd.DataFrame:
    """The rows of one launch with a window each second."""
    rows = range(seconds)
    return pd.DataFrame(
        {
            "trial": f"sustained/m/{variant}", "model": "m", "variant": variant, "device": "p1", "runtime": "ncnn",
            "pass": "sustained", "threads": 1, "precision": "fp32", "launch": 0, "order": 0, "virtual": False,
            "translated": False, "status": status, "reason": "" if status == "ok" else "hot", "metric": metric,
            "index": list(rows), "value": [ns(i) for i in rows],
        }
    )  # fmt: skip


def found(*launches: pd.DataFrame, seconds: float) -> tuple[Sustained, ...]:
    return sustained(pd.concat(launches), run_of(seconds))


def wobbling(level: Callable[[int], float], seed: int = 1) -> Callable[[int], float]:
    dice = np.random.default_rng(seed)
    return lambda second: level(second) * float(dice.normal(1, 0.003))


def warming(second: int) -> float:
    """Cold for three minutes, then half as slow again."""
    return 1e6 if second < 180 else 1.5e6


def test_a_phone_that_throttles_is_found_with_its_minute_and_ratio() -> None:
    (one,) = found(launched(600, wobbling(warming)), seconds=600)
    assert one.unit_s == 60
    assert len(one.medians) == 10
    assert one.throttled == 3
    assert one.ratio == pytest.approx(1.5, rel=0.01)
    assert one.bounds is not None
    assert 1.45 < one.bounds[0] < one.ratio < one.bounds[1] < 1.55


def test_a_phone_that_does_not_throttle_is_not_said_to() -> None:
    (one,) = found(launched(600, wobbling(lambda second: 1e6)), seconds=600)
    assert one.throttled is None
    assert one.bounds is not None
    assert one.bounds[0] < 1.005
    assert one.bounds[1] > 0.995


def test_a_phone_that_recovers_has_not_throttled_to_the_end() -> None:
    (one,) = found(launched(600, wobbling(lambda s: 1.5e6 if 120 <= s < 300 else 1e6)), seconds=600)
    assert one.throttled is None


def test_a_load_shorter_than_a_minute_is_told_in_seconds() -> None:
    (one,) = found(launched(5, lambda second: 1e6 if second < 2 else 2e6), seconds=5)
    assert (one.unit_s, len(one.medians), one.throttled) == (1, 5, 2)
    assert one.ratio == 2
    assert one.bounds is None  # one cold window is no sample


def test_a_tagged_launch_has_its_doubt_and_a_failed_one_is_left_out() -> None:
    tagged = launched(10, lambda second: 1e6, status="tagged")
    failed = launched(1, lambda second: float("nan"), "half", "failed", "")
    (one,) = found(tagged, failed, seconds=10)
    assert one.doubts == "hot"


def test_heat_and_clock_come_with_it() -> None:
    heat = launched(3, lambda second: 30.0 + second, metric="sustained_skin")
    (one,) = found(launched(5, lambda second: 1e6), heat, seconds=5)
    assert [m.value for m in one.skin] == [30, 31, 32]
    assert one.clock == one.status == ()


def test_the_last_bit_of_a_minute_is_no_minute() -> None:
    assert [m.second for m in per_unit(windows([1.0] * 130), 60)] == [0, 60]
    assert [m.second for m in per_unit(windows([1.0] * 155), 60)] == [0, 60, 120]
    assert [m.second for m in per_unit(windows([1.0] * 20), 60)] == [0]


def test_windows_longer_than_a_second_count_by_when_they_began() -> None:
    slow = [Moment(7.0 * i, 7e9) for i in range(20)]
    cold, steady = parts(slow, 140)
    assert (cold.size, steady.size) == (2, 6)
    assert len(per_unit(slow, 60)) == 2


@settings(deadline=None)
@given(st.lists(st.floats(1, 1e9), min_size=1, max_size=40), st.floats(1, 1e9), st.sampled_from([1, 60]))
def test_throttling_agrees_with_what_is_steady_and_holds_for_most_of_the_rest(
    medians: list[float], cold: float, unit_s: int
) -> None:
    steady = float(np.median(medians[-(len(medians) // 3 + 1) :]))
    start = throttled(medians, cold, steady, unit_s)
    if start is not None:
        above = [median > 1.05 * cold for median in medians[start:]]
        assert steady > 1.05 * cold
        assert above[0]
        assert sum(above) >= 0.8 * len(above)
        assert sum(above) * unit_s >= 3


def test_a_dip_at_the_very_end_does_not_undo_throttling() -> None:
    minutes = (1e6, *[1.5e6] * 8, 1e6)
    (one,) = found(launched(600, wobbling(lambda s: minutes[s // 60])), seconds=600)
    assert one.throttled == 1
    (short,) = found(launched(20, lambda s: 100 if s < 2 else 104 if s == 19 else 150), seconds=20)
    assert (short.throttled, short.ratio, short.bounds) == (2, 1.5, None)


def test_one_slow_second_at_the_end_is_no_throttling() -> None:
    (one,) = found(launched(20, lambda s: 106 if s == 19 else 100), seconds=20)
    assert (one.throttled, one.ratio) == (None, 1)


def test_nothing_is_throttling_that_the_interval_does_not_show() -> None:
    """A load that swings by half from block to block."""
    level = np.repeat(np.random.default_rng(2).uniform(0.5e6, 2e6, 12), 10)
    (one,) = found(launched(120, lambda s: float(level[s])), seconds=120)
    assert one.bounds is not None
    assert one.bounds[0] < 1 < one.bounds[1]
    assert one.throttled is None


@given(st.lists(st.floats(1e3, 1e9), min_size=1, max_size=60), st.lists(st.floats(1e3, 1e9), min_size=1, max_size=60))
def test_bounds_hold_the_ratio_or_there_are_none(over: list[float], under: list[float]) -> None:
    bounds = ratio_bounds(np.array(over), np.array(under))
    if min(len(over), len(under)) < 12:
        assert bounds is None
    else:
        assert bounds is not None
        ratio = np.median(over) / np.median(under)
        assert bounds[0] <= ratio * (1 + 1e-12)
        assert bounds[1] >= ratio * (1 - 1e-12)


def test_neighbours_that_resemble_each_other_widen_an_interval() -> None:
    """A governor that moves slowly between two clocks: windows are few observations, not many."""
    dice = np.random.default_rng(3)
    values = np.repeat(dice.normal(1e6, 3e4, 25), 8)
    mixed = dice.permutation(values)
    slow, fast = (ratio_bounds(one, np.full(60, 1e6)) for one in (values, mixed))
    assert slow is not None
    assert fast is not None
    assert slow[1] - slow[0] > 1.5 * (fast[1] - fast[0])


@pytest.mark.parametrize(("memory", "least"), [(0.0, 0.92), (0.5, 0.90), (0.8, 0.84)])
def test_the_interval_holds_the_truth_about_as_often_as_it_says(memory: float, least: float) -> None:
    """Of windows that each keep so much of the one before (an autoregressive series)."""
    dice = np.random.default_rng(5)

    def series(count: int) -> NDArray[np.float64]:
        found = np.zeros(count + 50)
        for i in range(1, found.size):
            found[i] = memory * found[i - 1] + dice.normal(0, 0.02 * (1 - memory**2) ** 0.5)
        return 1e6 * (1 + found[50:])

    bounds = [ratio_bounds(series(100), series(30)) for _ in range(120)]
    assert sum(one is not None and one[0] <= 1 <= one[1] for one in bounds) >= least * len(bounds)


def ranked(
    cold_half: float, steady_half: float, noises: Mapping[Place, Noise] = MappingProxyType(QUIET)
) -> tuple[Turn, ...]:
    """The turns of a steady baseline and a half that changes after 40 seconds."""
    baseline = launched(120, wobbling(lambda second: 1e6, 1))
    half = launched(120, wobbling(lambda second: cold_half if second < 40 else steady_half, 2), "half")
    return turns(found(baseline, half, seconds=120), noises)


def test_a_variant_that_loses_its_lead_is_called() -> None:
    (turn,) = ranked(0.9e6, 1.2e6)
    assert (turn.early.variant, turn.late.variant, turn.called) == ("half", "baseline", True)
    assert turn.gain == pytest.approx(1 / 0.9, rel=0.01)
    assert turn.loss == pytest.approx(1.2, rel=0.01)


def test_a_variant_that_keeps_its_lead_is_not() -> None:
    assert ranked(0.9e6, 0.95e6) == ()


def test_a_change_of_places_within_the_noise_is_not_called() -> None:
    (turn,) = ranked(0.99e6, 1.02e6, {PLACE: Noise(0.02, 20)})
    assert not turn.called


def test_variants_in_different_places_are_not_ranked() -> None:
    here = Subject(model="m", variant="half", device="desktop", runtime="ncnn")
    one, two = found(
        launched(120, lambda second: 1e6), launched(120, lambda s: 0.9e6 if s < 40 else 1.2e6, "half"), seconds=120
    )
    assert turns((one, replace(two, subject=here)), QUIET) == ()


def test_who_is_ahead_is_said_where_it_is_shown_and_of_those_alone_that_can_be_judged() -> None:
    def of(variant: str, ns: float, seed: int, status: str = "ok") -> pd.DataFrame:
        return launched(120, wobbling(lambda second: ns, seed), variant, status)

    three = found(of("a", 1e6, 1), of("b", 1.2e6, 2), of("c", 1.2e6, 2), of("d", 0.5e6, 3, "tagged"), seconds=120)
    ahead = {(one.when, one.ahead.variant, one.behind.variant) for one in leads(three, QUIET)}
    assert ahead == {(when, "a", other) for when in ("cold", "steady") for other in "bc"}
    assert leads(three, {PLACE: Noise(0.2, 20)}) == ()
    short = found(launched(20, lambda s: 1e6), launched(20, lambda s: 2e6, "b"), seconds=20)
    assert leads(short, QUIET) == ()
