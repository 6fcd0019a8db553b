"""What is remembered of each device from run to run: how its trials went, when it was seen, why it was set aside.

A file of JSON lines per device in the user's state folder, the oldest forgotten: `bench devices --health` reads it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

import platformdirs

from bench.devices.words import clean
from bench.files import read_bounded, replace

MOST_EVENTS = 400
"""Of a device; when there are twice as many, the older half is forgotten."""
_MOST_BYTES = 1 << 22

Event = Literal["run", "set aside", "back"]


class Summary(NamedTuple):
    """What is known of a device. Times are ISO 8601 in UTC; `failures` counts failed trials by kind of error."""

    serial: str
    runs: int = 0
    trials: int = 0
    failures: Mapping[str, int] = {}
    last_seen: str = ""
    set_aside_since: str = ""
    """Empty unless it is set aside still: no later run and no probe found it well."""
    set_aside_why: str = ""


class Health:
    """The memory of devices, in `folder`. Nothing here raises: a run is not lost for it."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or Path(platformdirs.user_state_dir("fr-bench", appauthor=False)) / "health"

    def run(self, serial: str, run: str, trials: int, failures: Mapping[str, int], *, aside: bool) -> None:
        """A run ended in which the device did that many trials; `aside`: it was set aside, or given up, at the end."""
        self._add(serial, "run", run=run, trials=trials, failures=dict(failures), aside=aside)

    def set_aside(self, serial: str, why: str) -> None:
        """The device was set aside."""
        self._add(serial, "set aside", why=clean(why))

    def back(self, serial: str) -> None:
        """It answered a probe."""
        self._add(serial, "back")

    def summary(self, serial: str) -> Summary:
        """What is known of a device; nothing is known of a new one."""
        found, failures = Summary(serial), Counter[str]()
        for event in self._events(self._file(serial)):
            at = str(event["at"])
            if event["event"] == "set aside":
                found = found._replace(set_aside_since=at, set_aside_why=clean(str(event.get("why", ""))))
                continue
            if event["event"] == "run":
                failures.update(event["failures"])
                found = found._replace(runs=found.runs + 1, trials=found.trials + int(event["trials"]))
            if not event.get("aside"):
                found = found._replace(last_seen=at, set_aside_since="", set_aside_why="")
        return found._replace(failures=dict(failures.most_common()))

    def known(self) -> tuple[str, ...]:
        """The serials of all devices that are remembered."""
        files = sorted(self._folder.glob("*.jsonl")) if self._folder.is_dir() else []
        serials = (next(iter(self._events(file)), {}).get("serial") for file in files)
        return tuple(str(serial) for serial in serials if serial)

    def _add(self, serial: str, event: Event, **facts: Any) -> None:
        at = datetime.now(UTC).isoformat(timespec="seconds")
        line = json.dumps({"serial": serial, "at": at, "event": event, **facts}) + "\n"
        path = self._file(serial)
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="ascii") as file:
                file.write(line)
            lines = read_bounded(path, _MOST_BYTES).splitlines(keepends=True)
            if len(lines) > 2 * MOST_EVENTS:
                replace(path, b"".join(lines[-MOST_EVENTS:]))

    def _events(self, path: Path) -> list[dict[str, Any]]:
        """Whole lines in their order; what is damaged is passed over."""
        found = []
        with contextlib.suppress(OSError):
            for line in read_bounded(path, _MOST_BYTES).splitlines():
                with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
                    event = json.loads(line)
                    if event["event"] == "run":
                        event["failures"] = {clean(str(k), 40): int(n) for k, n in event["failures"].items()}
                        event["trials"] = int(event["trials"])
                    if isinstance(event["at"], str) and isinstance(event["serial"], str):
                        found.append(event)
        return found

    def _file(self, serial: str) -> Path:
        name = "".join(c if c.isascii() and c.isalnum() else "_" for c in serial)[:80]
        return self._folder / f"{name}-{hashlib.sha256(serial.encode()).hexdigest()[:8]}.jsonl"
