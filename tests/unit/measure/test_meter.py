"""A gauge looked at at rest and under load; the phone is a stand-in for what its battery says, by the real time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from bench.devices.transport import Completed
from bench.errors import DeviceUnfit, TransportBroken
from bench.measure import energy, lines, meter
from bench.measure.meter import Metered

VOLTS, REST_W, LOAD_W = 4.0, 1e3, 3e3
"""Watts that no phone takes, so that its counter moves within a tenth of a second."""
SECONDS = 0.4


class Battery:
    """A phone whose battery drains, by 1 kW and under load by 3 kW."""

    serial, folder = "R58", "/data/local/tmp/bench"

    def __init__(self, plugged: bool = False) -> None:
        self.plugged, self.begun, self.load_begun, self.looks = plugged, time.monotonic(), 0.0, 0

    def run(self, argv: Sequence[str], *, deadline_s: float, on_line: Callable[[str], None] | None = None) -> Completed:
        self.looks += 1
        now = time.monotonic()
        loaded = now - self.load_begun if self.load_begun else 0.0
        joules = REST_W * (now - self.begun - loaded) + LOAD_W * loaded
        words = (
            f"\n@@ battery\n  AC powered: false\n  USB powered: {str(self.plugged).lower()}\n"
            f"  Charge counter: {round((3.4 - joules / VOLTS / 3600) * 1e6)}\n  status: 3\n  present: true\n"
            "  level: 80\n  scale: 100\n  voltage: 4000\n\n@@ supply\n\n@@ power\n  mWakefulness=Awake\n"
        )
        return Completed(0, words, "")

    def push(self, local: Path, remote: str, *, deadline_s: float) -> None: ...

    def pull(self, remote: str, local: Path, *, deadline_s: float) -> None: ...

    def under_load(self, on_line: Callable[[str], None]) -> Completed:
        """A launch whose windows come ten times as fast as a runner's."""
        self.load_begun = time.monotonic()
        printed = []
        for i in range(8):
            time.sleep(SECONDS / 8)
            event = {"event": "window", "i": i, "ns": i * 10**9, "iterations": 50, "median": 10**7, "khz": -1}
            printed.append(json.dumps(event))
            on_line(printed[-1])
        printed.append(json.dumps({"event": "end", "status": "ok", "exit": 0, "ns": 1}))
        return Completed(0, "\n".join(printed), "")


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "EVERY_S", SECONDS / 20)
    monkeypatch.setattr(energy, "LOAD_W", (0.1, 10_000.0))  # time goes as much faster


def test_a_launch_gives_the_energy_of_an_inference_and_keeps_every_look() -> None:
    phone, seen = Battery(), Metered()
    done = meter.launch(phone, SECONDS, phone.under_load, seen)
    reading = meter.told(lines.read(done.stdout.splitlines(), 0), seen)
    assert reading.rate == 50
    (joules,) = [s.value for s in reading.samples if s.metric == "energy"]
    assert joules == pytest.approx((LOAD_W - REST_W) / 50, rel=0.1)
    stored = seen.state()
    assert stored["energy"]["joules"] == joules
    assert {look["phase"] for look in stored["gauge"]} == {"rest", "load"}
    assert len(stored["gauge"]) == len(seen.rest) + len(seen.load)
    assert json.loads(json.dumps(stored)) is not None


def test_a_phone_that_is_plugged_in_is_not_made_to_rest_for_nothing() -> None:
    phone, seen = Battery(plugged=True), Metered()
    with pytest.raises(DeviceUnfit, match="plugged in"):
        meter.launch(phone, 3600, phone.under_load, seen)
    assert phone.looks == 1
    assert seen.state()["gauge"][0]["plugged"]


def test_a_launch_that_fails_ends_the_looks() -> None:
    phone = Battery()

    def broken(on_line: Callable[[str], None]) -> Completed:
        raise TransportBroken("gone")

    with pytest.raises(TransportBroken):
        meter.launch(phone, 0.0, broken, Metered())
    before = phone.looks
    time.sleep(SECONDS / 4)
    assert phone.looks == before
