"""A coordinator's side: which hosts and phones there are, and requests to them."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import distributed
from distributed import Client
from distributed.security import Security

import bench
from bench.devices.words import clean
from bench.errors import BenchError, DeadlineExceeded, DeviceOffline, SeveralDevices, UsageError
from bench.farm import messages as m
from bench.farm.address import Address
from bench.farm.agent import serve
from bench.farm.nodes import PREFIX, SHARE, quiet

CONNECT_S = 10.0
_FRESH_S = 1.0
_HELLO_S = 30.0


class At(NamedTuple):
    """A phone, and its host."""

    serial: str
    host: m.Host


class Farm:
    """A connection to a scheduler, made again when it is lost. Raises UsageError where there is no scheduler that lets
    us in."""

    def __init__(self, address: Address, security: Security) -> None:
        quiet()
        self._address, self._security = address, security
        self._lock = threading.Lock()
        self._workers: dict[str, str] = {}
        self._pairs: set[tuple[str, str]] = set()
        self._looked = float("-inf")
        self._client: Client | None = None
        try:
            self._connected()
        except DeviceOffline as error:
            raise UsageError(
                error.what, "Is `bench farm scheduler` running there, and is the certificate of the same authority?"
            ) from None

    def close(self) -> None:
        with contextlib.suppress(Exception):
            if self._client:
                self._client.close(timeout=2)

    def phones(self) -> list[At]:
        """All that are ready, with their hosts. Raises SeveralDevices for a serial that two hosts have, UsageError for
        a host with another version of bench, DeviceOffline when the scheduler is gone."""
        found: list[At] = []
        where = self._where(fresh=True)
        self._refuse_twice()
        for worker, serial in {worker: serial for serial, worker in where.items()}.items():
            reply, _ = self.ask(serial, m.Hello(), wait_s=_HELLO_S)
            if reply.host is None:
                raise DeviceOffline(f"the worker at {worker} does not say who it is")
            host = reply.host.model_copy(update={"name": clean(reply.host.name, 80)})
            if host.bench_version != bench.__version__:
                raise UsageError(
                    f"host {host.name} has bench {clean(host.bench_version, 40)}, this is {bench.__version__}",
                    "Install the same version on all hosts of a farm.",
                )
            found += [At(one.serial, host) for one in host.phones if one.state == "device"]
        return found

    def ask(self, serial: str, request: m.Request, data: bytes = b"", *, wait_s: float,
            on_line: Callable[[str], None] | None = None) -> tuple[m.Reply, bytes]:  # fmt: skip
        """Send a request to the host with that phone; its reply, and the bytes beside it. It may take `wait_s` seconds.

        Raises the error that the reply tells of, DeviceOffline where no host has the phone or its host was lost, and
        DeadlineExceeded.
        """
        client = self._connected()
        if serial not in self._where():
            raise self._gone(serial)
        lines = _Lines(client, request, on_line)
        try:
            future = client.submit(
                serve, lines.request.model_dump_json(), data, key=f"bench-{secrets.token_hex(8)}", pure=False,
                resources={f"{PREFIX}{serial}": SHARE}, retries=0,
            )  # fmt: skip
            text, back = self._result(future, serial, wait_s)
            reply = m.Reply.model_validate_json(text)
        except BenchError:
            raise
        except (Exception, asyncio.CancelledError) as error:  # Dask's: a worker that is lost has many names
            raise self._gone(serial, f": {type(error).__name__}") from None
        finally:
            lines.close()
        if reply.wrong:
            raise reply.wrong.raised()
        lines.rest(reply.stdout)
        return reply, back

    def _result(self, future: Any, serial: str, wait_s: float) -> tuple[str, bytes]:
        end = time.monotonic() + wait_s
        while True:
            try:
                found: tuple[str, bytes] = future.result(timeout=1)
                return found
            except (TimeoutError, distributed.TimeoutError):
                if serial not in self._where():
                    future.cancel()
                    raise self._gone(serial) from None
                if time.monotonic() > end:
                    future.cancel()
                    raise DeadlineExceeded(f"the host of {clean(serial)} did not answer within {wait_s:g} s") from None

    def _where(self, *, fresh: bool = False) -> dict[str, str]:
        """The address of the worker of each phone. Raises DeviceOffline when the scheduler is gone."""
        client = self._connected()
        with self._lock:
            if fresh or time.monotonic() - self._looked > _FRESH_S:
                try:
                    scheduler: Any = client.scheduler
                    workers = client.sync(scheduler.identity, n_workers=-1, callback_timeout=CONNECT_S)["workers"]
                except Exception as error:
                    raise self._no_scheduler(error) from None
                self._pairs = {
                    (str(name).removeprefix(PREFIX), worker)
                    for worker, facts in workers.items()
                    for name in facts["resources"]
                    if str(name).startswith(PREFIX)
                }
                self._workers, self._looked = dict(self._pairs), time.monotonic()
            return self._workers

    def _refuse_twice(self) -> None:
        serials = Counter(serial for serial, _ in self._pairs)
        for serial in sorted(serial for serial, count in serials.items() if count > 1):
            hosts = " and ".join(sorted(worker.rpartition("/")[2] for one, worker in self._pairs if one == serial))
            raise SeveralDevices(
                f"{clean(serial)} is at {hosts}, and results could not tell them apart",
                "Name the phones of one of these workers by its --device; start virtual phones on ports of their own.",
            )

    def _connected(self) -> Client:
        with self._lock:
            if self._client is None or self._client.status != "running":
                if self._client:
                    with contextlib.suppress(Exception):
                        self._client.close(timeout=1)
                self._client = None
                try:
                    self._client = Client(
                        str(self._address), security=self._security, set_as_default=False, timeout=CONNECT_S,
                        direct_to_workers=False,
                    )  # fmt: skip
                except Exception as error:
                    raise self._no_scheduler(error) from None
            return self._client

    def _no_scheduler(self, error: Exception) -> DeviceOffline:
        why = clean(str(error.__cause__ or error) or type(error).__name__)
        return DeviceOffline(f"the scheduler at {self._address} cannot be reached: {why}")

    def _gone(self, serial: str, more: str = "") -> DeviceOffline:
        return DeviceOffline(
            f"the host of {clean(serial)} is lost{more}", "Start `bench farm worker` there; its trials come back."
        )


class _Lines:
    """The lines of a command as they come, in the thread of Dask's loop, so that a line's time is when it came."""

    def __init__(self, client: Client, request: m.Request, on_line: Callable[[str], None] | None) -> None:
        self._client, self._on_line = client, on_line
        self._told, self._topic = 0, ""
        self._lock = threading.Lock()
        self.request = request
        if on_line and isinstance(request, m.Run):
            self._topic = f"bench-{secrets.token_hex(8)}"
            self.request = request.model_copy(update={"told": self._topic})
            client.subscribe_topic(self._topic, self._came)

    def rest(self, stdout: str) -> None:
        """What has not come yet: an answer may overtake the last lines."""
        if self._topic and self._on_line:
            with self._lock:
                self._topic, late = "", stdout.split("\n")[self._told :]
            for line in late:
                self._on_line(line.rstrip("\r"))

    def close(self) -> None:
        if isinstance(self.request, m.Run) and self.request.told:
            with contextlib.suppress(Exception):
                self._client.unsubscribe_topic(self.request.told)

    def _came(self, event: tuple[float, Any]) -> None:
        with self._lock:
            if self._topic and self._on_line:
                self._told += 1
                self._on_line(str(event[1][1]))
