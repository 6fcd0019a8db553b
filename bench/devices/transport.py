"""What every machine that runs trials must offer, be it a phone or this host."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.errors import DiskFull, TransportBroken


@dataclass(frozen=True)
class Completed:
    """A finished command: its own exit status (128 + signal when a signal ended it) and what it printed."""

    status: int
    stdout: str
    stderr: str


class Transport(Protocol):
    """A way to a machine. Every call has a deadline in seconds and raises DeadlineExceeded when it passes,
    TransportBroken or DeviceOffline when the connection fails."""

    @property
    def serial(self) -> str:
        """The name under which results know this machine."""
        ...

    @property
    def folder(self) -> str:
        """The folder on the machine that belongs to bench."""
        ...

    def run(self, argv: Sequence[str], *, deadline_s: float, on_line: Callable[[str], None] | None = None) -> Completed:
        """Run a command to its end; each line of stdout is handed to `on_line` when it comes. When the deadline passes
        the command is killed on the machine."""
        ...

    def push(self, local: Path, remote: str, *, deadline_s: float) -> None:
        """Copy a file to the machine, replacing it. Raises DiskFull."""
        ...

    def pull(self, remote: str, local: Path, *, deadline_s: float) -> None:
        """Copy a file from the machine. Raises TransportBroken when it is not there."""
        ...


@dataclass(frozen=True)
class Payload:
    """A file to be deployed: named on the machine by its content, so that it is never copied twice."""

    path: Path
    sha256: str
    bytes: int
    executable: bool = False

    def remote(self, folder: str) -> str:
        return f"{folder}/store/{self.sha256[:32]}"


def deploy(transport: Transport, payloads: Sequence[Payload], *, deadline_s: float = 600.0) -> int:
    """Bring to the machine what it does not have yet, and verify there what was brought by SHA-256.

    A file takes its content's name only when it was verified, so later its size alone tells that it is whole.
    Returns the number of bytes copied: 0 when everything was there. Raises DiskFull before copying when the machine has
    less than twice the room that is needed, TransportBroken when a copy arrives damaged.
    """
    folder = transport.folder
    wanted = {p.remote(folder): p for p in payloads}
    transport.run(["mkdir", "-p", f"{folder}/store", f"{folder}/work"], deadline_s=30)
    present = _fields(transport, ["stat", "-c", "%s %n", *wanted])
    missing = {remote: p for remote, p in wanted.items() if present.get(remote) != str(p.bytes)}
    if not missing:
        return 0
    needed = sum(p.bytes for p in missing.values())
    free = free_bytes(transport)
    if free is not None and free < 2 * needed:
        raise DiskFull(
            f"{transport.serial} has {free:,} bytes free at {folder}; {2 * needed:,} are wanted (twice the payload)",
            f"Free some space there, or run `bench clean --device {transport.serial}`.",
        )
    for remote, payload in missing.items():
        draft = f"{remote}.part"
        transport.push(payload.path, draft, deadline_s=deadline_s)
        if _fields(transport, ["sha256sum", draft]).get(draft) != payload.sha256:
            transport.run(["rm", "-f", draft], deadline_s=30)
            raise TransportBroken(
                f"{payload.path.name} arrived damaged on {transport.serial}: SHA-256 differs",
                "Check the cable and the free space on the phone, then run the same command again.",
            )
        transport.run(["chmod", "755" if payload.executable else "644", draft], deadline_s=30)
        transport.run(["mv", "-f", draft, remote], deadline_s=30)
    return needed


def _fields(transport: Transport, argv: Sequence[str]) -> dict[str, str]:
    """Lines `VALUE PATH` of a command's output, as value by path; it may complain of paths that are not there."""
    done = transport.run(argv, deadline_s=120)
    fields = (line.split(maxsplit=1) for line in done.stdout.splitlines())
    return {f[1].strip(): f[0] for f in fields if len(f) == 2}


def free_bytes(transport: Transport) -> int | None:
    """Free bytes in the bench folder's file system, or None when the machine does not say (`df -k`)."""
    lines = transport.run(["df", "-k", transport.folder], deadline_s=30).stdout.splitlines()
    try:
        return int(lines[-1].split()[-3]) * 1024
    except (IndexError, ValueError):
        return None


def quoted(argv: Sequence[str]) -> str:
    """An argument list as one command line for a POSIX shell (mksh on Android)."""
    return shlex.join(argv)
