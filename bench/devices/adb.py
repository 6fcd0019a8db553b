"""Phones and emulators, through the real adb server."""

from __future__ import annotations

import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_fixed

from bench.devices import adb_program, adb_states, adb_streams, adb_sync
from bench.devices.transport import OUTPUT_MAX, PULL_MAX, Completed, free_bytes, quoted
from bench.devices.words import clean
from bench.errors import (
    BenchError,
    CorruptData,
    DeadlineExceeded,
    DeviceRefused,
    DiskFull,
    NoDevice,
    RunnerFailed,
    SeveralDevices,
    ToolMissing,
    TransportBroken,
    UsageError,
)

FOLDER = "/data/local/tmp/bench"
PATIENCE_S = 30.0
"""Seconds within which an adb server has to answer a question or to open a connection to a device."""


@dataclass(frozen=True)
class Listed:
    """A line of `adb devices`, fit to be shown; `address` is the serial as the adb server knows it."""

    serial: str
    state: str
    address: str


class AdbServer:
    """An adb server: this host's own, started when needed, or a remote one that must run already. It has `patience_s`
    seconds for each answer."""

    def __init__(self, host: str = "127.0.0.1", port: int = 5037, *, patience_s: float = PATIENCE_S) -> None:
        self.host = host
        self.port = port
        self.patience_s = patience_s
        self._starting = threading.Lock()

    @classmethod
    def from_address(cls, address: str | None) -> AdbServer:
        """`host:port` from the command line, else ANDROID_ADB_SERVER_ADDRESS / ANDROID_ADB_SERVER_PORT, else adb's own
        default. Raises UsageError."""
        host = os.environ.get("ANDROID_ADB_SERVER_ADDRESS", "127.0.0.1")
        port = os.environ.get("ANDROID_ADB_SERVER_PORT", "5037")
        if address:
            given, _, port = address.rpartition(":")
            host = given.strip("[]") or host
        if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
            raise UsageError(f"{address or port!r} is not an adb server's address", "Write host:port or :port.")
        return cls(host, int(port))

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port

    @property
    def is_local(self) -> bool:
        return self.host in ("127.0.0.1", "localhost", "::1")

    def is_running(self) -> bool:
        try:
            with socket.create_connection(self.address, timeout=2):
                return True
        except OSError:
            return False

    def ensure(self) -> None:
        """Start this host's server if it does not run. Raises ToolMissing."""
        if self.is_running():
            return
        if not self.is_local:
            raise ToolMissing(
                f"no adb server answers at {self.host}:{self.port}",
                f"On that machine run `adb -a -P {self.port} start-server`, or leave out --adb-server.",
            )
        with self._starting:  # of several phones' threads that find it gone, one starts it
            said = "" if self.is_running() else adb_program.start_server(self.port)
        if not self.is_running():
            raise ToolMissing(
                f"the adb server did not start on port {self.port}: {said}",
                "Choose another port with ANDROID_ADB_SERVER_PORT.",
            )

    def introduce(self, address: str) -> None:
        """Ask the server to connect again to a device that is offline, or that is reached by TCP (`host:port`, an
        emulator), which a new server does not know. Raises what `devices` does."""
        self.ensure()
        states = {one.address: one.state for one in self.devices()}
        if states.get(address) == "device":
            return
        if states.get(address) == "offline":
            # Of this one alone: a connection that has only begun counts as offline too, and others may have begun one.
            with suppress(BenchError):
                self.ask(f"host-serial:{address}:reconnect")
        if emulator := re.fullmatch(r"emulator-(\d{4,5})", address):
            question = f"host:emulator:{int(emulator[1]) + 1}"
            with self._understood(), socket.create_connection(self.address, timeout=self.patience_s) as conn:
                conn.sendall(b"%04x" % len(question) + question.encode())  # the one request that is never answered
        elif re.fullmatch(r"[\w.-]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5}", address):
            self.ask(f"host:connect:{address}")

    def version(self) -> str:
        """The server's protocol version, e.g. `1.0.41`. Raises TransportBroken, DeadlineExceeded."""
        answer = self.ask("host:version")
        try:
            return f"1.0.{int(answer, 16)}"
        except ValueError:
            raise self._strange(f"answered {clean(answer, 40)!r}") from None

    def mismatch(self) -> str:
        """What it means that the server is of another version than bench's own adb; empty when it is of the same.

        Raises what `version` does.
        """
        theirs, own = self.version(), adb_program.version()
        if not own or own == theirs:
            return ""
        return (
            f"the adb server is {theirs} and bench's adb is {own}: the next call of an adb of another version "
            "restarts the server, and every phone loses its connection for a moment"
        )

    def devices(self) -> tuple[Listed, ...]:
        """Everything that is connected, in whatever state. Raises ToolMissing, TransportBroken, DeadlineExceeded."""
        self.ensure()
        # Serials of wireless phones have blanks in them, and so have states.
        rows = (line.partition("\t") for line in self.ask("host:devices").splitlines())
        return tuple(Listed(clean(address, 80), clean(state), address) for address, tab, state in rows if tab)

    def models(self) -> dict[str, str]:
        """What the server itself says that each connected device is, by address, fit to be shown; asks no device."""
        found = {}
        for line in self.ask("host:devices-l").splitlines():
            if model := re.search(r" model:(\S+)", line):
                found[line.split(maxsplit=1)[0]] = clean(model[1].replace("_", " "), 80)
        return found

    def features(self, address: str) -> frozenset[str]:
        """What the daemon of a device offers, e.g. "shell_v2". Raises adb_streams.Refused and what `devices` does."""
        with self.connect(f"host-serial:{address}:features") as conn:
            return frozenset(self._answer(conn).split(","))

    @contextmanager
    def connect(self, *requests: str) -> Iterator[socket.socket]:
        """A connection on which the server accepted these requests one after the other.

        Raises adb_streams.Refused with its words, TransportBroken when it closes or talks nonsense, DeadlineExceeded
        when it is silent, ToolMissing when there is none and none can be started.
        """
        with self._understood():
            conn = self._open(requests)
        with conn:
            yield conn

    @retry(
        retry=retry_if_exception_type(ConnectionError), stop=stop_after_attempt(3), wait=wait_fixed(0.3), reraise=True
    )
    def _open(self, requests: Sequence[str]) -> socket.socket:
        end = time.monotonic() + self.patience_s
        try:
            conn = socket.create_connection(self.address, timeout=self.patience_s)
        except ConnectionRefusedError:
            self.ensure()  # somebody ended it
            raise
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else a small file waits 40 ms for an ACK
        try:
            for request in requests:
                adb_streams.request(conn, request, end)
        except BaseException:
            conn.close()
            raise
        return conn

    def ask(self, question: str) -> str:
        """What the server answers. Raises TransportBroken, DeadlineExceeded, ToolMissing."""
        try:
            with self.connect(question) as conn:
                return self._answer(conn)
        except adb_streams.Refused as error:
            raise self._strange(f"refused {question}: {clean(str(error))}") from None

    def _answer(self, conn: socket.socket) -> str:
        with self._understood():
            return adb_streams.block(conn, time.monotonic() + self.patience_s)

    @contextmanager
    def _understood(self) -> Iterator[None]:
        """A server that is silent, hangs up or talks nonsense, as our errors."""
        try:
            yield
        except TimeoutError:
            raise DeadlineExceeded(
                f"the adb server at {self.host}:{self.port} is silent for {self.patience_s:g} s", self._restart
            ) from None
        except adb_streams.Garbled as error:
            raise self._strange(str(error)) from None
        except (EOFError, ConnectionError):
            raise self._strange("closed the connection") from None
        except OSError as error:
            raise self._strange(f"cannot be reached: {error.strerror}") from None

    def _strange(self, what: str) -> TransportBroken:
        return TransportBroken(f"the adb server at {self.host}:{self.port} {what}", self._restart)

    @property
    def _restart(self) -> str:
        where = "" if self.is_local else f" on {self.host}"
        return f"Run `adb -P {self.port} kill-server`{where}, then the same command again; see that it is adb's port."

    def choose(self, serial: str | None) -> AdbTransport:
        """The device with that serial, or the only one that is connected.

        Raises NoDevice, SeveralDevices, Unauthorized, DeviceOffline, and what `devices` does.
        """
        listed = self.devices()
        serial = serial or os.environ.get("ANDROID_SERIAL") or None
        if serial is None:
            if not listed:
                raise NoDevice("no device is connected", _CONNECT)
            ready = [d for d in listed if d.state == "device"] or list(listed)
            if len(ready) > 1:
                raise SeveralDevices(
                    f"{len(ready)} devices are connected: {', '.join(d.serial for d in ready)}",
                    "Name one with --device SERIAL or ANDROID_SERIAL.",
                )
            chosen = ready[0]
        else:
            found = [d for d in listed if serial in (d.serial, d.address)]
            if not found:
                names = ", ".join(d.serial for d in listed) or "none"
                raise NoDevice(f"{clean(serial)} is not connected; connected: {names}", _CONNECT)
            chosen = found[0]
        if chosen.state != "device":
            raise adb_states.state_error(chosen.serial, chosen.state)
        return AdbTransport(self, chosen)


_CONNECT = (
    "Plug a phone in with USB debugging on, or start a virtual one: bench phone start. `bench doctor` checks each step."
)


class AdbTransport:
    """One connected device, over shell v2 and sync. Raises as `Transport` says, and DeviceOffline or Unauthorized when
    the device is no longer to be used."""

    folder = FOLDER

    def __init__(self, server: AdbServer, listed: Listed) -> None:
        self._server = server
        self._serial = listed.serial
        self._address = listed.address
        try:
            self._v2 = "shell_v2" in server.features(listed.address)
        except adb_streams.Refused as error:
            # A server from before Android 7 does not know the question, nor do its phones have the answer.
            if "unknown host service" not in str(error):
                raise adb_states.refusal(listed.serial, str(error)) from None
            self._v2 = False

    @property
    def serial(self) -> str:
        return self._serial

    def run(self, argv: Sequence[str], *, deadline_s: float, on_line: Callable[[str], None] | None = None) -> Completed:
        # An end marker of our own carries the status: before Android 7 adb has none, and a dropped
        # connection looks like an ordinary end. The process id comes first, to kill it at the deadline.
        mark = f"@{secrets.token_hex(8)}"
        inner = quoted(["sh", "-c", 'echo "$0 $$ $PPID"; exec "$@"', mark, *argv])
        marked = adb_streams.Marked(mark, on_line, terminal=not self._v2)
        end = time.monotonic() + deadline_s
        try:
            service = "shell,v2,raw" if self._v2 else "shell"
            with self._connection(f"{service}:{inner}; printf '\\n{mark} %d\\n' $?") as conn:
                stderr = self._collect(conn, marked, end)
        except TimeoutError:
            self._kill(marked)
            raise DeadlineExceeded(
                f"{argv[0]} did not end within {deadline_s:g} s on {self._serial} and was killed",
                "Raise protocol.deadline_seconds in the plan, or choose a smaller input.",
            ) from None
        except adb_streams.Garbled as error:
            self._kill(marked)
            raise TransportBroken(f"the adb daemon of {self._serial} {error}", "Restart the phone.") from None
        except BaseException:
            self._kill(marked)
            raise
        if marked.status is None:
            raise TransportBroken(
                f"the connection to {self._serial} dropped while {argv[0]} ran", "Run the same command again."
            )
        return Completed(marked.status, marked.text(), stderr.decode(errors="replace"))

    def _collect(self, conn: socket.socket, marked: adb_streams.Marked, end: float) -> bytes:
        """Hand on stdout as it comes; returns stderr."""
        stderr: list[bytes] = []
        room = OUTPUT_MAX
        for stream, data in adb_streams.packets(conn, end) if self._v2 else adb_streams.plain(conn, end):
            room -= len(data)
            if room < 0:
                raise RunnerFailed(
                    f"a command on {self._serial} printed more than {OUTPUT_MAX >> 20} MiB and was stopped"
                )
            if stream == 1:
                marked.feed(data)
            else:
                stderr.append(data)
        return b"".join(stderr)

    def push(self, local: Path, remote: str, *, deadline_s: float) -> None:
        try:
            with self._connection("sync:") as conn:
                adb_sync.send(conn, local, remote, time.monotonic() + deadline_s, self._stall_s)
            return
        except adb_sync.Failed as error:
            reason = str(error)
        except TimeoutError:
            raise self._too_slow(f"pushing {local.name} to", deadline_s) from None
        except (ConnectionError, EOFError):
            if not self._is_full(local):
                raise TransportBroken(
                    f"the connection to {self._serial} dropped while {local.name} was pushed",
                    "Run the same command again.",
                ) from None
            reason = "No space left on device"
        # Old daemons refuse without a word when the storage is full: ask it.
        if "No space left" in reason or "quota exceeded" in reason or (not reason and self._is_full(local)):
            raise DiskFull(
                f"{self._serial} has no room for {local.name} at {remote}", "Free some space there: `bench clean`."
            )
        raise DeviceRefused(
            f"{self._serial} refused {local.name} at {remote}: {reason or 'it gave no reason'}",
            "`bench doctor` checks whether the folder is writable.",
        )

    def _is_full(self, local: Path) -> bool:
        """Whether the device says that it has less room than a file needs; a device that is gone says nothing."""
        try:
            free = free_bytes(self)
        except BenchError:
            return False
        return free is not None and free < local.stat().st_size

    def pull(self, remote: str, local: Path, *, deadline_s: float, most: int = PULL_MAX) -> None:
        try:
            with self._connection("sync:") as conn, local.open("wb") as target:
                adb_sync.receive(conn, remote, target, most, time.monotonic() + deadline_s, self._stall_s)
        except adb_sync.Failed as error:
            raise TransportBroken(f"cannot read {remote} on {self._serial}: {error}") from None
        except adb_sync.TooLong:
            raise CorruptData(f"{remote} on {self._serial} has more than the {most:,} bytes that are due") from None
        except adb_streams.Garbled as error:
            raise TransportBroken(f"{self._serial} {error}") from None
        except TimeoutError:
            raise self._too_slow(f"pulling {remote} from", deadline_s) from None
        except (ConnectionError, EOFError):
            raise TransportBroken(f"the connection to {self._serial} dropped while {remote} was pulled") from None

    @property
    def _stall_s(self) -> float:
        return 3 * self._server.patience_s

    def _too_slow(self, doing: str, deadline_s: float) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"{doing} {self._serial} took over {deadline_s:g} s, or nothing moved for {self._stall_s:g} s",
            "Look at the cable or the wireless network, then run the same command again.",
        )

    def revive(self) -> None:
        with suppress(BenchError, OSError):
            self._server.introduce(self._address)

    def _kill(self, marked: adb_streams.Marked) -> None:
        """End a command whose client has gone, and what it started: adbd hangs up only the shell, the rest lives on."""
        if marked.pid is None:
            return
        group = f"; kill -9 -{marked.group}" if marked.group else ""
        try:
            with self._connection(f"shell:kill -9 {marked.pid}{group}") as conn:
                conn.settimeout(10)
                while conn.recv(4096):
                    pass
        except (BenchError, OSError):
            pass  # The device is gone, and the process with it or out of reach.

    @contextmanager
    def _connection(self, service: str) -> Iterator[socket.socket]:
        try:
            with self._server.connect(f"host:transport:{self._address}", service) as conn:
                yield conn
        except adb_streams.Refused as error:
            raise adb_states.refusal(self._serial, str(error)) from None
