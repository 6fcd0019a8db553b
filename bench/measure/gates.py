"""What must hold before a phone is measured, and what makes a sample doubtful.

Thresholds follow Android's own: thermal status 2 (MODERATE) is where it begins to throttle, 15 % battery is where its
saver starts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench import units
from bench.devices import processors, topology
from bench.devices.facts import Conditions
from bench.errors import DeviceUnfit
from bench.records import Device, Gate, Pass

THROTTLING = 2
LOW_BATTERY_PERCENT = 15
HOT_BATTERY_CELSIUS = 40.0
ROOM_BYTES = 500_000_000
"""Free space that is enough for all networks that come with bench."""
BUSY = 0.25
"""Other work on a quiet phone takes a few percent of its cores."""
TIMED: frozenset[Pass] = frozenset({"latency", "contended", "energy", "sustained", "profile", "switch"})
"""Passes whose figures change with heat and clocks."""
_HEAT_IS_MEASURED: frozenset[Pass] = frozenset({"sustained"})
"""Passes that are there to show what heat does: throttling during their launches is a result."""


def preflight(device: Device, conditions: Conditions, abis: Sequence[str]) -> tuple[Gate, ...]:
    """What a phone said, judged; `abis` are those that there are programs for."""
    return (
        _virtual(device),
        _abi(device, abis),
        _space(conditions),
        _heat(conditions),
        *_battery(conditions),
        _screen(device, conditions),
        *_load(conditions),
    )


def refuse(device: Device, found: Sequence[Gate]) -> None:
    """Raise DeviceUnfit for a phone that fails a gate or cannot say that it passes. A virtual one has no battery and no
    heat to tell of."""
    unfit = [gate for gate in found if gate.state in ("unfit", "bad")]
    unknown = [gate for gate in found if gate.state == "unknown" and not device.virtual]
    if unfit or unknown:
        words = [f"{gate.name}: {gate.found}" for gate in (*unfit, *unknown)]
        advice = dict.fromkeys(gate.advice for gate in (*unfit, *unknown))
        raise DeviceUnfit(
            f"{device.serial} is not fit to be measured: {'; '.join(words)}",
            " ".join([*advice, "Without --strict it is measured all the same, and what it gives is tagged."]),
        )


def _space(conditions: Conditions) -> Gate:
    """Deployment refuses what does not fit; before the files of a run are made, nobody knows how large they are."""
    if conditions.free_bytes is None:
        return Gate(
            name="space", state="unknown", found="free space is not reported",
            advice="A run needs twice what it deploys; `adb shell df /data/local/tmp` may say more.",
        )  # fmt: skip
    found = f"{units.size(conditions.free_bytes)} free"
    if conditions.free_bytes >= ROOM_BYTES:
        return Gate(name="space", state="ok", found=found)
    return Gate(
        name="space", state="warn", found=f"{found}; a run needs twice what it deploys",
        advice="Free some space there; `bench clean` removes what bench left.",
    )  # fmt: skip


def _virtual(device: Device) -> Gate:
    if device.virtual:
        return Gate(name="phone", state="ok", found="virtual: its figures are labelled so")
    if device.facts.get("virtual") == "unknown":
        return Gate(
            name="phone", state="unknown", found="real or virtual: unknown",
            advice="Only you know whether it is a phone: measure on one that says so, or on a virtual one.",
        )  # fmt: skip
    return Gate(name="phone", state="ok", found="real")


def _abi(device: Device, abis: Sequence[str]) -> Gate:
    found = ", ".join(device.abis) or "not reported"
    if set(abis) & set(device.abis):
        return Gate(name="ABI", state="ok", found=found)
    return Gate(name="ABI", state="bad", found=found, advice=f"The native runner is built for {', '.join(abis)}.")


def _heat(conditions: Conditions) -> Gate:
    if hot := warm(conditions):
        return Gate(
            name="heat", state="unfit", found="; ".join(hot), advice="Let it cool, out of its case and the sun.",
            waits=True,
        )  # fmt: skip
    status, skin, battery = conditions.thermal_status, conditions.skin_celsius, conditions.battery_celsius
    found = [f"thermal status {status}"] if status is not None else []
    found += [f"{name} {value:g} °C" for name, value in (("skin", skin), ("battery", battery)) if value is not None]
    if not found:
        return Gate(
            name="heat", state="unknown", found="neither temperature nor thermal status is reported",
            advice="Watch the spread of its launches instead: throttling cannot be detected.",
        )  # fmt: skip
    return Gate(name="heat", state="ok", found=", ".join(found))


def warm(conditions: Conditions) -> tuple[str, ...]:
    """Why a phone is too warm to be measured; empty when it is not, or does not tell."""
    found = []
    if conditions.thermal_status is not None and conditions.thermal_status >= THROTTLING:
        found.append(f"the phone throttles for heat (thermal status {conditions.thermal_status})")
    if conditions.battery_celsius is not None and conditions.battery_celsius >= HOT_BATTERY_CELSIUS:
        found.append(f"the battery is hot ({conditions.battery_celsius:g} °C)")
    return tuple(found)


def low(conditions: Conditions) -> bool:
    """Whether the battery is so low that Android saves power."""
    return conditions.battery_percent is not None and conditions.battery_percent <= LOW_BATTERY_PERCENT


def _battery(conditions: Conditions) -> Iterator[Gate]:
    if conditions.battery_present is False:
        yield Gate(name="battery", state="ok", found="none: it runs on mains")
        return
    percent, charging = conditions.battery_percent, conditions.charging
    if percent is None:
        yield Gate(
            name="battery", state="unknown", found="its charge is not reported",
            advice="Charge it above 50 % before a run.",
        )  # fmt: skip
    elif low(conditions):
        yield Gate(
            name="battery", state="unfit", found=f"low: {percent} %{', charging' if charging else ''}",
            advice="Charge it above 50 %.", waits=bool(charging),
        )  # fmt: skip
    else:
        yield Gate(name="battery", state="ok", found=f"{percent} %{', charging' if charging else ''}")
    if conditions.power_saver is not None:
        yield Gate(
            name="battery saver", state="unfit" if conditions.power_saver else "ok",
            found="on: it slows the clocks" if conditions.power_saver else "off",
            advice="Switch the battery saver off in the phone's settings." if conditions.power_saver else "",
        )  # fmt: skip


def _screen(device: Device, conditions: Conditions) -> Gate:
    """Advice alone: whether users have the screen on is for who measures to know."""
    if conditions.awake is None:
        return Gate(name="screen", state="ok" if device.virtual else "warn", found="not reported")
    if conditions.awake:
        return Gate(name="screen", state="ok", found="on")
    return Gate(
        name="screen", state="warn", found="off",
        advice="Some phones slow down then; switch it on if your users have it on: adb shell input keyevent WAKEUP.",
    )  # fmt: skip


def _load(conditions: Conditions) -> Iterator[Gate]:
    if conditions.busy is None:
        return
    found = f"{conditions.busy:.0%} of the cores' time".replace("%", " %")
    if conditions.busy > BUSY:
        advice = "Close other apps, and wait after a reboot or an update: package optimisation runs for minutes."
        yield Gate(name="other load", state="warn", found=found, advice=advice)
    else:
        yield Gate(name="other load", state="ok", found=found)


def doubts(conditions: Conditions) -> tuple[str, ...]:
    """Why a timing taken under these conditions is not fit to be compared; empty when it is."""
    found = list(warm(conditions))
    if low(conditions):
        found.append(f"the battery is low ({conditions.battery_percent} %), power saving slows the clocks")
    if conditions.power_saver:
        found.append("the battery saver was on when the run began, it slows the clocks")
    return tuple(found)


def launch_doubts(pass_: Pass, before: Conditions, after: Conditions | None) -> tuple[str, ...]:
    """Why a launch of a pass is not fit to be compared, by the phone's state `before` and `after` it; the latter is
    None where it could not be asked. Only timings change with heat."""
    if pass_ not in TIMED:
        return ()
    found = doubts(before)
    if after is None or warm(before) or pass_ in _HEAT_IS_MEASURED:
        return found
    if after.thermal_status is not None and after.thermal_status >= THROTTLING:
        known = before.thermal_status is not None
        rose = f"{before.thermal_status} before, {after.thermal_status} after" if known else f"{after.thermal_status}"
        found += (f"the phone began to throttle during the launch (thermal status {rose})",)
    elif hot := warm(after):
        found += (f"during the launch {hot[0]}",)
    return found


def affinity(device: Device, cores: str) -> int:
    """The CPU mask of a launch on these cores of a device; 0 leaves the scheduler alone. Raises UsageError."""
    return _placement(device, cores).mask


def placement_doubts(device: Device, cores: str, threads: int, allowed: str) -> tuple[str, ...]:
    """Why a launch did not run as it was asked to: on these `cores`, with a core for each thread.

    `allowed` is the list of CPUs that the launch reported (`Cpus_allowed_list`). Raises UsageError.
    """
    mask, reason = _placement(device, cores)
    found = [reason] if reason else []
    ran_on = processors.cpu_list(allowed)
    if mask and sum(1 << cpu for cpu in ran_on) != mask:
        where = f"on CPUs {', '.join(map(str, ran_on))}" if ran_on else "on CPUs that it did not report"
        found.append(f"the launch ran {where}, not on those asked for")
    available = len(ran_on) or mask.bit_count() or len(device.cpus)
    if available and threads > available:
        found.append(f"{threads} threads shared {available} core{'s' if available > 1 else ''}")
    return tuple(found)


def _placement(device: Device, cores: str) -> topology.Placement:
    """Clusters are a phone's; a desktop runs wherever its scheduler likes."""
    if device.kind == "desktop" and cores in ("big", "little"):
        return topology.Placement(0)
    return topology.place(device.cpus, cores)
