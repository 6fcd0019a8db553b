"""Launches that go on until ratios are known closely enough: when they end, and what is said of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.campaign import adaptive
from bench.campaign.adaptive import Goal, Timed, known
from bench.plan import Protocol
from bench.records import GoalRecord, Measurement, Sample, Status, Subject, Trial


def subject(variant: str, device: str = "p1", runtime: str = "ncnn") -> Subject:
    return Subject(model="m", variant=variant, device=device, runtime=runtime)


REASONS: dict[Status, str] = {"ok": "", "tagged": "4 threads shared 1 core", "failed": "killed"}


def measured(trial: Trial, median: float, status: Status = "ok") -> Measurement:
    samples = () if status == "failed" else tuple(Sample("latency", i, median) for i in range(3))
    return Measurement(trial=trial, status=status, samples=samples, reason=REASONS[status], started="", wall_s=0.0)


class Clock:
    """Seconds that pass with each launch."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def pursued(
    subjects: Sequence[Subject],
    median: Callable[[Trial], float],
    *,
    wanted: float = 0.02,
    budget: float = 1000.0,
    planned: int = 5,
    status: Callable[[Trial], Status] = lambda trial: "ok",
    each_s: float = 1.0,
) -> tuple[tuple[GoalRecord, ...], list[Trial]]:
    """What came of a goal, and the trials beyond the planned ones."""
    clock = Clock()
    further: list[Trial] = []
    protocol = Protocol(ratio_interval=wanted, budget_seconds=budget)
    goal = Goal("m", protocol, {"baseline"}, {"torch"}, clock)

    def do(trial: Trial) -> None:
        clock.now += each_s
        goal.add(measured(trial, median(trial), status(trial)))

    for launch in range(planned):
        for one in subjects:
            do(Trial(subject=one, pass_="latency", launch=launch))
    while block := goal.block():
        further.extend(block)
        for trial in block:
            do(trial)
    return goal.records(), further


BOTH = (subject("baseline"), subject("half"))


def noisy(deviation: float, seed: int = 0) -> Callable[[Trial], float]:
    dice = random.Random(seed)
    return lambda trial: 1e6 * (2 if trial.subject.variant == "baseline" else 1) * dice.gauss(1, deviation)


def test_quiet_launches_need_no_further_ones() -> None:
    (record,), further = pursued(BOTH, noisy(0.001))
    assert further == []
    assert (record.ended, record.variant, record.launches, record.seconds) == ("reached", "half", 5, 0.0)
    assert record.reached is not None
    assert record.reached <= record.wanted == 0.02


def test_noisy_launches_go_on_until_the_interval_is_narrow() -> None:
    (record,), further = pursued(BOTH, noisy(0.03))
    assert record.ended == "reached"
    assert record.reached is not None
    assert record.reached <= 0.02
    assert record.launches == 5 + len(further) // 2 > 5
    # Each block has one launch of each, and their numbers go on where the planned ones ended.
    blocks = [further[i : i + 2] for i in range(0, len(further), 2)]
    assert all({t.subject for t in block} == set(BOTH) for block in blocks)
    assert [block[0].launch for block in blocks] == list(range(5, record.launches))
    assert len({t.subject.variant for t in further[::2]}) == 2  # in random order


def test_a_spent_budget_ends_it_and_says_how_far_it_got() -> None:
    (record,), further = pursued(BOTH, noisy(0.3), budget=20.0)
    assert record.ended == "budget"
    assert record.reached is not None
    assert record.reached > record.wanted
    assert 20 <= record.seconds <= 22
    assert len(further) == 20


def test_there_is_an_end_of_launches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adaptive, "MOST_LAUNCHES", 12)
    (record,), further = pursued(BOTH, noisy(0.3), budget=86_400, each_s=0.0)
    assert (record.ended, len(further)) == ("launches", 14)


def test_only_launches_under_good_conditions_count() -> None:
    (record,), _ = pursued(BOTH, noisy(0.001), status=lambda t: "tagged" if t.launch < 5 else "ok")
    assert record.ended == "reached"
    assert record.launches == 3  # of those after the first five, as many as have an interval


def test_a_place_whose_launches_are_all_tagged_is_given_up_with_their_reason() -> None:
    (record,), further = pursued(BOTH, noisy(0.001), budget=86_400, status=lambda t: "tagged")
    assert (record.ended, record.reason) == ("tagged", "4 threads shared 1 core")
    assert (record.reached, record.launches, len(further)) == (None, 0, 6)


def test_a_variant_that_is_always_tagged_does_not_cost_the_others_their_launches() -> None:
    three = (*BOTH, subject("hot"))
    (record,), further = pursued(
        three, noisy(0.03), status=lambda t: "tagged" if t.subject.variant == "hot" else "ok", budget=86_400
    )
    assert (record.ended, record.variant, record.launches) == ("tagged", "hot", 0)
    assert sum(t.subject.variant == "hot" for t in further) == 3
    assert sum(t.subject.variant == "half" for t in further) > 3


def test_a_place_whose_ordinary_network_is_always_tagged_is_given_up() -> None:
    (record,), further = pursued(
        BOTH, noisy(0.3), status=lambda t: "tagged" if t.subject.variant == "baseline" else "ok", budget=86_400
    )
    assert (record.ended, len(further)) == ("tagged", 6)


def test_one_launch_that_counts_keeps_a_place_going() -> None:
    (record,), _ = pursued(BOTH, noisy(0.001), status=lambda t: "ok" if t.launch % 3 == 0 else "tagged")
    assert record.ended == "reached"
    assert record.launches >= 3


def test_what_always_fails_is_given_up_and_the_rest_goes_on() -> None:
    both = (*BOTH, subject("broken"))
    (record,), further = pursued(
        both, noisy(0.03), status=lambda t: "failed" if t.subject.variant == "broken" else "ok"
    )
    assert (record.ended, record.variant) == ("reached", "half")
    assert all(t.subject.variant != "broken" for t in further)


def test_a_place_whose_ordinary_network_fails_is_not_pursued() -> None:
    (record,), further = pursued(
        BOTH, noisy(0.3), status=lambda t: "failed" if t.subject.variant == "baseline" else "ok"
    )
    assert (record.ended, record.reached, further) == ("failed", None, [])


def test_each_place_goes_on_by_itself() -> None:
    """A quiet desktop is left alone while a noisy phone goes on."""
    here = (subject("baseline", "desktop"), subject("half", "desktop"))
    loud, quiet = noisy(0.03), noisy(0.001)
    records, further = pursued((*BOTH, *here), lambda t: quiet(t) if t.subject.device == "desktop" else loud(t))
    assert {(r.device, r.ended) for r in records} == {("p1", "reached"), ("desktop", "reached")}
    assert {t.subject.device for t in further} == {"p1"}


def test_the_reference_whose_start_takes_seconds_is_not_pursued() -> None:
    both = (*BOTH, subject("baseline", "desktop", "torch"), subject("half", "desktop", "torch"))
    (record,), further = pursued(both, noisy(0.03))
    assert record.runtime == "ncnn"
    assert {t.subject.runtime for t in further} == {"ncnn"}


def test_a_network_without_a_variant_to_compare_has_its_median_narrowed() -> None:
    (record,), _ = pursued([subject("baseline")], noisy(0.03))
    assert (record.of, record.ended, record.variant) == ("median", "reached", "baseline")


def test_an_interrupted_pursuit_says_so() -> None:
    goal = Goal("m", Protocol(ratio_interval=0.01), {"baseline"}, (), Clock())
    for one in BOTH:
        goal.add(measured(Trial(subject=one, pass_="latency"), 1e6))
    assert goal.reached() is None
    (record,) = goal.records()
    assert (record.ended, record.reached, record.launches) == ("interrupted", None, 1)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(1e3, 1e9), min_size=3, max_size=12), st.sampled_from([0.25, 2.0, 1024.0]))
def test_a_width_is_relative_to_its_ratio(medians: list[float], factor: float) -> None:
    """Slower launches of both sides change nothing; by a power of two, which rounds nothing either."""
    sides = {
        one: [Timed(one, k, scale * m) for k, m in enumerate(values)]
        for one, scale, values in zip(BOTH, (1.0, 1.0), (medians, medians[::-1]), strict=True)
    }
    scaled = {one: [t._replace(median=factor * (t.median or 0)) for t in timed] for one, timed in sides.items()}
    (before,), (after,) = known(sides, {"baseline"}), known(scaled, {"baseline"})
    assert before.half_width is not None
    assert after.half_width == pytest.approx(before.half_width, rel=1e-6, abs=1e-9)
    assert before.launches == len(medians)
