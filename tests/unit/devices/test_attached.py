"""Phones by TCP, and what an adb server says of them; a real one is in tests/e2e/test_farm.py."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import pytest

from bench.devices.adb import AdbServer
from bench.devices.attached import attached, is_address
from bench.errors import BenchError, DeviceOffline, Unauthorized, UsageError

ADDRESS = "10.0.0.7:5555"


class Server:
    """An adb server that answers `host:connect` with these words, after which the phone is in that state."""

    def __init__(self, said: str, state: str = "", before: str = "") -> None:
        self.said, self.state, self.listed = said, state, before
        self.asked: list[str] = []

    def serve(self, conn: socket.socket) -> None:
        while length := conn.recv(4):
            question = conn.recv(int(length, 16)).decode()
            answer = "0029"
            if question == "host:devices":
                answer = f"{ADDRESS}\t{self.listed}\n" if self.listed else ""
            else:
                self.asked.append(question)
            if question.startswith("host:connect:"):
                answer, self.listed = self.said, self.state
            elif question.startswith("host:disconnect:"):
                answer, self.listed = f"disconnected {ADDRESS}", ""
            data = answer.encode()
            conn.sendall(b"OKAY%04x" % len(data) + data)

    @contextmanager
    def running(self) -> Iterator[AdbServer]:
        def accept(listener: socket.socket) -> None:
            while True:
                try:
                    conn, _ = listener.accept()
                except OSError:
                    return
                with conn, suppress(OSError, ValueError):
                    self.serve(conn)

        with closing(socket.create_server(("127.0.0.1", 0))) as listener:
            threading.Thread(target=accept, args=(listener,), daemon=True).start()
            yield AdbServer("127.0.0.1", listener.getsockname()[1])


def test_a_phone_is_connected_and_let_go() -> None:
    one = Server(f"connected to {ADDRESS}", "device")
    with one.running() as server:
        with attached(server, [ADDRESS, "R58M123ABC", ADDRESS]):
            assert one.listed == "device"
        assert one.asked == [f"host:connect:{ADDRESS}", f"host:disconnect:{ADDRESS}"]


def test_one_that_was_connected_stays_connected() -> None:
    one = Server("", before="device")
    with one.running() as server, attached(server, [ADDRESS]):
        pass
    assert one.asked == []


@pytest.mark.parametrize(
    ("said", "state", "error", "what"),
    [
        (f"failed to connect to '{ADDRESS}': Connection refused", "", DeviceOffline, "nothing listens there"),
        (f"failed to connect to '{ADDRESS}': Operation timed out", "", DeviceOffline, "nothing answers there"),
        (f"failed to connect to '{ADDRESS}': No route to host", "", DeviceOffline, "no way to that host"),
        ("failed to resolve host: 'x': Name or service not known", "", DeviceOffline, "no host of that name"),
        ("\x1b[31mno", "", DeviceOffline, "cannot be connected: no"),
        (f"failed to authenticate to {ADDRESS}", "unauthorized", Unauthorized, "has not authorised"),
        (f"connected to {ADDRESS}", "unauthorized", Unauthorized, "has not authorised"),
        (f"connected to {ADDRESS}", "offline", DeviceOffline, "is offline since it was connected"),
        (f"already connected to {ADDRESS}", "", DeviceOffline, "is offline since it was connected"),
    ],
)
def test_why_it_cannot_be_used_is_said_and_it_is_let_go(
    said: str, state: str, error: type[BenchError], what: str
) -> None:
    one = Server(said, state)
    with one.running() as server:
        with pytest.raises(error, match=what), attached(server, [ADDRESS], patience_s=0.5):
            pass
        assert one.asked[-1] == f"host:disconnect:{ADDRESS}"


@pytest.mark.parametrize("serial", [ADDRESS, "phone-7.lab:7401", "[2001:db8::7]:5555", "[fe80::1%eth0]:5555"])
def test_a_serial_that_is_an_address(serial: str) -> None:
    assert is_address(serial)


@pytest.mark.parametrize(
    "serial", ["R58M123ABC", "emulator-5554", "10.0.0.7", "2001:db8::7:5555", "a:0", "a:99999", ":1"]
)
def test_a_serial_that_is_none(serial: str) -> None:
    assert not is_address(serial)


def test_an_adb_server_may_have_an_ipv6_address() -> None:
    assert AdbServer.from_address("[::1]:5038").address == ("::1", 5038)
    with pytest.raises(UsageError):
        AdbServer.from_address("[::1]:x")
