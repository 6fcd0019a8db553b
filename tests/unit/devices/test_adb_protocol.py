"""What an adb server and the daemon behind it may say, each answer written out; a real server says the rest of it in
tests/e2e/test_adb.py."""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest

from bench.devices.adb import AdbServer, AdbTransport
from bench.errors import (
    BenchError,
    DeadlineExceeded,
    DeviceOffline,
    DeviceRefused,
    DiskFull,
    RunnerFailed,
    TransportBroken,
    Unauthorized,
)

Daemon = Callable[[socket.socket, str], None]
"""Serves one connection to a device, opened for the service of that name."""


def block(text: str) -> bytes:
    data = text.encode()
    return b"%04x" % len(data) + data


def received(conn: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count and (more := conn.recv(count - len(data))):
        data += more
    return data


def talk(conn: socket.socket, listing: str, features: str, daemon: Daemon) -> None:
    """Be an adb server for one connection."""
    while length := received(conn, 4):
        question = received(conn, int(length, 16)).decode()
        conn.sendall(b"OKAY")
        if question == "host:devices":
            conn.sendall(block(listing))
        elif question == "host:version":
            conn.sendall(block("0029"))
        elif question.endswith(":features"):
            conn.sendall(block(features))
        elif not question.startswith("host:transport:"):
            daemon(conn, question)
            return


@contextmanager
def listening(serve: Callable[[socket.socket], None], patience_s: float = 20) -> Iterator[AdbServer]:
    with ExitStack() as stack:
        listener = stack.enter_context(closing(socket.create_server(("127.0.0.1", 0))))

        def one(conn: socket.socket) -> None:
            with conn, suppress(OSError, ValueError):
                serve(conn)

        def accept() -> None:
            while True:
                try:
                    conn, _ = listener.accept()
                except OSError:
                    return
                stack.callback(conn.close)
                threading.Thread(target=one, args=(conn,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield AdbServer("127.0.0.1", listener.getsockname()[1], patience_s=patience_s)


def nothing(conn: socket.socket, service: str) -> None:
    """A daemon that hangs up."""


@contextmanager
def server(
    listing: str = "abc\tdevice\n", features: str = "shell_v2,cmd", daemon: Daemon = nothing
) -> Iterator[AdbServer]:
    with listening(lambda conn: talk(conn, listing, features, daemon)) as found:
        yield found


@contextmanager
def transport(daemon: Daemon, features: str = "shell_v2,cmd") -> Iterator[AdbTransport]:
    with server(features=features, daemon=daemon) as found:
        yield found.choose(None)


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", TransportBroken),
        (b"OKAYzzzz", TransportBroken),
        (b"OKAY", TransportBroken),
        (b"", TransportBroken),
        (b"FAIL" + block("\x1b[31mno"), TransportBroken),
        (b"FAIL12", TransportBroken),
    ],
)
def test_a_server_that_talks_nonsense_or_closes_is_said_so(said: bytes, error: type[BenchError]) -> None:
    def serve(conn: socket.socket) -> None:
        received(conn, 4)
        conn.recv(100)
        conn.sendall(said)

    with listening(serve) as found, pytest.raises(error, match="the adb server at 127") as caught:
        found.devices()
    assert caught.value.what.isprintable()
    assert "kill-server" in caught.value.fix


@pytest.mark.parametrize("said", [b"", b"OKAY", b"OKAY0010abc"])
def test_a_silent_server_is_not_waited_for_without_end(said: bytes) -> None:
    def serve(conn: socket.socket) -> None:
        conn.sendall(said)
        conn.recv(100)
        threading.Event().wait(5)

    with listening(serve, patience_s=0.3) as found, pytest.raises(DeadlineExceeded, match="silent"):
        found.devices()


def test_a_version_that_is_no_number_is_said_so() -> None:
    with listening(lambda conn: conn.sendall(b"OKAY" + block("x\x1b[2J"))) as found, pytest.raises(TransportBroken):
        found.version()


WIRELESS = "adb-R5CT (2)._adb-tls-connect._tcp"


def test_serials_of_wireless_phones_have_blanks() -> None:
    asked: list[str] = []

    def serve(conn: socket.socket) -> None:
        while length := received(conn, 4):
            question = received(conn, int(length, 16)).decode()
            asked.append(question)
            conn.sendall(b"OKAY" + block(f"{WIRELESS}\tdevice\n" if question == "host:devices" else "shell_v2"))

    with listening(serve) as found:
        (listed,) = found.devices()
        assert (listed.serial, listed.state) == (WIRELESS, "device")
        assert found.choose(WIRELESS).serial == WIRELESS
    assert f"host-serial:{WIRELESS}:features" in asked


def test_a_serial_cannot_drive_a_terminal_but_is_reached_as_it_is() -> None:
    with server("a\x1b[31mb\tdevice\n") as found:
        (listed,) = found.devices()
        assert (listed.serial, listed.address) == ("ab", "a\x1b[31mb")
        assert found.choose("ab").serial == "ab"


@pytest.mark.parametrize(
    ("state", "error", "what", "fix"),
    [
        ("unauthorized", Unauthorized, "not authorised", "accept"),
        ("authorizing", DeviceOffline, "still being authorised", "Wait"),
        ("connecting", DeviceOffline, "still connecting", "Wait"),
        ("offline", DeviceOffline, "offline", "reconnect"),
        ("no permissions (missing udev rules? user is in the plugdev group); see [http://x]", Unauthorized,
         "no permissions", "udev"),
        ("no permissions", Unauthorized, "no permissions", "udev"),
        ("recovery", DeviceOffline, "recovery", "adb -s abc reboot"),
        ("sideload", DeviceOffline, "sideload", "adb -s abc reboot"),
        ("rescue", DeviceOffline, "rescue", "adb -s abc reboot"),
        ("bootloader", DeviceOffline, "bootloader", "fastboot -s abc reboot"),
        ("host", DeviceOffline, "computer", "--device"),
        ("detached", DeviceOffline, "detached", "adb -s abc attach"),
        ("new\x1b[2J state", DeviceOffline, "new state", "reconnect"),
    ],
)  # fmt: skip
def test_every_state_has_its_own_advice(state: str, error: type[BenchError], what: str, fix: str) -> None:
    with server(f"abc\t{state}\n") as found, pytest.raises(error) as caught:
        found.choose("abc")
    assert what in caught.value.what
    assert fix in caught.value.fix
    assert caught.value.what.isprintable()


def test_advice_can_be_pasted_into_a_shell() -> None:
    with server(f"{WIRELESS}\trecovery\n") as found, pytest.raises(DeviceOffline) as caught:
        found.choose(None)
    assert f"adb -s '{WIRELESS}' reboot" in caught.value.fix


@pytest.mark.parametrize(
    ("said", "error", "what"),
    [
        ("device unauthorized.\nThis adb server's $ADB_VENDOR_KEYS is not set", Unauthorized, "authorised"),
        ("device still authorizing", DeviceOffline, "still being authorised"),
        ("device still connecting", DeviceOffline, "still connecting"),
        ("device offline", DeviceOffline, "offline"),
        ("device 'abc' not found", DeviceOffline, "went away"),
        ("insufficient permissions for device: see [http://x]", Unauthorized, "no permissions"),
        ("closed\x1b[2J", TransportBroken, "broke: closed"),
    ],
)
def test_a_refusal_keeps_the_servers_meaning(said: str, error: type[BenchError], what: str) -> None:
    def serve(conn: socket.socket) -> None:
        while length := received(conn, 4):
            question = received(conn, int(length, 16)).decode()
            if question == "host:devices":
                conn.sendall(b"OKAY" + block("abc\tdevice\n"))
            else:
                conn.sendall(b"FAIL" + block(said))

    with listening(serve) as found, pytest.raises(error, match=re.escape(what)):
        found.choose("abc")


# Commands


def mark_of(service: str) -> bytes:
    """The mark that a command's output is to have around it. Raises ValueError where none is asked for."""
    if found := re.search(r"@[0-9a-f]{16}", service):
        return found[0].encode()
    raise ValueError(service)


def packet(kind: int, data: bytes) -> bytes:
    return struct.pack("<BI", kind, len(data)) + data


def test_a_packet_of_four_gibibytes_is_not_waited_for() -> None:
    def daemon(conn: socket.socket, service: str) -> None:
        conn.sendall(packet(1, mark_of(service) + b" 1\n") + struct.pack("<BI", 1, 0xFFFFFFFF))
        conn.recv(1)

    with transport(daemon) as phone, pytest.raises(TransportBroken, match="4,294,967,295 bytes"):
        phone.run(["true"], deadline_s=20)


def test_output_without_end_is_stopped() -> None:
    def daemon(conn: socket.socket, service: str) -> None:
        while True:
            conn.sendall(packet(1, b"x" * (1 << 20)))

    with transport(daemon) as phone, pytest.raises(RunnerFailed, match="more than 64 MiB"):
        phone.run(["yes"], deadline_s=60)


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_an_old_shell_ends_lines_with_cr_and_lf_wherever_packets_are_cut(size: int) -> None:
    def daemon(conn: socket.socket, service: str) -> None:
        mark = mark_of(service)
        text = b"WARNING: linker: unused DT entry\r\n" + mark + b' 77\r\n{"a": 1}\r\nb\r\n\r\n' + mark + b" 3\r\n"
        for start in range(0, len(text), size):
            conn.sendall(text[start : start + size])

    lines: list[str] = []
    with transport(daemon, features="cmd") as phone:
        done = phone.run(["x"], deadline_s=20, on_line=lines.append)
    assert (done.status, done.stdout) == (3, 'WARNING: linker: unused DT entry\n{"a": 1}\nb\n')
    assert lines[1:3] == ['{"a": 1}', "b"]


@pytest.mark.parametrize("said", [b"", b"@0123456789abcdef x\n", b"garbage\n" * 10])
def test_a_command_without_its_end_mark_is_no_success(said: bytes) -> None:
    with (
        transport(lambda conn, _: conn.sendall(packet(1, said))) as phone,
        pytest.raises(TransportBroken, match="dropped"),
    ):
        phone.run(["x"], deadline_s=20)


# Files


def storage(conn: socket.socket, service: str, free_kb: int | None) -> None:
    """Answer `df`; None: the device is gone."""
    if free_kb is not None:
        mark, head = mark_of(service), b"Filesystem 1K-blocks Used Available Use% Mounted on\n"
        rows = b"/dev/x 9 1 %d 40%% /data\n" % free_kb
        conn.sendall(packet(1, mark + b" 1\n" + head + rows + b"\n" + mark + b" 0\n") + packet(3, b"\0"))


@pytest.mark.parametrize(
    ("answer", "free_kb", "error"),
    [
        (b"FAIL" + struct.pack("<I", 37) + b"write failed: No space left on device", 9999, DiskFull),
        (b"FAIL" + struct.pack("<I", 30) + b"couldn't create file: my space", 0, DeviceRefused),
        (b"FAIL" + struct.pack("<I", 0), 0, DiskFull),
        (b"FAIL" + struct.pack("<I", 0), 9999, DeviceRefused),
        (b"FAIL" + struct.pack("<I", 0), None, DeviceRefused),
        (b"", 9999, TransportBroken),
        (b"", 0, DiskFull),
        (b"", None, TransportBroken),
    ],
)
def test_only_a_full_disk_is_called_full(
    tmp_path: Path, answer: bytes, free_kb: int | None, error: type[BenchError]
) -> None:
    def daemon(conn: socket.socket, service: str) -> None:
        if service != "sync:":
            storage(conn, service, free_kb)
            return
        while data := conn.recv(1 << 16):
            if data[-8:-4] == b"DONE":
                break
        conn.sendall(answer)

    (tmp_path / "file").write_bytes(bytes(2048))
    with transport(daemon) as phone, pytest.raises(error) as caught:
        phone.push(tmp_path / "file", "/data/local/tmp/bench/file", deadline_s=20)
    assert type(caught.value) is error


def test_a_connection_that_breaks_while_a_file_is_sent_may_be_tried_again(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(8 << 20))
    with transport(lambda conn, service: storage(conn, service, None)) as phone, pytest.raises(TransportBroken):
        phone.push(tmp_path / "file", "/data/local/tmp/bench/file", deadline_s=20)
