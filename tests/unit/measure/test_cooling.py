"""Waiting for a warm phone: for what, how long, and what is tagged where it did not help."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.devices.facts import Conditions
from bench.measure import cooling
from bench.measure.cooling import obstacles
from bench.records import Progress, Subject, Trial

START = Conditions(thermal_status=0, skin_celsius=35.0, battery_celsius=30.0, battery_percent=80, charging=True)


@pytest.mark.parametrize(
    ("now", "start", "words"),
    [
        (START, START, []),
        (Conditions(skin_celsius=38.0), START, []),
        (Conditions(skin_celsius=38.2), START, ["is at 38.2 °C until 38 °C"]),
        (Conditions(battery_celsius=33.5), START, ["is at 33.5 °C until 33 °C"]),
        (
            Conditions(skin_celsius=36.0, battery_celsius=41.0),
            START,
            ["has its battery at 41 °C until it is below 40 °C"],
        ),
        (Conditions(thermal_status=3), START, ["throttles for heat (thermal status 3) until it does not"]),
        (Conditions(thermal_status=1), START, []),
        (Conditions(battery_percent=9, charging=True), START, ["has 9 % of its charge until 16 %"]),
        (Conditions(battery_percent=9, charging=False), START, []),
        (Conditions(), START, []),
        (Conditions(skin_celsius=50.0), Conditions(), []),
    ],
)
def test_what_is_waited_for(now: Conditions, start: Conditions, words: list[str]) -> None:
    assert [f"{one.is_} until {one.until}" for one in obstacles(now, start)] == words


def test_the_skin_counts_before_the_battery() -> None:
    assert obstacles(Conditions(skin_celsius=36.0, battery_celsius=39.0), START) == ()


class Said:
    """What a person was told."""

    def __init__(self) -> None:
        self.titles: list[str] = []
        self.notes: list[str] = []

    def __call__(self, title: str) -> Progress:
        self.titles.append(title)
        return lambda fraction, note: self.notes.append(note)


def looks(*temperatures: float) -> Iterator[Conditions]:
    for temperature in temperatures:
        yield Conditions(skin_celsius=temperature)


def test_a_phone_that_is_cool_is_not_waited_for() -> None:
    said = Said()
    assert cooling.wait("R58", lambda: START, START, 120, said) == ()
    assert said.titles == []


def test_a_warm_phone_is_waited_for_and_that_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cooling, "LOOK_EVERY_S", 0.0)
    said, seen = Said(), looks(41.0, 40.0, 39.0, 37.5)
    assert cooling.wait("R58", lambda: next(seen), START, 120, said) == ()
    assert said.titles == ["R58 is at 41 °C; waiting until 38 °C, at most 2 min"]
    assert said.notes == ["is at 41 °C", "is at 40 °C", "is at 39 °C"]


def test_a_phone_that_stays_warm_has_its_block_tagged_with_what_was_waited_for() -> None:
    hot = Conditions(skin_celsius=41.0, thermal_status=2)
    found = cooling.wait("R58", lambda: hot, START, 0.01, Said())
    assert found == (
        "before its block the phone throttles for heat (thermal status 2) after 0.01 s of waiting until it does not",
        "before its block the phone is at 41 °C after 0.01 s of waiting until 38 °C",
    )
    (first, _) = cooling.wait("R58", lambda: hot, START, 0, Said())
    assert "and was not waited for until it does not" in first


def test_a_run_that_is_stopped_waits_no_longer() -> None:
    hot, pauses = Conditions(skin_celsius=41.0), []
    found = cooling.wait("R58", lambda: hot, START, 600, Said(), lambda seconds: pauses.append(seconds) or True)
    assert len(pauses) == 1
    assert "the phone is at 41 °C" in found[0]


def trial(pass_: str, launch: int, variant: str = "a") -> Trial:
    return Trial(
        subject=Subject(model="m", variant=variant, device="R58", runtime="ncnn"), pass_=pass_, launch=launch,  # type: ignore[arg-type]
    )  # fmt: skip


def test_a_block_is_one_launch_of_every_variant_but_long_loads_stand_alone() -> None:
    assert cooling.block(trial("latency", 0)) == cooling.block(trial("latency", 0, "b"))
    assert cooling.block(trial("latency", 0)) != cooling.block(trial("latency", 1))
    assert cooling.block(trial("latency", 0)) != cooling.block(trial("contended", 0))
    for pass_ in ("sustained", "energy"):
        assert cooling.block(trial(pass_, 0)) != cooling.block(trial(pass_, 0, "b"))


@pytest.mark.parametrize(("seconds", "words"), [(120, "2 min"), (90, "90 s"), (5, "5 s"), (0.5, "0.5 s")])
def test_a_time_is_said_as_it_was_set(seconds: float, words: str) -> None:
    assert cooling.span(seconds) == words
