"""Waiting until a phone is as cool as when the run began, so that no block of launches pays for the heat of another.

A block that begins warm measures the phone's cooling and not the network. What is waited for is the phone's own start
value and no absolute one: rooms and phones differ by more than launches do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from bench.devices.facts import Conditions
from bench.measure import gates
from bench.records import Pass, Progress, Trial

WARMER_CELSIUS = 3.0
"""How much warmer than at the start counts as cool. An idle phone's readings wander by a degree or two, so less would
be waited for in vain; thresholds of throttling lie 3 °C and more apart, so more could cross one."""
LOOK_EVERY_S = 5.0
_ALONE: frozenset[Pass] = frozenset({"energy", "sustained"})
"""Passes whose single launch heats a phone, so that each of them is a block of its own."""


class Obstacle(NamedTuple):
    """What a phone `is`, and what it is waited for, as the ends of "the phone …" and "until …"."""

    is_: str
    until: str


def block(trial: Trial) -> tuple[object, ...]:
    """What has to begin cool together: a launch number of a pass of a network."""
    own = trial.id if trial.pass_ in _ALONE else ""
    return (trial.subject.model, trial.pass_, trial.launch, own)


def obstacles(now: Conditions, start: Conditions) -> tuple[Obstacle, ...]:
    """What waiting may change before a block; empty for a phone that is ready. `start` is how it was when the run
    began; what was not reported then and now is no obstacle."""
    found = []
    if now.thermal_status is not None and now.thermal_status >= gates.THROTTLING:
        found.append(Obstacle(f"throttles for heat (thermal status {now.thermal_status})", "it does not"))
    temperature, limit = _temperature(now, start)
    if temperature is not None and temperature > limit:
        found.append(Obstacle(f"is at {temperature:.3g} °C", f"{limit:.3g} °C"))
    elif now.battery_celsius is not None and now.battery_celsius >= gates.HOT_BATTERY_CELSIUS:
        hot = f"has its battery at {now.battery_celsius:.3g} °C"
        found.append(Obstacle(hot, f"it is below {gates.HOT_BATTERY_CELSIUS:g} °C"))
    if gates.low(now) and now.charging:
        found.append(Obstacle(f"has {now.battery_percent} % of its charge", f"{gates.LOW_BATTERY_PERCENT + 1} %"))
    return tuple(found)


def _temperature(now: Conditions, start: Conditions) -> tuple[float | None, float]:
    """The temperature that can be held against that of the start, of the skin before the battery, and its limit."""
    for name in ("skin_celsius", "battery_celsius"):
        here, then = getattr(now, name), getattr(start, name)
        if here is not None and then is not None:
            return here, then + WARMER_CELSIUS
    return None, 0.0


def wait(
    serial: str, look: Callable[[], Conditions], start: Conditions, seconds: float, say: Callable[[str], Progress],
    pause: Callable[[float], object] = time.sleep,
) -> tuple[str, ...]:  # fmt: skip
    """Wait until a phone is ready for a block, at most so long; `say` is told once what for. `pause` waits some seconds
    and returns something true when there is no more use in it. Returns what was still in the way then, as reasons to
    tag the block. Raises what `look` does."""
    begun = time.monotonic()
    found = obstacles(look(), start)
    if not found:
        return ()
    tell: Progress | None = None
    while found and (left := begun + seconds - time.monotonic()) > 0:
        if tell is None:
            tell = say(f"{serial} {_and(o.is_ for o in found)}; waiting until {_and(o.until for o in found)}, "
                       f"at most {span(seconds)}")  # fmt: skip
        tell(1 - left / seconds, _and(o.is_ for o in found))
        if pause(min(LOOK_EVERY_S, left)):
            break
        found = obstacles(look(), start)
    waited = f"after {span(seconds)} of waiting" if seconds else "and was not waited for"
    return tuple(f"before its block the phone {o.is_} {waited} until {o.until}" for o in found)


def span(seconds: float) -> str:
    """A time that somebody set, as they would say it: `90 s`, `2 min`."""
    return f"{seconds / 60:g} min" if seconds >= 60 and seconds % 60 == 0 else f"{seconds:g} s"


def _and(words: Iterable[str]) -> str:
    return " and ".join(words)
