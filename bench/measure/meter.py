"""The fuel gauge looked at while a phone rests and while it is under load, on a connection of its own.

The looks cost energy themselves: as many at rest as under load, so that they cancel out.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from bench.devices import gauge
from bench.devices.gauge import Gauge
from bench.devices.transport import Completed, Transport
from bench.errors import BenchError, RunnerFailed
from bench.measure import energy
from bench.measure.energy import Energy, Look
from bench.measure.lines import Reading
from bench.records import Sample

EVERY_S = 5.0
PATIENCE_S = 30.0


@dataclass
class Metered:
    """The looks at the gauge of one launch: at rest, and from its first window under load to its last."""

    rest: list[Look] = field(default_factory=list)
    load: list[Look] = field(default_factory=list)
    found: Energy | None = None

    def state(self) -> dict[str, Any]:
        """As it is stored: what was found, and in `gauge` each look, by seconds since the first."""
        found = {"energy": self.found._asdict()} if self.found else {}
        return found | ({"gauge": self._raw()} if self.rest else {})

    def _raw(self) -> list[dict[str, Any]]:
        first = self.rest[0].at if self.rest else 0.0
        looks = [("rest", one) for one in self.rest] + [("load", one) for one in self.load]
        return [
            {"phase": phase, "seconds": round(one.at - first, 3)}
            | {name: value for name, value in asdict(one.gauge).items() if value not in (None, {}, False)}
            for phase, one in looks
        ]


def launch(
    transport: Transport, seconds: float, begin: Callable[[Callable[[str], None]], Completed], into: Metered
) -> Completed:
    """Rest for so long, then a launch of sustained load by `begin`, which hands on its lines; the looks go `into`.

    Raises DeviceUnfit, without resting, for a gauge that cannot tell energy; what the transport and `begin` raise.
    """
    _rest(transport, seconds, into)
    beside = _Beside(transport)
    thread = threading.Thread(target=beside.go, name="meter", daemon=True)
    thread.start()
    try:
        done = begin(beside.line)
    finally:
        beside.over.set()
        beside.begun.set()
        thread.join(PATIENCE_S)
    into.load += [one for one in beside.looks if beside.first <= one.at <= beside.last]
    return done


def told(reading: Reading, into: Metered) -> Reading:
    """The reading of that launch with the energy of an inference, what is doubtful of that being its remark. Raises
    DeviceUnfit where it cannot be told."""
    if reading.rate is None:
        raise RunnerFailed("its load was over within a second", "Ask for a longer --energy.")
    into.found = energy.per_inference(into.rest, into.load, reading.rate)
    samples = (*reading.samples, Sample("energy", 0, into.found.joules))
    return replace(reading, samples=samples, remark=into.found.doubt)


def _rest(transport: Transport, seconds: float, into: Metered) -> None:
    """Leave a phone alone, and look at its gauge at both edges and in between."""
    end = time.monotonic() + seconds
    while True:
        into.rest.append(_look(transport))
        energy.check(into.rest[:1])
        left = end - into.rest[-1].at
        if left <= 0:
            return
        time.sleep(min(EVERY_S, left))


class _Beside:
    """Looks while a launch goes on."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.looks: list[Look] = []
        self.begun, self.over = threading.Event(), threading.Event()
        self.first = self.last = float("inf")

    def line(self, line: str) -> None:
        if '"window"' in line:
            self.last = time.monotonic()
            if not self.begun.is_set():
                self.first = self.last
                self.begun.set()

    def go(self) -> None:
        self.begun.wait()
        while not self.over.is_set():
            with contextlib.suppress(BenchError):
                self.looks.append(_look(self._transport))
            self.over.wait(EVERY_S)


def _look(transport: Transport) -> Look:
    """The figures are of some moment between question and answer: take the middle."""
    begun = time.monotonic()
    found: Gauge = gauge.look(transport)
    return Look((begun + time.monotonic()) / 2, found)
