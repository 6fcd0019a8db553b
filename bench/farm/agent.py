"""What a worker does for a coordinator: commands and files of its host's phones. `serve` is the one function that Dask
is asked to run; what it takes and gives is JSON and bytes."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydantic

import bench
from bench.cache import Cache
from bench.devices.adb import AdbServer
from bench.devices.transport import Transport
from bench.devices.words import clean
from bench.errors import BenchError, TransportBroken
from bench.farm import messages as m
from bench.farm.leases import Lease, Leases, Lost, Revoked
from bench.farm.store import Store
from bench.files import digest

LOCKS = "locks"
Tell = Callable[[str, Any], None]
"""Sends a plain message to those who listen at that place."""


class Agent:
    """The phones of these serials at an adb server, or all of it, worked for coordinators. `say` is told in sentences
    what happens."""

    def __init__(
        self, server: AdbServer, serials: tuple[str, ...], cache: Cache, say: Callable[[str], None], name: str = ""
    ) -> None:
        self._server, self._serials, self._say = server, serials, say
        self.name = name or socket.gethostname()
        self.store = Store(cache.root / "farm")
        self.leases = Leases(cache.root / LOCKS)
        self._transports: dict[str, Transport] = {}
        self._pulled: dict[str, tuple[str, Path]] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="bench-farm-")
        self._lock = threading.Lock()

    def phones(self) -> tuple[m.Phone, ...]:
        """Those that this worker is to work. Raises what listing them does."""
        listed = {one.address: m.Phone(serial=one.serial, state=one.state) for one in self._server.devices()}
        wanted = self._serials or tuple(listed)
        return tuple(listed.get(serial) or m.Phone(serial=serial, state="not connected") for serial in wanted)

    def answer(self, text: str, data: bytes, tell: Tell) -> tuple[str, bytes]:
        """The reply to a request, as JSON, and bytes beside it. Raises nothing of its own."""
        back = b""
        try:
            reply, back = self._done(m.REQUESTS.validate_json(text), data, tell)
        except Lost:
            reply = m.Reply(lost=True)
        except Revoked:
            reply = m.Reply(wrong=m.Wrong(kind="TransportBroken", what="the coordinator was not heard of any more"))
        except (BenchError, OSError, pydantic.ValidationError) as error:
            reply = m.Reply(wrong=m.Wrong.of(error, self.name))
        return reply.model_dump_json(), back

    def close(self) -> None:
        self.leases.sweep(everything=True)
        self._folder.cleanup()

    def _done(self, request: m.Request, data: bytes, tell: Tell) -> tuple[m.Reply, bytes]:
        match request:
            case m.Hello():
                boot = Path("/proc/sys/kernel/random/boot_id")
                return m.Reply(
                    host=m.Host(
                        name=self.name, boot=boot.read_text().strip() if boot.exists() else self.name,
                        bench_version=bench.__version__, phones=self.phones(),
                    )
                ), b""  # fmt: skip
            case m.Claim(serial=serial, token=token):
                self.leases.claim(serial, token)
                return m.Reply(), b""
            case m.Release(serial=serial, token=token):
                self.leases.release(serial, token)
                return m.Reply(), b""
            case _:
                with self.leases.using(request.serial, request.token) as lease:
                    return self._leased(request, data, tell, lease)

    def _leased(self, request: m.Request, data: bytes, tell: Tell, lease: Lease) -> tuple[m.Reply, bytes]:
        match request:
            case m.Run():
                return self._run(request, tell, lease), b""
            case m.Push():
                return self._push(request, data), b""
            case m.Part(sha256=sha256, size=size, offset=offset, token=token):
                self.store.add(sha256, size, offset, data, token)
                if offset + len(data) == size:
                    self._say(f"took {size:,} bytes, {sha256[:12]}…")
                return m.Reply(), b""
            case m.Pull():
                return self._pull(request)
            case m.More(handle=handle, offset=offset, done=done, token=token):
                return m.Reply(), self._more(handle, token, offset, done=done)
            case m.Revive(serial=serial):
                self._server.introduce(serial)
                with self._lock:
                    self._transports.pop(serial, None)
        return m.Reply(), b""

    def _run(self, request: m.Run, tell: Tell, lease: Lease) -> m.Reply:
        def line(text: str) -> None:
            lease.check()
            if request.told:
                tell(request.told, [request.number, text])

        done = self._transport(request.serial).run(list(request.argv), deadline_s=request.deadline_s, on_line=line)
        return m.Reply(status=done.status, stdout=done.stdout, stderr=done.stderr)

    def _push(self, request: m.Push, data: bytes) -> m.Reply:
        transport = self._transport(request.serial)
        if not request.beside:
            local = self.store.find(request.sha256, request.size)
            if local is None:
                return m.Reply(lacking=True)
            transport.push(local, request.remote, deadline_s=request.deadline_s)
            return m.Reply()
        with tempfile.NamedTemporaryFile(dir=self._folder.name) as file:
            file.write(data)
            file.flush()
            if digest(Path(file.name)) != request.sha256:
                raise TransportBroken(f"{clean(request.name)} arrived damaged at host {self.name}")
            transport.push(Path(file.name), request.remote, deadline_s=request.deadline_s)
        return m.Reply()

    def _pull(self, request: m.Pull) -> tuple[m.Reply, bytes]:
        handle = tempfile.mktemp(prefix="pulled-", dir="")  # noqa: S306 - a name in a folder of our own
        path = Path(self._folder.name, Path(handle).name)
        try:
            self._transport(request.serial).pull(
                request.remote, path, deadline_s=request.deadline_s, most=request.most
            )  # fmt: skip
            size = path.stat().st_size
            first = _part(path, 0)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        if size > len(first):
            self._pulled[path.name] = (request.token, path)
        else:
            path.unlink()
        return m.Reply(size=size, handle=path.name), first

    def _more(self, handle: str, token: str, offset: int, *, done: bool) -> bytes:
        owner, path = self._pulled.get(handle, ("", Path()))
        if owner != token:
            raise TransportBroken("a pulled file is not there any more", "Run the same command again.")
        if done:
            del self._pulled[handle]
            path.unlink(missing_ok=True)
            return b""
        return _part(path, offset)

    def _transport(self, serial: str) -> Transport:
        with self._lock:
            if serial not in self._transports:
                self._transports[serial] = self._server.choose(serial)
            return self._transports[serial]


def _part(path: Path, offset: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(m.PART)


_here: list[Agent] = []
"""The agent of this process, if it is a worker."""


def install(agent: Agent) -> None:
    _here[:] = [agent]


def serve(text: str, data: bytes) -> tuple[str, bytes]:
    """Answer a request in the process of a worker."""
    from distributed import get_worker

    return _here[0].answer(text, data, get_worker().log_event)
