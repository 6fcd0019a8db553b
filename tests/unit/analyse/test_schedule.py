"""Variants and shares for several networks under a budget: never beyond it, never worse than what else fits, and what
cannot be is said."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analyse.schedule import Infeasible, Problem, exact, greedy, planned, shared
from bench.scheduled import WHOLE, Capacity, Objective, Phase, Wish, Workload, cost, exchange_cost

STEP = 100
OBJECTIVES: tuple[Objective, ...] = ("total", "max")


def capacity(network: str, variant: str, score: float, ms: float, mb: float) -> Capacity:
    return Capacity(network=network, variant=variant, score=score, latency=1e6 * ms, memory=1e6 * mb)


def wish(network: str, accuracy: float = 0.9, latency_ms: float = 50, alpha: float = 0.1) -> Wish:
    return Wish(network=network, accuracy=accuracy, latency_ms=latency_ms, alpha=alpha, rate=5)


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    count = draw(st.integers(1, 3))
    part = st.integers(0, 20).map(lambda n: n / 20)
    wishes = [
        wish(f"n{i}", draw(part), draw(st.integers(1, 300)), draw(st.sampled_from([0, 0.01, 0.1, 1])))
        for i in range(count)
    ]
    choices = {
        one.network: [
            capacity(one.network, f"v{k}", draw(part), draw(st.integers(1, 100)), draw(st.integers(1, 30)))
            for k in range(draw(st.integers(1, 3)))
        ]
        for one in wishes
    }
    memory, processor = draw(st.integers(1, 80)), draw(st.integers(1, 10))
    return Problem(wishes, choices, 1e6 * memory, STEP * processor, STEP, draw(st.sampled_from(OBJECTIVES)))


def by_hand(problem: Problem) -> float:
    """The least cost of all that fits, by trying it all."""
    steps = range(STEP, problem.processor + 1, STEP)
    best = math.inf
    for chosen in itertools.product(*(problem.choices[w.network] for w in problem.wishes)):
        if sum(c.memory for c in chosen) > problem.memory:
            continue
        for shares in itertools.product(steps, repeat=len(chosen)):
            if sum(shares) <= problem.processor:
                best = min(best, problem.cost(list(zip(chosen, shares, strict=True))))
    return best


@given(problems())
def test_what_is_chosen_fits_and_the_exact_choice_is_the_best_of_all_that_fit(problem: Problem) -> None:
    least = by_hand(problem)
    for found in (greedy(problem), exact(problem)):
        if math.isinf(least):
            assert found.allocation is None
            assert found.why
            continue
        assert found.allocation is not None
        known = {(c.network, c.variant): c for some in problem.choices.values() for c in some}
        chosen = [(known[one.network, one.variant], one.share) for one in found.allocation]
        assert [one.network for one in found.allocation] == [w.network for w in problem.wishes]
        assert sum(c.memory for c, _ in chosen) <= problem.memory
        assert sum(share for _, share in chosen) <= problem.processor
        assert problem.cost(chosen) == pytest.approx(found.cost)
        assert found.cost >= least - 1e-6
    if not math.isinf(least):
        assert exact(problem).cost == pytest.approx(least)


@given(problems())
def test_the_shares_of_given_variants_are_the_best_there_are(problem: Problem) -> None:
    chosen = [problem.choices[w.network][0] for w in problem.wishes]
    if STEP * len(chosen) > problem.processor:
        return
    alone = Problem(
        problem.wishes, {c.network: [c] for c in chosen}, math.inf, problem.processor, STEP, problem.objective
    )
    assert shared(problem, chosen).cost == pytest.approx(by_hand(alone))


@given(problems())
def test_no_more_memory_or_processor_makes_the_exact_choice_worse(problem: Problem) -> None:
    more = Problem(
        problem.wishes, problem.choices, 2 * problem.memory, min(WHOLE, 2 * problem.processor), STEP, problem.objective
    )
    assert exact(more).cost <= exact(problem).cost + 1e-9


def test_the_whole_processor_is_handed_out_and_what_no_cost_asks_for_goes_to_the_smallest_shares() -> None:
    wishes = [wish("big", latency_ms=100), wish("small")]
    choices = {"big": [capacity("big", "b", 0.9, 50, 1)], "small": [capacity("small", "s", 0.9, 0.1, 1)]}
    found = exact(Problem(wishes, choices, 1e8, 1000, 100, "total"))
    assert found.allocation is not None
    assert [one.share for one in found.allocation] == [500, 500]


def test_the_greedy_choice_may_miss_what_the_exact_one_finds() -> None:
    # The first network gains most by its step and takes the memory that the other two need.
    wishes = [wish("a"), wish("b"), wish("c")]
    choices = {
        "a": [capacity("a", "small", 0.5, 1, 1), capacity("a", "large", 0.8, 1, 21)],
        "b": [capacity("b", "small", 0.5, 1, 1), capacity("b", "large", 0.75, 1, 11)],
        "c": [capacity("c", "small", 0.5, 1, 1), capacity("c", "large", 0.75, 1, 11)],
    }
    problem = Problem(wishes, choices, 23e6, 1000, 100, "total")
    assert greedy(problem).cost == pytest.approx(90)
    assert exact(problem).cost == pytest.approx(70)


def test_min_max_cost_spares_the_worst_network_and_then_the_others() -> None:
    wishes = [wish("a"), wish("b")]
    choices = {
        "a": [capacity("a", "small", 0.6, 1, 1), capacity("a", "large", 0.95, 1, 11)],
        "b": [capacity("b", "small", 0.8, 1, 1), capacity("b", "large", 0.95, 1, 21)],
    }
    roomy, tight = (Problem(wishes, choices, mb * 1e6, 1000, 100, "max") for mb in (100, 22))
    assert exact(roomy).cost == pytest.approx(-5)
    found = exact(tight)
    assert found.allocation is not None
    assert [one.variant for one in found.allocation] == ["large", "small"]


def test_the_cost_is_the_published_one() -> None:
    one, asked = capacity("n", "v", 0.87, 30, 1), wish("n", 0.9, 50, 0.1)
    assert cost(one, asked, 500) == pytest.approx(3 + 0.1 * 10)
    assert cost(one, asked, 1000) == pytest.approx(3)
    assert math.isinf(cost(one, asked, 0))


def workload(*phases: Phase) -> Workload:
    return Workload(networks=(wish("a"), wish("b")), phases=phases)


CHOICES = {
    "a": [capacity("a", "small", 0.8, 1, 10), capacity("a", "large", 0.95, 4, 40)],
    "b": [capacity("b", "small", 0.7, 1, 10), capacity("b", "large", 0.96, 4, 40)],
}
WIDE, TIGHT = (Phase(seconds=2, memory_mb=mb, processor=0.6) for mb in (100, 25))


def test_choosing_for_each_phase_is_expected_to_cost_no_more_than_any_fixed_choice() -> None:
    found = planned(workload(WIDE, TIGHT, WIDE), CHOICES)
    assert not isinstance(found, Infeasible)
    assert [[one.variant for one in phase] for phase in found.adaptive.phases] == [
        ["large", "large"], ["small", "small"], ["large", "large"],
    ]  # fmt: skip
    assert [one.name for one in found.fixed] == ["fixed 1"]
    assert all(found.adaptive.predicted <= one.predicted for one in found.fixed)
    assert found.adaptive.predicted == pytest.approx((2 * (-5 - 6) + (10 + 20)) / 3)


HEAVY = {
    "a": [capacity("a", "small", 0.8, 1, 10), capacity("a", "large", 0.95, 4, 40).model_copy(update={"load": 1.5e9})],
    "b": [capacity("b", "small", 0.96, 1, 10)],
}


def variants(plan: Workload) -> list[str]:
    found = planned(plan, HEAVY)
    assert not isinstance(found, Infeasible)
    return [phase[0].variant for phase in found.adaptive.phases]


def test_what_loads_too_long_for_a_phase_is_not_exchanged_unless_only_the_published_cost_counts() -> None:
    plan = workload(TIGHT, WIDE)
    assert variants(plan) == ["small", "small"]
    assert variants(plan.model_copy(update={"exchanges": False})) == ["small", "large"]
    longer = Phase(seconds=600, memory_mb=100, processor=0.6)
    assert variants(workload(TIGHT, longer)) == ["small", "large"]


def test_what_was_there_before_is_not_loaded_again() -> None:
    assert variants(workload(WIDE, WIDE)) == ["large", "large"]


@pytest.mark.parametrize(("switch", "then"), [(5e6, "large"), (1.4e9, "small"), (None, "small")])
def test_a_capacity_of_the_same_package_takes_what_a_switch_does_or_a_load_where_none_was_measured(
    switch: float | None, then: str
) -> None:
    package = [one.model_copy(update={"files": "same", "switch": switch}) for one in HEAVY["a"]]
    found = planned(workload(TIGHT, WIDE), {"a": package, "b": HEAVY["b"]})
    assert not isinstance(found, Infeasible)
    assert [phase[0].variant for phase in found.adaptive.phases] == ["small", then]


def test_a_switch_between_capacities_does_not_count_where_another_package_was_there() -> None:
    first, second = (one.model_copy(update={"files": one.variant, "switch": 0.0}) for one in HEAVY["a"])
    found = planned(workload(TIGHT, WIDE), {"a": [first, second], "b": HEAVY["b"]})
    assert not isinstance(found, Infeasible)
    assert [phase[0].variant for phase in found.adaptive.phases] == ["small", "small"]


@pytest.mark.parametrize(("load_ms", "seconds"), [(100, 1), (400, 1), (3000, 1), (40, 1)])
def test_loading_costs_what_requests_wait_on_average(load_ms: float, seconds: float) -> None:
    one, asked = capacity("n", "v", 0.9, 10, 1).model_copy(update={"load": 1e6 * load_ms}), wish("n", latency_ms=50)
    ready, own = 2 * load_ms, 20.0
    comes = [1000 * seconds * (i + 0.5) / 10_000 for i in range(10_000)]
    waits = [max(0.0, ready - t) + own for t in comes]
    mean = sum(max(0.0, wait - 50) for wait in waits) / len(waits)
    there = capacity("n", "w", 0.9, 10, 1)
    assert exchange_cost(one, there, asked, 500, seconds) == pytest.approx(0.1 * mean, rel=1e-3, abs=1e-6)


def test_a_fixed_choice_fits_into_the_tightest_phase_and_the_best_comes_first() -> None:
    found = planned(workload(WIDE, Phase(seconds=1, memory_mb=55, processor=0.6)), CHOICES)
    assert not isinstance(found, Infeasible)
    assert len(found.fixed) == 3
    assert [one.predicted for one in found.fixed] == sorted(one.predicted for one in found.fixed)
    assert [one.variant for one in found.fixed[0].phases[0]] == ["small", "large"]


def test_a_phase_that_nothing_fits_into_is_named_with_what_is_needed() -> None:
    found = planned(workload(WIDE, Phase(seconds=1, memory_mb=15, processor=0.6)), CHOICES)
    assert isinstance(found, Infeasible)
    assert found.phase == 1
    assert "20.0 MB" in found.why
    assert "15.0 MB" in found.why


def test_a_budget_without_a_step_for_each_network_is_refused_when_it_is_read() -> None:
    with pytest.raises(ValueError, match="do not fit in the smallest"):
        workload(Phase(seconds=1, memory_mb=100, processor=0.03))


def test_a_network_that_is_named_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="the network a appears twice"):
        Workload(networks=(wish("a"), wish("a")), phases=(WIDE,))
