"""Others at work beside a network: it is held against itself alone, by the means of launches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from bench.analyse.contention import contention
from bench.analyse.noise import Place
from bench.analyse.statistics import statistics
from bench.caveats import Caveat
from bench.endurance import Contention, Lead, Turn
from bench.findings import Noise, Summary
from bench.plan import Case, Plan, Protocol
from bench.records import RunRecord, Subject

NOISES = {Place("p1", "ncnn", metric): Noise(0.004, 20) for metric in ("latency", "contended")}


def summary(
    metric: str, variant: str, launches: Sequence[Sequence[float]], *caveats: Caveat, device: str = "p1"
) -> Summary:
    """Of launches with these samples."""
    values = np.concatenate([np.asarray(launch, dtype=float) for launch in launches])
    numbers = np.concatenate([np.full(len(launch), k) for k, launch in enumerate(launches)])
    subject = Subject(model="m", variant=variant, device=device, runtime="ncnn")
    return Summary(subject, metric, "ns", statistics(values, numbers), False, False, caveats)


def launches(mean: float, seed: int = 0, count: int = 5) -> list[list[float]]:
    dice = np.random.default_rng(seed)
    return [[mean * float(dice.normal(1, 0.002))] * 10 for _ in range(count)]


def all_of(*summaries: Summary) -> tuple[tuple[Contention, ...], tuple[Turn, ...], tuple[Lead, ...]]:
    plan = Plan(name="a", cases=(Case(model="m"),), protocol=Protocol(beside=2, load=1))
    run = RunRecord(
        id="r", name="a", started="", bench_version="0", plan=plan.model_dump(mode="json"), reference="torch",
        versions={}, toolchain={}, devices=(), artifacts=(),
    )  # fmt: skip
    return contention(summaries, run, NOISES)


def found(*summaries: Summary) -> tuple[tuple[Contention, ...], tuple[Turn, ...]]:
    return all_of(*summaries)[:2]


def test_what_suffers_is_called_with_its_ratio_and_interval() -> None:
    (one,), turns = found(summary("latency", "a", launches(1e6)), summary("contended", "a", launches(1.8e6, 1)))
    assert one.ratio == pytest.approx(1.8, rel=0.01)
    assert one.called
    assert one.bounds is not None
    assert one.bounds[0] < one.ratio < one.bounds[1]
    assert (one.copies, one.load, one.launches, turns) == (2, 1, (5, 5), ())


def test_what_does_not_suffer_is_not_said_to() -> None:
    (one,), _ = found(summary("latency", "a", launches(1e6)), summary("contended", "a", launches(1.001e6, 1)))
    assert not one.called


def test_a_few_inferences_that_wait_for_a_slice_count() -> None:
    """Nine of ten are not disturbed, so that the median does not move."""
    disturbed = [[1e6] * 9 + [11e6 + 1e4 * k] for k in range(5)]
    (one,), _ = found(summary("latency", "a", launches(1e6)), summary("contended", "a", disturbed))
    assert one.medians[1] == pytest.approx(one.medians[0], rel=0.01)
    assert one.ratio == pytest.approx(2, rel=0.02)
    assert one.called


def test_an_unusable_side_has_its_doubt_and_is_not_called() -> None:
    hot = Caveat("tagged", "2 of 5 launches tagged: hot")
    (one,), _ = found(summary("latency", "a", launches(1e6)), summary("contended", "a", launches(1.8e6), hot))
    assert "hot" in one.doubts
    assert not one.called


def test_what_was_not_measured_alone_has_no_ratio() -> None:
    assert found(summary("contended", "a", launches(1.8e6))) == ((), ())


def test_a_variant_that_suffers_more_is_overtaken() -> None:
    _, (turn,) = found(
        summary("latency", "a", launches(1e6)), summary("contended", "a", launches(3e6, 1)),
        summary("latency", "b", launches(1.2e6, 2)), summary("contended", "b", launches(1.5e6, 3)),
    )  # fmt: skip
    assert (turn.early.variant, turn.late.variant, turn.called) == ("a", "b", True)
    assert turn.gain == pytest.approx(1.2, rel=0.01)
    assert turn.loss == pytest.approx(2, rel=0.01)


def test_variants_on_different_machines_do_not_overtake_each_other() -> None:
    _, turns = found(
        summary("latency", "a", launches(1e6)), summary("contended", "a", launches(3e6, 1)),
        summary("latency", "b", launches(1.2e6, 2), device="p2"),
        summary("contended", "b", launches(1.5e6, 3), device="p2"),
    )  # fmt: skip
    assert turns == ()


def test_a_change_of_places_within_the_noise_is_not_called() -> None:
    _, (turn,) = found(
        summary("latency", "a", launches(1e6)), summary("contended", "a", launches(1.505e6, 1)),
        summary("latency", "b", launches(1.005e6, 2)), summary("contended", "b", launches(1.5e6, 3)),
    )  # fmt: skip
    assert not turn.called


def test_who_is_ahead_is_said_where_it_is_shown_and_of_those_alone_that_can_be_judged() -> None:
    hot = Caveat("tagged", "2 of 5 launches tagged: hot")
    _, _, leads = all_of(
        summary("latency", "a", launches(1e6)), summary("contended", "a", launches(3e6, 1)),
        summary("latency", "b", launches(1.2e6, 2)), summary("contended", "b", launches(3e6, 1)),
        summary("latency", "c", launches(0.5e6, 2)), summary("contended", "c", launches(1e6, 1), hot),
    )  # fmt: skip
    assert [(one.when, one.ahead.variant, one.behind.variant) for one in leads] == [("alone", "a", "b")]
