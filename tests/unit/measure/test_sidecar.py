"""Heat beside a launch: what a phone says while it is under load, by the second of the load."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

import pytest

from bench.devices.facts import Conditions
from bench.errors import DeviceOffline
from bench.measure.sidecar import Sidecar


class Phone:
    """A phone that becomes a degree warmer each second, and a clock that only goes on when it is looked at."""

    def __init__(self, most: int) -> None:
        self.now = 100.0
        self.looks = 0
        self.loaded, self.enough = threading.Event(), threading.Event()
        self._most = most

    def clock(self) -> float:
        return self.now

    def look(self) -> Conditions:
        self.looks += 1
        assert self.looks == 1 or self.loaded.wait(20)
        if self.looks >= self._most:
            self.enough.set()
        self.now += 1
        if self.looks == 3:
            raise DeviceOffline("away for a moment")
        return Conditions(skin_celsius=self.now - 70, thermal_status=2 if self.looks > 4 else None)


def window(iterations: int, median: int) -> str:
    return json.dumps({"event": "window", "i": 0, "ns": 0, "iterations": iterations, "median": median, "khz": -1})


def sampled(first: str, most: int = 6) -> tuple[Phone, dict[tuple[str, int], float]]:
    phone = Phone(most)
    with Sidecar(phone.look, every_s=0.0, clock=phone.clock) as beside:
        beside.line('{"event":"load","ns":5}')
        beside.line(first)
        phone.loaded.set()
        assert phone.enough.wait(20)
    return phone, {(s.metric, s.iteration): s.value for s in beside.samples}


def test_heat_is_stored_by_the_second_of_the_load() -> None:
    phone, found = sampled(window(1000, 2_000_000))  # two seconds long when it is told
    skin = [value for (metric, _), value in found.items() if metric == "sustained_skin"]
    assert skin == sorted(skin)
    assert len(skin) >= 3
    assert {value for (metric, _), value in found.items() if metric == "sustained_status"} == {2.0}
    assert all(second >= 0 for _, second in found)
    assert phone.looks >= 6


def test_a_phone_that_is_away_for_a_moment_loses_that_sample_alone() -> None:
    _, found = sampled(window(10, 1000))
    assert found


def test_without_a_window_nobody_knows_when_the_load_began() -> None:
    _, found = sampled('{"event":"first_inference","ns":5}')
    assert found == {}


@pytest.mark.parametrize(
    "line", ['{"event":"window"', '"window"', '{"event":"window","iterations":"many","median":[]}', '["window"]']
)
def test_a_line_that_is_not_understood_ends_nothing(line: str) -> None:
    _, found = sampled(line)
    assert found


def test_it_is_over_when_the_launch_is() -> None:
    phone = Phone(2)
    look: Callable[[], Conditions] = phone.look
    with Sidecar(look, every_s=3600.0, clock=phone.clock) as beside:
        beside.line(window(1, 1))
    assert phone.looks <= 1
    assert all(thread.name != "sidecar" for thread in threading.enumerate())
