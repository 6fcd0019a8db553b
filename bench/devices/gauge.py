"""What the fuel gauge of a phone's battery shows, figure by figure, as it prints them.

Vendors disagree on units (µA or mA, µAh or mAh), on signs and on which of the figures exist at all. Nothing is decided
here but what a figure stands beside: what it means follows from a series of them (`bench.measure.energy`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from bench.devices import facts
from bench.devices.transport import Transport

_BATTERY = re.compile(r"bat|bms|fuel|gauge|^fg|max17|bq27", re.IGNORECASE)
"""Names of supplies that are a battery or its gauge, and not a charger."""
_COUNTERS = ("charge_counter", "charge_now")
_VOLTS = ((2.5e6, 1e7, 1e-6), (2.5e3, 1e4, 1e-3))
"""From, to, volts in one: a battery of one or two cells in µV, in mV. In whole volts a figure says nothing."""
_LARGEST = 10**12


@dataclass(frozen=True)
class Gauge:
    """One look. `counters` are of charge and `currents` of charge a time, by where they are from, in units of the
    vendor. None where something is not reported."""

    made_up: bool = False
    """Somebody set the battery's state by hand (`dumpsys battery set`)."""
    present: bool | None = None
    plugged: bool | None = None
    charging: bool | None = None
    percent: int | None = None
    awake: bool | None = None
    volts: float | None = None
    counters: dict[str, int] = field(default_factory=dict)
    currents: dict[str, int] = field(default_factory=dict)


def look(transport: Transport) -> Gauge:
    """Ask a phone. Raises what the transport does."""
    return read(facts.gauge(transport))


def read(sections: dict[str, str]) -> Gauge:
    """From the sections of `device_scripts/gauge.sh`."""
    battery = sections.get("battery", "")
    pairs = re.findall(r"^[ \t]*(\w[\w ]*):[ \t]*(\S+)[ \t]*$", battery, re.MULTILINE)
    said = {name.lower(): value for name, value in reversed(pairs)}  # the first word is Android's
    plugs = [said.get(f"{kind} powered") for kind in ("ac", "usb", "wireless", "dock")]
    counters: dict[str, int] = {}
    currents: dict[str, int] = {}
    volts = {"dumpsys": _volts(said.get("voltage", ""))}
    for name in ("charge counter", "current now"):
        if (value := _whole(said.get(name, ""))) is not None:
            (counters if name == "charge counter" else currents)["dumpsys battery"] = value
    for supply, fact, text in re.findall(r"^([^|\n]{1,80})\|(\w+)\|(\S*)$", sections.get("supply", ""), re.MULTILINE):
        value = _whole(text)
        if value is None or not _BATTERY.search(supply):
            continue
        source = f"{supply}/{fact}"
        if fact in _COUNTERS:
            counters[source] = value
        elif fact == "current_now":
            currents[source] = value
        else:
            volts[source] = _volts(text)
    conditions = facts.conditions({"battery": battery})
    known = [value for value in volts.values() if value is not None]
    return Gauge(
        made_up="UPDATES STOPPED" in battery,
        present=conditions.battery_present,
        plugged="true" in plugs if any(plugs) else None,
        charging=said["status"] == "2" if "status" in said else None,
        percent=conditions.battery_percent,
        awake=facts.awake(sections.get("power", "")),
        volts=known[-1] if known else None,
        counters={source: value for source, value in counters.items() if value > 0},
        currents={source: value for source, value in currents.items() if value != 0},
    )


def _whole(text: str) -> int | None:
    found = re.fullmatch(r"-?\d{1,13}", text.strip(), re.ASCII)
    return value if found and abs(value := int(text)) <= _LARGEST else None


def _volts(text: str) -> float | None:
    value = _whole(text)
    return next((value * one for low, high, one in _VOLTS if value is not None and low <= value <= high), None)
