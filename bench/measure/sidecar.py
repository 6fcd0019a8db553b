"""How warm a phone is while a launch is going on: asked on a second connection, as lightly as can be.

The launch must not feel it: one `dumpsys` of a few milliseconds every few seconds. What the phone does not report is
not stored, and an answer that does not come is left out; neither ends the launch.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable
from types import TracebackType

from bench.devices import facts
from bench.devices.transport import Transport
from bench.errors import BenchError
from bench.records import Sample

EVERY_S = 5.0
PATIENCE_S = 20.0
"""Seconds that a phone under load has for an answer."""

Look = Callable[[], facts.Conditions]


class Sidecar:
    """Samples of heat while it is entered. `samples` are `sustained_skin` and `sustained_status`, by the second of the
    load, which begins where the launch's first window does."""

    def __init__(self, look: Look, every_s: float = EVERY_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._look, self._every_s, self._clock = look, every_s, clock
        self._begun: float | None = None
        self._seen: list[tuple[float, facts.Conditions]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go, name="sidecar", daemon=True)

    @classmethod
    def of(cls, transport: Transport) -> Sidecar:
        return cls(lambda: heat(transport))

    def __enter__(self) -> Sidecar:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(PATIENCE_S + 5)

    def line(self, line: str) -> None:
        """A line of the launch has come: the first window tells when the load began."""
        if self._begun is None and '"window"' in line:
            self._begun = self._clock() - _length_s(line)

    @property
    def samples(self) -> tuple[Sample, ...]:
        found = {}
        for at, now in tuple(self._seen) if self._begun is not None else ():
            second = int(at - self._begun) if self._begun is not None and at >= self._begun else -1
            if second >= 0 and now.skin_celsius is not None:
                found["sustained_skin", second] = now.skin_celsius
            if second >= 0 and now.thermal_status is not None:
                found["sustained_status", second] = float(now.thermal_status)
        return tuple(Sample(metric, second, value) for (metric, second), value in sorted(found.items()))

    def _go(self) -> None:
        while not self._over.is_set():
            at = self._clock()
            with contextlib.suppress(BenchError):
                self._seen.append((at, self._look()))
            self._over.wait(max(0.0, self._every_s - (self._clock() - at)))


def heat(transport: Transport) -> facts.Conditions:
    """What a phone says of its heat, and nothing else. Raises what the transport does."""
    done = transport.run(["dumpsys", "thermalservice"], deadline_s=PATIENCE_S)
    return facts.conditions({"thermal": done.stdout[: 1 << 20]})


def _length_s(line: str) -> float:
    """About how long a window took, in seconds: it has ended when its line comes."""
    try:
        event = json.loads(line)
        return min(max(float(event["iterations"]) * float(event["median"]) / 1e9, 0.0), 3600.0)
    except (ValueError, KeyError, TypeError, RecursionError):
        return 1.0
