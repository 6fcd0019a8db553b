"""Whether a device is there, how long to wait for one that went away, and whether it is the one it was: a phone that
restarts is gone for 30 to 90 seconds."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import NamedTuple

from bench.devices.transport import Transport
from bench.errors import DeviceOffline, Transient

_ASK = (
    'printf "boot %s\\n" "$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)"; '
    'printf "android %s\\n" "$(getprop ro.build.version.release 2>/dev/null)"; '
    'printf "completed %s\\n" "$(getprop sys.boot_completed 2>/dev/null)"'
)
_POLL_S = 1.0
_REVIVE_EVERY = 5
_ANSWER_S = 20.0


class Presence(NamedTuple):
    """A device that answers. `boot` changes with each start of it, empty where it does not tell; `ready` is False while
    Android still starts."""

    boot: str
    ready: bool


def ask(transport: Transport) -> Presence:
    """How a device is now. Raises what the transport raises."""
    said = transport.run(["sh", "-c", _ASK], deadline_s=_ANSWER_S).stdout[:4096]
    facts = dict(re.findall(r"^(boot|android|completed) ?([\w.-]{0,80})\r?$", said, re.MULTILINE | re.ASCII))
    return Presence(facts.get("boot", ""), facts.get("completed") == "1" or not facts.get("android"))


def wait(
    transport: Transport, deadline_s: float, say: Callable[[str], None] = lambda sentence: None,
    pause: Callable[[float], object] = time.sleep,
) -> Presence:  # fmt: skip
    """Wait until a device answers and has started; `say` is told once that it is waited for, `pause` waits some seconds
    and returns something true when there is no more use in it.

    Raises DeviceOffline when it has not come within `deadline_s` seconds, and at once what waiting does not cure.
    """
    end, told, polls, why = time.monotonic() + deadline_s, False, 0, "it is still starting"
    stopped = False
    while True:
        try:
            found = ask(transport)
            if found.ready:
                return found
            why = "it is still starting"
        except Transient as error:
            why = error.what
            if (
                polls % _REVIVE_EVERY == 1
            ):  # Not at once, nor all the time: what is about to come back is not disturbed.
                transport.revive()
        if stopped or time.monotonic() + _POLL_S > end:
            raise DeviceOffline(
                f"{transport.serial} did not come back within {deadline_s:g} s: {why}",
                "Look at its cable and its screen, then run the same command again.",
            )
        if not told:
            told = True
            say(f"{why}; waiting up to {deadline_s:g} s for {transport.serial}")
        polls += 1
        stopped = bool(pause(_POLL_S))
