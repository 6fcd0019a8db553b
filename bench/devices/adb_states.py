"""What adb says of a device that cannot be used, as one of our errors with its own advice."""

from __future__ import annotations

import shlex

from bench.devices.words import clean
from bench.errors import BenchError, DeviceOffline, TransportBroken, Unauthorized

_ADVICE: dict[str, tuple[type[BenchError], str, str]] = {
    "unauthorized": (
        Unauthorized, "has not authorised this computer", "Unlock the phone and accept the USB debugging question.",
    ),
    "authorizing": (
        DeviceOffline, "is still being authorised",
        "Wait a few seconds, accept the USB debugging question if the phone asks, and run the same command again.",
    ),
    "no permissions": (
        Unauthorized, "may not be opened by this user: no permissions for its USB device",
        "Add a udev rule for it (on Debian: apt install android-sdk-platform-tools-common), join the group plugdev, "
        "plug it in again and run `adb kill-server`.",
    ),
    "connecting": (DeviceOffline, "is still connecting", "Wait a few seconds and run the same command again."),
    "offline": (
        DeviceOffline, "is offline",
        "Unplug it and plug it in again, or run `adb reconnect offline`; then run the same command again.",
    ),
    "recovery": (DeviceOffline, "is in recovery mode", "Start Android: adb -s {serial} reboot"),
    "rescue": (DeviceOffline, "is in rescue mode", "Start Android: adb -s {serial} reboot"),
    "sideload": (
        DeviceOffline, "waits for an update (sideload mode)", "Leave it in the phone's own menu, or start Android: "
        "adb -s {serial} reboot",
    ),
    "bootloader": (DeviceOffline, "is in its bootloader", "Start Android: fastboot -s {serial} reboot"),
    "host": (
        DeviceOffline, "is listed as a computer, not as a device",
        "Look at what is plugged in there, and unplug it or name another device with --device.",
    ),
    "detached": (
        DeviceOffline, "was detached from the adb server", "Give it back to adb: adb -s {serial} attach"
    ),
}  # fmt: skip


def state_error(serial: str, state: str) -> BenchError:
    """The error for a device that is listed in a state other than "device". `serial` is clean."""
    for known, (kind, what, fix) in _ADVICE.items():
        # adb adds to "no permissions" why, and a link.
        if state == known or state.startswith(f"{known} "):
            return kind(f"{serial} {what}", fix.format(serial=shlex.quote(serial)))
    return DeviceOffline(
        f"{serial} is in the state {clean(state)!r}, which is not known here",
        "Restart the phone, or run `adb reconnect`; then run the same command again.",
    )


def refusal(serial: str, said: str) -> BenchError:
    """The error for what an adb server answers instead of doing what it was asked for with a device."""
    text = said.lower()
    for word, state in (
        ("still authorizing", "authorizing"), ("still connecting", "connecting"), ("unauthorized", "unauthorized"),
        ("no permissions", "no permissions"), ("insufficient permissions", "no permissions"), ("offline", "offline"),
        ("detached", "detached"),
    ):  # fmt: skip
        if word in text:
            return state_error(serial, state)
    if "not found" in text or "no devices" in text:
        return DeviceOffline(f"{serial} went away: {clean(said)}", "Connect it again and run the same command.")
    return TransportBroken(f"the connection to {serial} broke: {clean(said)}", "Run the same command again.")
