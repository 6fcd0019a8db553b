"""What launches that served several networks came to: costs as measured, and whether choosing for each phase wins."""

from __future__ import annotations

import pytest

from bench.analyse.serving import doubts, fits, launch_cost, measured_cost, outcomes
from bench.scheduled import Served
from tests.unit.serving_kit import ADAPTIVE, FIXED, MS, WORKLOAD, launch, launches, serving

WISH = WORKLOAD.networks[0]


def served(**changes: object) -> Served:
    values = {"phase": 0, "network": 0, "granted": 1, "cpu": 1, "rss": 1, "inferences": 1}
    return Served.model_validate(values | changes)


def test_only_what_comes_later_than_allowed_costs_beside_the_score() -> None:
    assert measured_cost(served(own=(20 * MS, 50 * MS)), WISH, 0.95) == pytest.approx(-5)
    assert measured_cost(served(own=(20 * MS, 70 * MS)), WISH, 0.95) == pytest.approx(-5 + 0.1 * 20 / 2)


def test_requests_answered_later_or_never_cost_what_they_waited() -> None:
    one = served(own=(20 * MS,), later=(150 * MS,), none=(350 * MS,))
    assert measured_cost(one, WISH, 0.9) == pytest.approx(0.1 * (0 + 100 + 300) / 3)


def test_a_phase_without_requests_costs_its_score() -> None:
    assert measured_cost(served(), WISH, 0.8) == pytest.approx(10)


def test_phases_count_by_their_time() -> None:
    assert launch_cost(launch(ADAPTIVE)) == pytest.approx(0.75 * (-5 - 10) + 0.25 * (5 + 0))
    assert launch_cost(launch(FIXED)) == pytest.approx(5)


def test_min_max_cost_counts_the_costliest_network_of_each_phase() -> None:
    one = launch(ADAPTIVE, workload=WORKLOAD.model_copy(update={"objective": "max"}))
    assert launch_cost(one) == pytest.approx(0.75 * -5 + 0.25 * 5)


def test_choosing_wins_where_the_interval_over_rounds_says_so() -> None:
    (found,) = outcomes(launches(late_ms=10))
    (against,) = found.against
    assert (against.fixed, against.rounds, against.outcome) == ("fixed 1", 5, "better")
    # 5 + (10 + 2) ms late on average in a quarter of the time, of both networks, at 0.1 point, against -10.
    assert against.difference == pytest.approx(5 + 0.25 * 2 * 1.2 + 10)
    assert against.interval is not None
    assert against.interval[0] < against.difference < against.interval[1]


def test_choosing_loses_where_it_costs_more() -> None:
    swapped = [
        one.model_copy(update={"policy": one.policy.model_copy(update={"phases": other.policy.phases})})
        for one, other in zip(launches(late_ms=10), [launch(FIXED), launch(ADAPTIVE)] * 5, strict=True)
    ]
    assert outcomes(swapped)[0].against[0].outcome == "worse"


def test_few_rounds_have_no_interval_and_nothing_is_called() -> None:
    (against,) = outcomes(launches(rounds=4))[0].against
    assert (against.interval, against.outcome, against.rounds) == (None, "cannot tell", 4)


def test_only_rounds_in_which_both_succeeded_are_compared() -> None:
    stored = launches(rounds=6)
    stored[0] = launch(ADAPTIVE, 0, status="failed", reason="it was killed", serving=None)
    (found,) = outcomes(stored)
    assert found.against[0].rounds == 5
    assert found.policies[0].failed == ("it was killed",)
    assert found.tags == ("adaptive, round 1: it was killed",)


def test_each_command_is_judged_by_itself() -> None:
    later = [one.model_copy(update={"id": "later"}) for one in launches()]
    assert [one.first.id for one in outcomes([*launches(), *later])] == [launch(ADAPTIVE).id, "later"]


def test_a_network_in_a_phase_is_told_with_what_was_asked_and_granted() -> None:
    (found,) = outcomes(launches(late_ms=10))
    one = next(n for n in found.policies[1].networks if (n.phase, n.network) == (1, "a"))
    assert (one.variant, one.asked) == ("small", 0.2)
    assert one.granted == pytest.approx(0.2)
    assert one.median == pytest.approx(62 * MS)
    assert one.missed == 1
    assert one.expected == pytest.approx(50 * MS)
    assert (one.exchanged, one.way, one.bytes) == (12 * MS, "load", 1000)


def test_shares_that_were_not_granted_and_memory_beyond_the_budget_are_doubts() -> None:
    assert doubts(launch(ADAPTIVE)) == ()
    (first, *_) = doubts(launch(ADAPTIVE, serving=serving(granted=0.8)))
    assert first == "a was granted 32.0 % of the processor in phase 1, and 40 % were asked for"
    assert doubts(launch(ADAPTIVE, serving=serving(rss=31 * MS))) == (
        "the networks had 31.0 MB together in phase 2, and 30 MB are allowed",
    )


def test_reports_of_other_phases_or_networks_are_left_out() -> None:
    other = serving().model_copy(update={"served": serving().served[:3]})
    assert "other phases or networks" in fits(launch(ADAPTIVE, serving=other))
    assert "without figures" in fits(launch(ADAPTIVE, capacities=()))
    assert outcomes([launch(ADAPTIVE, serving=other)]) == ()
