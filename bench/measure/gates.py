"""What must hold before a phone is measured, and what makes a sample doubtful.

Thresholds follow Android's own: thermal status 2 (MODERATE) is where it begins to throttle, 15 % battery is where its
saver starts.
"""

from __future__ import annotations

from bench.devices import processors, topology
from bench.devices.facts import Conditions
from bench.records import Device

THROTTLING = 2
LOW_BATTERY_PERCENT = 15
HOT_BATTERY_CELSIUS = 40.0


def doubts(conditions: Conditions) -> tuple[str, ...]:
    """Why a timing taken under these conditions is not fit to be compared; empty when it is."""
    found = []
    if conditions.thermal_status is not None and conditions.thermal_status >= THROTTLING:
        found.append(f"the phone throttles for heat (thermal status {conditions.thermal_status})")
    if conditions.battery_celsius is not None and conditions.battery_celsius >= HOT_BATTERY_CELSIUS:
        found.append(f"the battery is hot ({conditions.battery_celsius:g} °C)")
    low = conditions.battery_percent is not None and conditions.battery_percent <= LOW_BATTERY_PERCENT
    if low and not conditions.charging:
        found.append(f"the battery is low ({conditions.battery_percent} %), power saving slows the clocks")
    return tuple(found)


def unknown(conditions: Conditions) -> tuple[str, ...]:
    """The conditions that were not reported: without doubts is not the same as fit to measure."""
    heat = (conditions.thermal_status, conditions.skin_celsius, conditions.battery_celsius)
    found = [] if any(value is not None for value in heat) else ["heat"]
    if conditions.battery_percent is None and conditions.battery_present is not False:
        found.append("battery")
    return tuple(found)


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
