"""Files brought to a machine under the names of their contents, and checked there at the start of every run."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bench.devices import hashing
from bench.devices.transport import Transport, free_bytes, transfer_s
from bench.devices.words import clean
from bench.errors import CorruptData, DeviceRefused, DiskFull, TransportBroken
from bench.files import digest


@dataclass(frozen=True)
class Payload:
    """A file to be deployed: named on the machine by its content, so that it is never copied twice."""

    path: Path
    sha256: str
    bytes: int
    executable: bool = False

    def remote(self, folder: str) -> str:
        return f"{folder}/store/{self.sha256[:32]}"


def deploy(
    transport: Transport,
    payloads: Sequence[Payload],
    *,
    say: Callable[[str], None] = lambda sentence: None,
) -> int:
    """Bring to the machine what it does not have yet, and make sure that what it has is whole.

    Everything is hashed there, also what an earlier run brought: files get damaged, and their size stays the same. A
    damaged one is replaced, and `say` is called. Where a machine has no tool for it, the runner among the payloads
    hashes; where that cannot, copies are read back.
    Returns the number of bytes copied: 0 when everything was there. Raises DiskFull before copying when the machine has
    less than twice the room that is needed, TransportBroken when a copy arrives damaged, DeviceRefused when it cannot
    be put in its place, CorruptData when a file on this host is no longer what it was.
    """
    folder = transport.folder
    wanted = {p.remote(folder): p for p in payloads}
    transport.run(["mkdir", "-p", f"{folder}/store", f"{folder}/work"], deadline_s=30)
    hasher = hashing.find(transport, [remote for remote, p in wanted.items() if p.executable])
    there = hasher.digests(transport, wanted, deadline_s=_transfer_s(payloads)) if hasher else {}
    missing = {remote: p for remote, p in wanted.items() if not hasher or there.get(remote) != _expected(p, hasher)}
    if not missing:
        return 0
    needed = sum(p.bytes for p in missing.values())
    free = free_bytes(transport)
    if free is not None and free < 2 * needed:
        raise DiskFull(
            f"{transport.serial} has {free:,} bytes free at {folder}; {2 * needed:,} are needed (twice the payload)",
            f"Free some space there, or run `bench clean --device {shlex.quote(transport.serial)}`.",
        )
    # Programs first: one of them may be what checks the rest.
    for remote, payload in sorted(missing.items(), key=lambda item: not item[1].executable):
        _bring(transport, payload, remote, hasher)
        if remote in there:
            say(f"{payload.path.name} was damaged on {transport.serial} and was replaced")
        if not hasher and payload.executable:
            hasher = hashing.find(transport, [remote])
    return needed


class Found(NamedTuple):
    """Deployed files that are not as they were: gone, or there with another content."""

    missing: tuple[Payload, ...]
    changed: tuple[Payload, ...]


def found(transport: Transport, payloads: Sequence[Payload]) -> Found:
    """Compare what was deployed with what is there. Raises what the transport raises, and CorruptData when a file on
    this host is no longer what it was."""
    wanted = {p.remote(transport.folder): p for p in payloads}
    hasher = hashing.find(transport, [remote for remote, p in wanted.items() if p.executable])
    missing, changed = [], []
    if hasher is None:
        for remote, p in wanted.items():
            if transport.run(["sh", "-c", 'test -f "$0"', remote], deadline_s=30).status:
                missing.append(p)
            elif not _reads_back(transport, p, remote):
                changed.append(p)
        return Found(tuple(missing), tuple(changed))
    there = hasher.digests(transport, wanted, deadline_s=_transfer_s(payloads))
    for remote, p in wanted.items():
        if remote not in there:
            missing.append(p)
        elif there[remote] != _expected(p, hasher):
            changed.append(p)
    return Found(tuple(missing), tuple(changed))


def damaged(transport: Transport, payloads: Sequence[Payload]) -> tuple[Payload, ...]:
    """Those of the deployed files that are no longer what was deployed. Raises what `found` raises."""
    both = found(transport, payloads)
    return (*both.missing, *both.changed)


def _transfer_s(payloads: Sequence[Payload]) -> float:
    """Seconds that all of these may take."""
    return transfer_s(sum(p.bytes for p in payloads))


def _reads_back(transport: Transport, payload: Payload, remote: str) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        back = Path(folder, "back")
        try:
            transport.pull(remote, back, deadline_s=transfer_s(payload.bytes), most=payload.bytes)
        except CorruptData:
            return False
        return digest(back) == payload.sha256


def _expected(payload: Payload, hasher: hashing.Hasher) -> str:
    """What the machine's tool must say of a whole copy."""
    if hasher.algorithm == "sha256":
        return payload.sha256
    if digest(payload.path) != payload.sha256:
        raise CorruptData(f"{payload.path} changed since it was prepared", "Run the same command again.")
    return digest(payload.path, hasher.algorithm)


def _bring(transport: Transport, payload: Payload, remote: str, hasher: hashing.Hasher | None) -> None:
    """Copy one file; it takes its content's name when it was verified and not before."""
    deadline_s = transfer_s(payload.bytes)
    draft = f"{remote}.part"
    transport.push(payload.path, draft, deadline_s=deadline_s)
    if hasher:
        whole = hasher.digests(transport, [draft], deadline_s=deadline_s).get(draft) == _expected(payload, hasher)
    else:
        whole = _reads_back(transport, payload, draft)
    if not whole:
        transport.run(["rm", "-f", draft], deadline_s=30)
        what = {"sha256": "SHA-256", "sha1": "SHA-1", "md5": "MD5"}[hasher.algorithm if hasher else "sha256"]
        raise TransportBroken(
            f"{payload.path.name} arrived damaged on {transport.serial}: {what} differs",
            "Check the cable and the free space on the phone, then run the same command again.",
        )
    for argv in (["chmod", "755" if payload.executable else "644", draft], ["mv", "-f", draft, remote]):
        done = transport.run(argv, deadline_s=30)
        if done.status:
            raise DeviceRefused(
                f"{transport.serial} cannot {argv[0]} {draft}: {clean(done.stderr or done.stdout)}",
                "`bench doctor` checks whether the folder is writable.",
            )
