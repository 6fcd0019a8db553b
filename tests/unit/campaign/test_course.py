"""Which trials a machine gets, in what order."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count

import pytest

from bench.campaign.adaptive import Goal
from bench.campaign.course import Course
from bench.measure.order import Block
from bench.plan import Protocol
from bench.records import Measurement, Pass, Sample, Subject, Trial

VARIANTS = ("baseline", "half")


def trial(pass_: Pass, variant: str, launch: int) -> Trial:
    return Trial(subject=Subject(model="net", variant=variant, device="p", runtime="ncnn"), pass_=pass_, launch=launch)


def block(pass_: Pass, launch: int) -> Block:
    return Block("net", pass_, tuple(trial(pass_, variant, launch) for variant in VARIANTS))


def measured(of: Trial) -> Measurement:
    sample = Sample("latency", 0, 100.0 + 7 * of.launch % (3 if of.subject.variant == "half" else 5))
    return Measurement(trial=of, status="ok", samples=(sample,), started="2026-11-26T00:00:00+00:00", wall_s=1)


def course(blocks: list[Block], goal: Goal | None = None, ended: Mapping[str, Measurement] | None = None) -> Course:
    return Course(blocks, lambda model: goal, ended or {}, count(), lambda goal, trials: None)


def all_of(made: Course) -> list[Trial]:
    found = []
    while one := made.next():
        found.append(made.begun(one))
        made.tell(measured(one))
    return found


PLANNED = [block("memory", 0), block("latency", 0), block("latency", 1)]


def test_blocks_are_done_in_their_order_and_numbered_as_they_begin() -> None:
    made = course(PLANNED)
    assert made.planned == 6
    found = all_of(made)
    assert [one.id for one in found] == [one.id for part in PLANNED for one in part.trials]
    assert [one.order for one in found] == list(range(6))
    assert made.complete


def test_what_is_put_off_comes_last_with_a_place_of_its_own() -> None:
    made = course(PLANNED)
    first = made.next()
    assert first is not None
    made.put_off(made.begun(first))
    found = all_of(made)
    assert (found[-1].id, found[-1].order) == (first.id, 6)
    assert len(found) == 6


def test_what_had_ended_before_is_not_done_again() -> None:
    ended = {one.id: measured(one) for one in (*PLANNED[0].trials, PLANNED[1].trials[1])}
    made = course(PLANNED, ended=ended)
    assert made.planned == 3
    assert not {one.id for one in all_of(made)} & ended.keys()


@pytest.mark.parametrize("stopped_after", [0, 3, 5, 9])
def test_a_resumed_course_asks_for_the_same_further_launches(stopped_after: int) -> None:
    """A goal that no launch reaches ends with its budget; the clock goes on by a second whenever it is asked."""
    protocol = Protocol(ratio_interval=1e-6, budget_seconds=40)

    def goal() -> Goal:
        return Goal("net", protocol, {"baseline"}, clock=count().__next__)

    whole = [one.id for one in all_of(course(PLANNED, goal()))]
    assert len(whole) > len(VARIANTS) * len(PLANNED)
    made, ended = course(PLANNED, goal()), {}
    for _ in range(stopped_after):
        one = made.next()
        assert one is not None
        ended[one.id] = measured(one)
        made.tell(ended[one.id])
    rest = [one.id for one in all_of(course(PLANNED, goal(), ended))]
    assert [*ended, *rest] == whole
