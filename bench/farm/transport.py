"""A phone of another host, as a transport: the rest of bench works it like one at hand."""

from __future__ import annotations

import contextlib
import itertools
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bench.devices.adb import FOLDER
from bench.devices.transport import PULL_MAX, Completed
from bench.errors import BenchError, CorruptData, DeviceOffline, NoDevice, SeveralDevices, TransportBroken
from bench.farm import messages as m
from bench.farm.client import At, Farm
from bench.files import digest

ALL = "all"
SMALL = 64 << 10
"""Bytes of a file that travels with the request: a job, not an artifact."""
_ANSWER_S = 60.0
"""Seconds for the way there and back, beside what a command may take."""
_RENEW_S = 15.0


class FarmTransport:
    """A phone of a host of the farm, had from the first request until `leave`."""

    folder = FOLDER

    def __init__(self, farm: Farm, at: At) -> None:
        self._farm, self._at = farm, at
        self._token = secrets.token_hex(16)
        self._numbers = itertools.count()
        self.sent = 0
        """Bytes of files that the host's cache did not have."""

    @property
    def serial(self) -> str:
        return self._at.serial

    @property
    def host(self) -> m.Host:
        return self._at.host

    def run(self, argv: Sequence[str], *, deadline_s: float, on_line: Callable[[str], None] | None = None) -> Completed:
        request = m.Run(
            serial=self.serial, token=self._token, argv=tuple(argv), deadline_s=deadline_s, number=next(self._numbers)
        )
        reply, _ = self._ask(request, wait_s=deadline_s, on_line=on_line)
        return Completed(reply.status, reply.stdout, reply.stderr)

    def push(self, local: Path, remote: str, *, deadline_s: float) -> None:
        size = local.stat().st_size
        request = m.Push(
            serial=self.serial, token=self._token, remote=remote, name=local.name, sha256=digest(local), size=size,
            beside=size <= SMALL, deadline_s=deadline_s,
        )  # fmt: skip
        if request.beside:
            self._ask(request, local.read_bytes(), wait_s=deadline_s)
            return
        if not self._ask(request, wait_s=deadline_s)[0].lacking:
            return
        self._send(local, request, deadline_s)
        if self._ask(request, wait_s=deadline_s)[0].lacking:
            raise TransportBroken(f"{local.name} is not in the cache of host {self.host.name} though it was sent there")

    def pull(self, remote: str, local: Path, *, deadline_s: float, most: int = PULL_MAX) -> None:
        request = m.Pull(serial=self.serial, token=self._token, remote=remote, most=most, deadline_s=deadline_s)
        reply, part = self._ask(request, wait_s=deadline_s)
        if reply.size > most:
            raise CorruptData(f"{remote} on {self.serial} has more than the {most:,} bytes that are due")
        with local.open("wb") as file:
            file.write(part)
            while (offset := file.tell()) < reply.size:
                more = m.More(serial=self.serial, token=self._token, handle=reply.handle, offset=offset)
                _, part = self._ask(more, wait_s=_ANSWER_S)
                if not part or offset + len(part) > reply.size:
                    raise TransportBroken(f"{remote} on {self.serial} came with another size than was said")
                file.write(part)
        if reply.size > m.PART:
            self._ask(more.model_copy(update={"done": True}), wait_s=_ANSWER_S)

    def revive(self) -> None:
        with contextlib.suppress(BenchError):
            self._ask(m.Revive(serial=self.serial, token=self._token), wait_s=_ANSWER_S)

    def claim(self) -> None:
        """Have the phone. Raises DeviceBusy and what `Farm.ask` does."""
        self._farm.ask(self.serial, m.Claim(serial=self.serial, token=self._token), wait_s=_ANSWER_S)

    def renew(self) -> None:
        """Go on having it, also while nothing is asked of it."""
        with contextlib.suppress(BenchError):
            self._farm.ask(self.serial, m.Renew(serial=self.serial, token=self._token), wait_s=_RENEW_S)

    def leave(self) -> None:
        with contextlib.suppress(BenchError):
            self._farm.ask(self.serial, m.Release(serial=self.serial, token=self._token), wait_s=_RENEW_S)

    def _ask(
        self, request: m.Request, data: bytes = b"", *, wait_s: float, on_line: Callable[[str], None] | None = None
    ) -> tuple[m.Reply, bytes]:
        for _ in range(2):
            reply, back = self._farm.ask(self.serial, request, data, wait_s=wait_s + _ANSWER_S, on_line=on_line)
            if not reply.lost:
                return reply, back
            self.claim()  # the worker was started again, or did not hear of us for long
        raise DeviceOffline(f"host {self.host.name} does not let us have {self.serial}")

    def _send(self, local: Path, request: m.Push, deadline_s: float) -> None:
        with local.open("rb") as file:
            while part := file.read(m.PART):
                offset = file.tell() - len(part)
                self._ask(
                    m.Part(
                        serial=self.serial, token=self._token, sha256=request.sha256, size=request.size, offset=offset
                    ),
                    part, wait_s=deadline_s,
                )  # fmt: skip
                self.sent += len(part)


@contextlib.contextmanager
def had(farm: Farm, serials: Sequence[str]) -> Iterator[list[FarmTransport]]:
    """The phones of these serials, `all`, or the only one; had until the end.

    Raises NoDevice, SeveralDevices, DeviceBusy and what `Farm.phones` does.
    """
    found = {one.serial: one for one in farm.phones()}
    if not found:
        raise NoDevice("no host of the farm has a phone that is ready", "Start `bench farm worker` on one that has.")
    if not serials and len(found) > 1:
        raise SeveralDevices(
            f"the farm has {len(found)} phones: {', '.join(sorted(found))}", "Name some with --device, or: --device all"
        )
    wanted = list(found) if ALL in serials or not serials else list(dict.fromkeys(serials))
    if absent := [serial for serial in wanted if serial not in found]:
        raise NoDevice(f"no host of the farm has {absent[0]}; there are: {', '.join(sorted(found))}")
    transports = [FarmTransport(farm, found[serial]) for serial in wanted]
    over = threading.Event()
    keeper = threading.Thread(target=_keep, args=(transports, over), daemon=True)
    try:
        for one in transports:
            one.claim()
        keeper.start()
        yield transports
    finally:
        over.set()
        for one in transports:
            one.leave()


def _keep(transports: Sequence[FarmTransport], over: threading.Event) -> None:
    while not over.wait(_RENEW_S):
        for one in transports:
            one.renew()
