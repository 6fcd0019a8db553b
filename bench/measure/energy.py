"""Energy of an inference, from what the fuel gauge of an unplugged phone showed: pure functions.

A launch rests and then puts the phone under load, for equally long. What an inference takes is the power under load
less that at rest, over the inferences a second. A gauge moves in steps, and many are read anew only once a minute or
slower; what either could explain bounds the error, and beyond `MOST_ERROR` there is no figure but the length that
would suffice. Units and signs of vendors count as unknown until they can be told:

* charge (µAh or mAh) by the capacity that the reading and the level in percent give a battery;
* current (µA or mA) by its size; its direction is known, as the phone runs on its battery. Some gauges count in other
  units still, so a current alone is said to be that, and figures that contradict each other are refused.

docs/measurement.md tells users.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

from bench.devices.gauge import Gauge
from bench.errors import DeviceUnfit
from bench.records import Device

MOST_ERROR = 0.10
"""Of the difference between load and rest, that the gauge's own coarseness may explain."""
LONGEST_S = 86_400.0
_CAPACITY_MAH = (500.0, 40_000.0)
"""Of batteries of phones and tablets."""
_MOST_MA, _LEAST_UA = 10_000, 20_000
"""A phone that is awake takes more than 20 mA and less than 10 A."""
LOAD_W = (0.1, 20.0)
"""What a phone takes under load: one small core at work and the memory take more than the first, and no phone gets rid
of the heat of the second."""
_SCALE = 0.10
"""By how much two figures of one gauge may differ beyond their errors: each has a scale of its own, off by percents."""
_LEAST_JUMPS = 2
_LEAST_VALUES = 3
ADVICE = (
    "Energy needs a real phone that runs on its battery: `adb tcpip 5555`, `adb connect PHONE:5555`, unplug it, then "
    "--device PHONE:5555."
)


class Look(NamedTuple):
    """The gauge at one moment, in seconds of one monotonic clock."""

    at: float
    gauge: Gauge


class Energy(NamedTuple):
    """What one inference took, in joules; the power at rest and under load in watts; the part of the difference that
    the gauge's coarseness could explain; how the gauge was understood; and what of that nothing else confirmed."""

    joules: float
    rest_watts: float
    load_watts: float
    error: float
    words: str
    doubt: str = ""


class _Power(NamedTuple):
    """Of one phase, or of load less rest, in watts, and by how much the gauge may be wrong about it; `name` is that of
    its source."""

    watts: float
    error: float
    name: str = ""


class _Coarse(NamedTuple):
    """No figure: why, how many times as long rest and load would have to be (None where that is not known), and what
    it would have been."""

    why: str
    times: float | None = None
    more: _Power | None = None


class _Figure(NamedTuple):
    """One source's, `found.joules` being a second's."""

    found: Energy
    more: _Power


def hindrance(device: Device) -> str:
    """Why a device has no energy to measure, whatever its gauge shows; empty where it may have."""
    if device.kind == "desktop":
        return "this host has no fuel gauge"
    if device.translated:
        return "its machine code is translated, and it is virtual"
    return "it is virtual: its battery is a profile's, which no load empties" if device.virtual else ""


def refuse(device: Device) -> None:
    """Raise DeviceUnfit for a device that has no energy to measure."""
    if why := hindrance(device):
        raise _none(why)


def check(looks: Sequence[Look]) -> None:
    """Raise DeviceUnfit for looks at a gauge that cannot tell energy, however many follow."""
    if why := unfit(looks):
        raise _none(why)


def unfit(looks: Sequence[Look]) -> str:
    """Why these looks at a gauge cannot tell energy; empty where they may."""
    gauges = [look.gauge for look in looks]
    if any(g.made_up for g in gauges):
        return "its battery's state was set by hand; `adb shell dumpsys battery reset` undoes that"
    if any(g.present is False for g in gauges):
        return "it has no battery"
    if any(g.plugged for g in gauges):
        return "it is plugged in, so its battery is not what feeds it"
    if any(g.plugged is None for g in gauges):
        return "it does not report whether it is plugged in"
    if any(g.charging for g in gauges):
        return "it reports that it is charging, though nothing is plugged in"
    if any(g.awake is None for g in gauges):
        return "it does not report whether its screen is on"
    if len({g.awake for g in gauges}) > 1:
        return "its screen went on or off meanwhile"
    if any(g.volts is None for g in gauges):
        return "it does not report its battery's voltage"
    if not any(g.counters or g.currents for g in gauges):
        return "its fuel gauge shows the shell user neither a charge counter nor a current"
    return ""


def per_inference(rest: Sequence[Look], load: Sequence[Look], rate: float) -> Energy:
    """Energy of one inference from looks at the gauge at rest and under load, each over the whole phase, at `rate` > 0
    inferences a second. Raises DeviceUnfit with the reason where it cannot be told."""
    check([*rest, *load])
    seconds = min(_span(phase) if phase else 0.0 for phase in (rest, load))
    if len(rest) < _LEAST_VALUES or len(load) < _LEAST_VALUES or seconds <= 0:
        raise _none("the launch was too short for its gauge to be read three times at rest and under load")
    found = list(_by_source(rest, load))
    _agree([one.more for one in found if one.more])
    figures = [one.found for one in found if isinstance(one, _Figure)]
    if figures:
        best = min(figures, key=lambda one: one.error)
        _plausible(best)
        return best._replace(joules=best.joules / rate, doubt=best.doubt if all(one.doubt for one in figures) else "")
    coarse = [one for one in found if isinstance(one, _Coarse)]
    known = [one for one in coarse if one.times is not None]
    if known:
        least = min(known, key=lambda one: one.times or 0.0)
        raise _none(f"{least.why}; {_length(seconds * (least.times or 1.0))}")
    raise _none("; ".join(dict.fromkeys(one.why for one in coarse)) or "its gauge was not there all the time")


def _agree(found: Sequence[_Power]) -> None:
    """Raise DeviceUnfit where two sources tell what the load took in figures that exclude each other."""
    for one, other in combinations(found, 2):
        scale = _SCALE * max(abs(one.watts), abs(other.watts))
        if abs(one.watts - other.watts) > one.error + other.error + scale:
            raise _none(
                f"its gauge contradicts itself: by the {one.name} the load took {one.watts:.3g} W, by the {other.name} "
                f"{other.watts:.3g} W; one of them may be in another unit than those that phones usually have"
            )


def _plausible(found: Energy) -> None:
    """Raise DeviceUnfit for what no phone takes."""
    if not LOAD_W[0] <= found.load_watts <= LOAD_W[1]:
        raise _none(
            f"the {found.words} makes {found.load_watts:.3g} W under load, and a phone at work takes {LOAD_W[0]:g} to "
            f"{LOAD_W[1]:g} W; it may be in another unit"
        )


def _none(why: str) -> DeviceUnfit:
    return DeviceUnfit(f"no energy: {why}", ADVICE)


def _length(seconds: float) -> str:
    """The length that would suffice, as a flag."""
    if seconds > LONGEST_S:
        return "no length that a plan allows would suffice"
    if seconds <= 120:
        return f"--energy {10 * math.ceil(seconds / 10)}s would suffice"
    return f"--energy {math.ceil(seconds / 60)}m would suffice"


def _span(looks: Sequence[Look]) -> float:
    return looks[-1].at - looks[0].at


def _by_source(rest: Sequence[Look], load: Sequence[Look]) -> Iterator[_Figure | _Coarse]:
    """What each figure of the gauge that was there all the time tells."""
    gauges = [look.gauge for look in (*rest, *load)]
    for name in _always([g.counters for g in gauges]):
        yield _counted(name, rest, load)
    for name in _always([g.currents for g in gauges]):
        yield _flowing(name, rest, load)


def _always(found: Sequence[dict[str, int]]) -> list[str]:
    return [name for name in found[0] if all(name in one for one in found)]


def _counted(name: str, rest: Sequence[Look], load: Sequence[Look]) -> _Figure | _Coarse:
    """By a counter of the charge that is left."""
    first = rest[0].gauge
    value, level = first.counters[name], (first.percent or 0) / 100
    mah = [one for one in (1e-3, 1.0) if level and _CAPACITY_MAH[0] <= value * one / level <= _CAPACITY_MAH[1]]
    if not mah:
        return _Coarse(f"whether the charge counter ({name}) is in µAh or mAh cannot be told: {value:,}")
    coulombs = mah[0] * 3.6  # in one unit of the counter
    unit = "µAh" if mah[0] < 1 else "mAh"
    series = [[look.gauge.counters[name] for look in phase] for phase in (rest, load)]
    steps = [b - a for values in series for a, b in pairwise(values)]
    jumps = [b - a for a, b in pairwise(series[1]) if b != a]
    if any(step > 0 for step in steps):
        return _Coarse(f"the charge counter ({name}) rises while the phone discharges")
    if not jumps:
        return _Coarse(f"the charge counter ({name}) stood still under load")
    grain = _grain(series)
    if len(jumps) < _LEAST_JUMPS:
        return _Coarse(f"the charge counter ({name}) moved once under load, by {-jumps[0]:,} {unit}", 4.0)
    powers = []
    for phase, values in zip((rest, load), series, strict=True):
        in_all = coulombs * statistics.fmean(look.gauge.volts or 0.0 for look in phase) / _span(phase)
        powers.append(_Power((values[0] - values[-1]) * in_all, grain * in_all))
    words = f"charge counter ({name}), taken as {unit} by its size; it moves by {grain:,} {unit}"
    coarse = f"the charge counter ({name}) moves by {grain:,} {unit}"
    return _judged(f"charge counter ({name})", powers[0], powers[1], words, coarse, root=False)


def _grain(series: Sequence[Sequence[int]]) -> int:
    """By how much a counter may be behind. One that is new at every look has the step that all its moves are multiples
    of; one that stood still in between may be behind by its largest move."""
    moves = [abs(b - a) for values in series for a, b in pairwise(values)]
    return math.gcd(*moves) if all(moves) else max(moves)


def _flowing(name: str, rest: Sequence[Look], load: Sequence[Look]) -> _Figure | _Coarse:
    """By single looks at a current."""
    series = [[look.gauge.currents[name] for look in phase] for phase in (rest, load)]
    every = [value for values in series for value in values]
    largest = max(map(abs, every))
    if min(every) < 0 < max(every):
        return _Coarse(f"the current ({name}) changes its direction while the phone discharges")
    if _MOST_MA < largest < _LEAST_UA:
        return _Coarse(f"whether the current ({name}) is in µA or mA cannot be told: at most {largest:,}")
    ampere, unit = (1e-6, "µA") if largest >= _LEAST_UA else (1e-3, "mA")
    powers = []
    for phase, values in zip((rest, load), series, strict=True):
        new = [values[0], *(b for a, b in pairwise(values) if b != a)]
        if len(new) < _LEAST_VALUES:
            return _Coarse(f"the current ({name}) was read anew {len(new)} times in {_span(phase):.0f} s",
                           2 * _LEAST_VALUES / len(new))  # fmt: skip
        volts = statistics.fmean(look.gauge.volts or 0.0 for look in phase)
        watts = abs(statistics.fmean(values)) * ampere * volts
        powers.append(_Power(watts, 2 * statistics.stdev(new) / math.sqrt(len(new)) * ampere * volts))
    words = f"current ({name}), taken as {unit} by its size, mean of {len(every)} looks"
    coarse = f"the current ({name}) varies too much"
    found = _judged(f"current ({name})", powers[0], powers[1], words, coarse, root=True)
    if isinstance(found, _Coarse):
        return found
    doubt = (
        f"that the current is in {unit} was told by its size alone, {largest:,} at most; no charge counter "
        f"confirms it, and some gauges count in tens of µA"
    )
    return found._replace(found=found.found._replace(doubt=doubt))


def _judged(name: str, rest: _Power, load: _Power, words: str, coarse: str, *, root: bool) -> _Figure | _Coarse:
    """A figure, or how many times as long would do: an error shrinks with the length, or with its `root`."""
    more, error = load.watts - rest.watts, rest.error + load.error
    told = _Power(more, error, name)
    if more <= 0:
        return _Coarse(
            f"under load it took no more than at rest ({load.watts:.3g} W and {rest.watts:.3g} W)", more=told
        )
    if error > MOST_ERROR * more:
        part = f"which may be {100 * error / more:.0f} % of what the load took"
        return _Coarse(f"{coarse}, {part}", 1.1 * (error / more / MOST_ERROR) ** (2 if root else 1), told)
    return _Figure(Energy(more, rest.watts, load.watts, error / more, words), told)
