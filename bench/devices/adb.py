"""Phones and emulators, through the real adb server. The only module that knows adbutils."""

from __future__ import annotations

import os
import secrets
import socket
import stat
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import adbutils
from adbutils.errors import AdbError
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_fixed

from bench.devices.transport import Completed, quoted
from bench.errors import (
    BenchError,
    DeadlineExceeded,
    DeviceOffline,
    DeviceRefused,
    DiskFull,
    NoDevice,
    SeveralDevices,
    ToolMissing,
    TransportBroken,
    Unauthorized,
    UsageError,
)

FOLDER = "/data/local/tmp/bench"
NO_REASON = "it gave no reason"
_DATA_MAX = 64 * 1024
"""Longest DATA chunk of the sync protocol (AOSP, SYNC.TXT)."""


@dataclass(frozen=True)
class Listed:
    """A line of `adb devices`."""

    serial: str
    state: str


class AdbServer:
    """An adb server: this host's own, started when needed, or a remote one that must run already."""

    def __init__(self, host: str = "127.0.0.1", port: int = 5037) -> None:
        self.host = host
        self.port = port
        self._client = adbutils.AdbClient(host=host, port=port)

    @classmethod
    def from_address(cls, address: str | None) -> AdbServer:
        """`host:port` from the command line, else ANDROID_ADB_SERVER_ADDRESS / ANDROID_ADB_SERVER_PORT, else adb's own
        default. Raises UsageError."""
        host = os.environ.get("ANDROID_ADB_SERVER_ADDRESS", "127.0.0.1")
        port = os.environ.get("ANDROID_ADB_SERVER_PORT", "5037")
        if address:
            given, _, port = address.rpartition(":")
            host = given or host
        if not port.isdigit() or not 0 < int(port) < 65536:
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
        env = {**os.environ, "ANDROID_ADB_SERVER_PORT": str(self.port)}
        try:
            done = subprocess.run(
                [adbutils.adb_path(), "-P", str(self.port), "start-server"],
                env=env, capture_output=True, text=True, timeout=30, check=False,
            )  # fmt: skip
        except (OSError, AdbError, subprocess.TimeoutExpired) as error:
            raise ToolMissing(f"adb cannot be started: {error}", "Install the Android platform tools.") from error
        if not self.is_running():
            raise ToolMissing(
                f"the adb server did not start on port {self.port}: {done.stderr.strip()}",
                "Choose another port with ANDROID_ADB_SERVER_PORT.",
            )

    def version(self) -> str:
        """The server's protocol version, e.g. `1.0.41`."""
        return f"1.0.{self._client.server_version()}"

    def devices(self) -> tuple[Listed, ...]:
        """Everything that is connected, in whatever state."""
        self.ensure()
        return tuple(Listed(d.serial, d.state) for d in self._client.list())

    def choose(self, serial: str | None) -> AdbTransport:
        """The device with that serial, or the only one that is connected.

        Raises NoDevice, SeveralDevices, Unauthorized, DeviceOffline.
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
            found = [d for d in listed if d.serial == serial]
            if not found:
                names = ", ".join(d.serial for d in listed) or "none"
                raise NoDevice(f"{serial} is not connected; connected: {names}", _CONNECT)
            chosen = found[0]
        if chosen.state != "device":
            raise _state_error(chosen.serial, chosen.state)
        return AdbTransport(self._client, chosen.serial)


_CONNECT = (
    "Plug a phone in with USB debugging on, or start a virtual one: bench phone start. `bench doctor` checks each step."
)


def _state_error(serial: str, state: str) -> BenchError:
    if state == "unauthorized":
        return Unauthorized(
            f"{serial} has not authorised this computer", "Unlock the phone and accept the USB debugging question."
        )
    return DeviceOffline(
        f"{serial} is {state}", "Unplug it and plug it in again, or run `adb reconnect offline`; then try again."
    )


def _translated(serial: str, error: Exception) -> BenchError:
    """adb's own words as one of our errors."""
    text = str(error)
    if "unauthorized" in text:
        return _state_error(serial, "unauthorized")
    if "offline" in text or "still authorizing" in text:
        return _state_error(serial, "offline")
    if "not found" in text or "no devices" in text:
        return DeviceOffline(f"{serial} went away: {text}", "Connect it again and run the same command.")
    return TransportBroken(f"the connection to {serial} broke: {text}", "Run the same command again.")


class AdbTransport:
    """One connected device. Speaks shell v2 and sync over the server's smart socket, because adbutils' own `shell` has
    no overall deadline, its `push` may send half a chunk, and both take a dropped connection for success."""

    folder = FOLDER

    def __init__(self, client: adbutils.AdbClient, serial: str) -> None:
        self._client = client
        self._serial = serial
        self._device = client.device(serial)
        try:
            self._v2 = "shell_v2" in self._device.get_features().split(",")
        except (AdbError, OSError) as error:
            raise _translated(serial, error) from error

    @property
    def serial(self) -> str:
        return self._serial

    def run(self, argv: Sequence[str], *, deadline_s: float, on_line: Callable[[str], None] | None = None) -> Completed:
        # An end marker of our own carries the status: before Android 7 adb has none, and a dropped
        # connection looks like an ordinary end. The process id comes first, to kill it at the deadline.
        mark = f"@{secrets.token_hex(8)}"
        inner = quoted(["sh", "-c", 'echo "$0 $$"; exec "$@"', mark, *argv])
        parser = _Marked(mark, on_line)
        end = time.monotonic() + deadline_s
        stderr: list[bytes] = []
        try:
            service = "shell,v2,raw" if self._v2 else "shell"
            with self._connection(f"{service}:{inner}; printf '\\n{mark} %d\\n' $?", end) as conn:
                for stream, data in _packets(conn, end) if self._v2 else _plain(conn, end):
                    if stream == 1:
                        parser.feed(data)
                    else:
                        stderr.append(data)
        except TimeoutError:
            self._kill(parser.pid)
            raise DeadlineExceeded(
                f"{argv[0]} did not end within {deadline_s:g} s on {self._serial} and was killed",
                "Raise protocol.deadline_seconds in the plan, or choose a smaller input.",
            ) from None
        except BaseException as error:
            if not isinstance(error, BenchError):
                self._kill(parser.pid)
            raise
        if parser.status is None:
            raise TransportBroken(
                f"the connection to {self._serial} dropped while {argv[0]} ran", "Run the same command again."
            )
        return Completed(parser.status, parser.text(), b"".join(stderr).decode(errors="replace"))

    def push(self, local: Path, remote: str, *, deadline_s: float) -> None:
        end = time.monotonic() + deadline_s
        reason = ""
        try:
            with self._connection("sync:", end) as conn, local.open("rb") as source:
                target = f"{remote},{stat.S_IFREG | 0o644}".encode()
                conn.sendall(b"SEND" + struct.pack("<I", len(target)) + target)
                while chunk := source.read(_DATA_MAX):
                    conn.settimeout(_left(end))
                    conn.sendall(b"DATA" + struct.pack("<I", len(chunk)) + chunk)
                conn.sendall(b"DONE" + struct.pack("<I", int(local.stat().st_mtime)))
                kind, length = struct.unpack("<4sI", _exactly(conn, 8, end))
                if kind != b"OKAY":
                    reason = _exactly(conn, min(length, _DATA_MAX), end).decode(errors="replace") or NO_REASON
        except TimeoutError:
            raise DeadlineExceeded(f"pushing {local.name} to {self._serial} took over {deadline_s:g} s") from None
        except (BrokenPipeError, ConnectionResetError, EOFError):
            reason = NO_REASON
        if reason:
            # Old daemons say nothing at all when the storage is full.
            full = reason == NO_REASON or "space" in reason
            raise (DiskFull if full else DeviceRefused)(
                f"{self._serial} refused {local.name} at {remote}: {reason}",
                "Free some space there: `bench clean`."
                if full
                else "`bench doctor` tells whether the folder is writable.",
            )

    def pull(self, remote: str, local: Path, *, deadline_s: float) -> None:
        end = time.monotonic() + deadline_s
        path = remote.encode()
        try:
            with self._connection("sync:", end) as conn, local.open("wb") as target:
                conn.sendall(b"RECV" + struct.pack("<I", len(path)) + path)
                while True:
                    kind, length = struct.unpack("<4sI", _exactly(conn, 8, end))
                    if kind == b"DONE":
                        return
                    if length > _DATA_MAX:
                        raise TransportBroken(f"{self._serial} sent a malformed sync message")
                    data = _exactly(conn, length, end)
                    if kind != b"DATA":
                        raise TransportBroken(
                            f"cannot read {remote} on {self._serial}: {data.decode(errors='replace')}"
                        )
                    target.write(data)
        except TimeoutError:
            raise DeadlineExceeded(f"pulling {remote} from {self._serial} took over {deadline_s:g} s") from None
        except EOFError:
            raise TransportBroken(f"the connection to {self._serial} dropped while {remote} was pulled") from None

    def _kill(self, pid: int | None) -> None:
        """End a command whose client has gone: adbd hangs up only the shell, what it started lives on."""
        if pid is None:
            return
        try:
            with self._connection(f"shell:kill -9 {pid}", time.monotonic() + 10) as conn:
                conn.settimeout(10)
                while conn.recv(4096):
                    pass
        except (BenchError, OSError):
            pass  # The device is gone, and the process with it or out of reach.

    @contextmanager
    def _connection(self, service: str, end: float) -> Iterator[socket.socket]:
        try:
            conn = self._open(service)
        except (AdbError, OSError) as error:
            raise _translated(self._serial, error) from error
        with conn:
            conn.settimeout(_left(end))
            yield conn

    @retry(
        retry=retry_if_exception_type(ConnectionError), stop=stop_after_attempt(3), wait=wait_fixed(0.3), reraise=True
    )
    def _open(self, service: str) -> socket.socket:
        # adbutils' open_transport asks the server's version each time and its close sleeps: 30 ms a command.
        link = self._client.make_connection(timeout=30)
        conn: socket.socket = link.conn
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else a small file waits 40 ms for an ACK
        try:
            for request in (f"host:transport:{self._serial}", service):
                link.send_command(request)
                link.check_okay()
        except BaseException:
            conn.close()
            raise
        return conn


class _Marked:
    """Splits stdout into lines and takes out the two marker lines: process id first, status last."""

    def __init__(self, mark: str, on_line: Callable[[str], None] | None) -> None:
        self._mark = mark.encode()
        self._on_line = on_line
        self._rest = b""
        self._lines: list[bytes] = []
        self.pid: int | None = None
        self.status: int | None = None

    def feed(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line.startswith(self._mark):
                number = int(line.split()[-1])
                if self.pid is None:
                    self.pid = number
                else:
                    self.status = number
            else:
                self._lines.append(line)
                if self._on_line:
                    self._on_line(line.rstrip(b"\r").decode(errors="replace"))

    def text(self) -> str:
        # The marker begins with a newline of its own, which is not part of the output.
        return b"\n".join(self._lines).decode(errors="replace")


def _left(end: float) -> float:
    """Seconds to the deadline; raises TimeoutError when it has passed."""
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _exactly(conn: socket.socket, count: int, end: float) -> bytes:
    """`count` bytes; EOFError when the peer closes before."""
    parts = []
    while count:
        conn.settimeout(_left(end))
        part = conn.recv(min(count, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _packets(conn: socket.socket, end: float) -> Iterator[tuple[int, bytes]]:
    """Shell v2 packets: (1, stdout) and (2, stderr) until the exit packet or the end of the connection."""
    try:
        while True:
            kind, length = struct.unpack("<BI", _exactly(conn, 5, end))
            data = _exactly(conn, length, end)
            if kind == 3:
                return
            yield kind, data
    except (EOFError, ConnectionError):
        return


def _plain(conn: socket.socket, end: float) -> Iterator[tuple[int, bytes]]:
    """The old shell service: one stream, both outputs mixed."""
    while True:
        conn.settimeout(_left(end))
        try:
            data = conn.recv(1 << 16)
        except ConnectionError:
            return
        if not data:
            return
        yield 1, data.replace(b"\r\n", b"\n")
