"""What must hold before a phone is measured, and what makes a sample doubtful.

Thresholds follow Android's own: thermal status 2 (MODERATE) is where it begins to throttle, 15 % battery is where its
saver starts.
"""

from __future__ import annotations

from bench.devices.facts import Conditions
from bench.records import Device

THROTTLING = 2
LOW_BATTERY_PERCENT = 15
HOT_BATTERY_CELSIUS = 40.0


def doubts(conditions: Conditions) -> tuple[str, ...]:
    """Why a timing taken under these conditions is not fit to be compared; empty when nothing speaks against it."""
    found = []
    if conditions.thermal_status is not None and conditions.thermal_status >= THROTTLING:
        found.append(f"the phone throttles for heat (thermal status {conditions.thermal_status})")
    if conditions.battery_celsius is not None and conditions.battery_celsius >= HOT_BATTERY_CELSIUS:
        found.append(f"the battery is hot ({conditions.battery_celsius:g} °C)")
    low = conditions.battery_percent is not None and conditions.battery_percent <= LOW_BATTERY_PERCENT
    if low and not conditions.charging:
        found.append(f"the battery is low ({conditions.battery_percent} %), power saving slows the clocks")
    return tuple(found)


def affinity(device: Device, cores: str) -> int:
    """The CPU mask for `cores` ("any", "big", "little") on a device, by topology and never by index: on some phones
    the fast cluster is cpu0-3. 0 leaves the scheduler alone, also when the device does not tell its clocks."""
    clocks = {cpu.max_khz for cpu in device.cpus if cpu.online and cpu.max_khz}
    if cores == "any" or len(clocks) < 2:
        return 0
    wanted = max(clocks) if cores == "big" else min(clocks)
    return sum(1 << cpu.index for cpu in device.cpus if cpu.online and cpu.max_khz == wanted)
