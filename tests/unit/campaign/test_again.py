"""What is measured again, and what a night may leave untold."""

from __future__ import annotations

from typing import Any

import pytest

from bench import plan
from bench.campaign.again import again
from bench.campaign.nightly import RULE_OUT, blind
from bench.findings import Interval, Verdict
from bench.records import Subject

PLAN = plan.parse(
    """
name = "night"
[protocol]
launches = 8
memory_launches = 3
sustained_seconds = 60
energy_seconds = 60
largest_side = 512
beside = 2
[[cases]]
model = "lenet5"
variants = ["baseline", "half", "fr-auto:20x"]
threads = [1, 2]
[[cases]]
model = "unet"
variants = ["baseline"]
threads = [2]
protocol = { launches = 700 }
""",
    "night",
)


def suspect(model: str = "lenet5", variant: str = "half", device: str = "R58", metric: str = "latency") -> Verdict:
    s = Subject(model=model, variant=variant, device=device, runtime="ncnn", threads=2)
    return Verdict(metric, s, s, (1.0, 2.0), (5, 5), "worse", "slower", "by 100 %", 0.03, ratio=2.0)


ORDINARY = {("lenet5", "baseline"), ("unet", "baseline")}


def test_the_suspected_variant_and_the_ordinary_one_are_launched_twice_as_often() -> None:
    (case,) = again(PLAN, [suspect()], ORDINARY).cases
    assert [one.label for one in case.variants or ()] == ["baseline", "half"]
    assert (case.threads, case.desktop) == ((2,), ())
    protocol = again(PLAN, [suspect()], ORDINARY).protocol_for("lenet5")
    assert (protocol.launches, protocol.memory_launches) == (16, 10)


def test_a_network_of_many_launches_gets_no_more_than_a_plan_may_hold() -> None:
    protocol = again(PLAN, [suspect("unet", "baseline")], ORDINARY).protocol_for("unet")
    assert protocol.launches == 1000
    plan.Protocol.model_validate(protocol.model_dump())


def test_it_is_a_plan_that_can_be_stored_whatever_its_name() -> None:
    long = PLAN.model_copy(update={"name": "n" * 60})
    made = again(long, [suspect(), suspect("unet", "baseline")], ORDINARY)
    assert plan.Plan.model_validate(made.model_dump(mode="json")) == made
    assert made.name.endswith("n-again")


@pytest.mark.parametrize(
    ("metric", "sustained", "beside"), [("latency", 0, 0), ("sustained", 60, 0), ("contended", 0, 2)]
)
def test_passes_without_a_suspicion_are_left_out(metric: str, sustained: float, beside: int) -> None:
    protocol = again(PLAN, [suspect(metric=metric)], ORDINARY).protocol_for("lenet5")
    assert (protocol.sustained_seconds, protocol.energy_seconds, protocol.largest_side) == (sustained, 0, 0)
    assert protocol.beside == beside


def test_this_computer_is_measured_again_where_it_is_suspected() -> None:
    (case,) = again(PLAN, [suspect(device="desktop")], ORDINARY).cases
    assert case.desktop == PLAN.desktop


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"outcome": "same"}, False),
        ({"bounds": (0.9, 1.1)}, False),
        ({"bounds": (0.9, 1.3)}, True),
        ({"bounds": (0.9, 1.3), "not_worse": True}, False),
        ({"reason": "other samples: not comparable"}, True),
        ({"metric": "top1", "margin": 0.01, "interval": Interval(-0.03, 0.02, "")}, False),
        ({"metric": "top1", "margin": 0.01, "interval": Interval(-0.06, 0.02, "")}, True),
    ],
)
def test_a_night_is_blind_where_much_may_hide(more: dict[str, Any], expected: bool) -> None:
    s = Subject(model="m", variant="v", device="R58", runtime="ncnn")
    given = {"metric": "latency", "outcome": "cannot tell", "margin": 0.03} | more
    v = Verdict(left=s, right=s, values=(1.0, 1.0), launches=(5, 5), word="", **({"reason": ""} | given))
    assert blind(v, RULE_OUT) is expected
