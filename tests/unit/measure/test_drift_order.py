"""The pass of drift: a launch for each set of samples, on whatever is not the reference."""

from __future__ import annotations

from bench.measure import job, order
from bench.plan import Case, Plan, Protocol
from bench.records import Trial


def trials(drift: tuple[str, ...]) -> list[Trial]:
    plan = Plan(name="a", cases=(Case(model="m"),), protocol=Protocol(drift=drift))
    places = {
        order.Place("desktop", "torch", reference=True): ("fp32",),
        order.Place("desktop", "ncnn"): ("fp32",),
        order.Place("p1", "ncnn"): ("fp32",),
    }
    entries = [order.Entry("m", variant, places) for variant in ("baseline", "fr")]  # type: ignore[arg-type]
    return [one for one in order.trials(plan, entries) if one.pass_ == "drift"]


def test_each_subject_has_a_launch_for_the_samples_as_they_are_and_one_for_each_corruption() -> None:
    found = trials(("noise", "blur:1", "blur:3"))
    by_subject: dict[object, list[int]] = {}
    for one in found:
        by_subject.setdefault(one.subject, []).append(one.launch)
    assert len(by_subject) == 4, "two variants on the phone and here, none by the reference"
    assert all(launches == [0, 1, 2] for launches in by_subject.values())
    assert {one.subject.runtime for one in found} == {"ncnn"}


def test_nothing_is_launched_that_nobody_asked_for() -> None:
    assert trials(()) == []


def test_its_launches_answer_samples() -> None:
    assert job.MODES["drift"] == job.MODES["accuracy"]
