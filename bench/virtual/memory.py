"""How much memory a phone has, how much of it is left, and what happens when a program wants more.

A limit is a memory control group where one may be made (the kernel then kills the program), else a watchdog that adds
up anonymous memory 50 times a second and kills the largest process.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import signal
import time
from pathlib import Path

from bench.virtual.processes import Processes

log = logging.getLogger(__name__)

WATCH_PERIOD_S = 0.02
_FRESH_S = 0.1
_CONTROL_ROOT = Path("/sys/fs/cgroup")


def _candidates() -> list[tuple[Path, str, str]]:
    """Groups below which one of ours may be made, with the names of their limit and swap limit files."""
    found: list[tuple[Path, str, str]] = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            # Version 2: a group that has processes has no sub-groups with limits, so ours goes beside it.
            beside = (_CONTROL_ROOT / path.lstrip("/")).parent
            with contextlib.suppress(OSError):
                if "memory" in (beside / "cgroup.subtree_control").read_text().split():
                    found.append((beside, "memory.max", "memory.swap.max"))
        elif "memory" in controllers.split(","):
            own = _CONTROL_ROOT / "memory" / path.lstrip("/")
            found.append((own, "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"))
    return found


class ControlGroup:
    """A memory control group with a limit in bytes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parent = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    @classmethod
    def make(cls, name: str, limit: int) -> ControlGroup | None:
        """A group of that name, or None where this user or this system cannot have one."""
        try:
            candidates = _candidates()
        except OSError:
            return None
        for parent, limit_file, swap_file in candidates:
            folder = parent / name
            try:
                folder.mkdir(exist_ok=True)
                (folder / limit_file).write_text(str(limit))
                with contextlib.suppress(OSError):  # no swap here: nothing to limit
                    (folder / swap_file).write_text(str(limit if "memsw" in swap_file else 0))
                if os.access(folder / "cgroup.procs", os.W_OK):
                    return cls(folder)
            except OSError:
                pass
            with contextlib.suppress(OSError):
                folder.rmdir()
        return None

    def enter(self) -> None:
        """Move this process, and all that it will start, into the group. Raises OSError."""
        (self._folder / "cgroup.procs").write_text("0")

    def remove(self) -> None:
        """Forget the group once its processes are gone. Works where the host's files are out of sight already."""
        for _ in range(100):
            try:
                os.rmdir(self._folder.name, dir_fd=self._parent)
                return
            except OSError as error:
                if error.errno != errno.EBUSY:  # the kernel may still count a process that has just ended
                    return
                time.sleep(0.01)


def anonymous_bytes(pid: int) -> int:
    """Resident memory of a process that no file backs; 0 when it is gone."""
    try:
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text().split()
    except (OSError, ValueError):
        return 0
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")


async def watch(processes: Processes, limit: int) -> None:
    """Kill the phone's largest process whenever all of them together hold more than `limit` bytes. Never returns."""
    while True:
        await asyncio.sleep(WATCH_PERIOD_S)
        held = {pid: anonymous_bytes(pid) for pid in processes.pids()}
        total = sum(held.values())
        if total > limit:
            largest = max(held, key=held.__getitem__)
            with contextlib.suppress(OSError):
                os.kill(largest, signal.SIGKILL)
            log.warning("%d bytes in use, more than %d: killed %d (%d bytes)", total, limit, largest, held[largest])


class MemInfo:
    """The phone's `/proc/meminfo`: the total is the phone's, what is left is counted."""

    def __init__(self, file: Path, total: int) -> None:
        """Takes hold of the file and of the host's own meminfo, because a sandbox hides both later."""
        self._total = total
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            self._host: int | None = os.open("/proc/meminfo", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # not Linux
            self._host = None
        self._updated = float("-inf")
        self.update(None)

    def update(self, processes: Processes | None) -> None:
        """Write the state of this moment, unless that was just done: never more than the host really has left."""
        now = time.monotonic()
        if now - self._updated < _FRESH_S:
            return
        self._updated = now
        used = sum(map(anonymous_bytes, processes.pids())) if processes else 0
        host: dict[str, int] = {}
        if self._host is not None:
            for line in os.pread(self._host, 1 << 14, 0).decode("ascii", "replace").splitlines():
                name, _, value = line.partition(":")
                if value.strip():
                    host[name] = int(value.split()[0]) * 1024
        available = max(0, min(self._total - used, host.get("MemAvailable", self._total)))
        free = min(available, host.get("MemFree", available))
        cached = min(available - free, host.get("Cached", 0))
        rows = {
            "MemTotal": self._total,
            "MemFree": free,
            "MemAvailable": available,
            "Buffers": 0,
            "Cached": cached,
            "SwapCached": 0,
            "AnonPages": used,
            "SwapTotal": 0,
            "SwapFree": 0,
        }
        text = "".join(f"{name + ':':<16}{value // 1024:>8} kB\n" for name, value in rows.items())
        # Same length or shorter never leaves an old tail: the file is cut after it is written.
        os.pwrite(self._file, text.encode(), 0)
        os.ftruncate(self._file, len(text))
