"""The adb transport against the real adb server and a virtual phone: what phones do to it."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bench.devices.adb import FOLDER, AdbServer, AdbTransport
from bench.devices.deployment import Payload, deploy
from bench.errors import (
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
from bench.virtual.phone import VirtualPhone, stop
from bench.virtual.wire import HEADER, Header
from tests.e2e.conftest import Adb, PhoneMaker


@pytest.fixture
def server(adb: Adb) -> AdbServer:
    return AdbServer(*adb.address)


@pytest.fixture
def transport(server: AdbServer, virtual_phone: VirtualPhone) -> AdbTransport:
    found = server.choose(virtual_phone.serial)
    found.run(["mkdir", "-p", FOLDER], deadline_s=30)
    return found


def test_status_and_both_outputs_are_kept_apart(transport: AdbTransport) -> None:
    lines: list[str] = []
    done = transport.run(["sh", "-c", "echo a; echo b >&2; printf c; exit 7"], deadline_s=20, on_line=lines.append)
    assert (done.status, done.stdout, done.stderr) == (7, "a\nc", "b\n")
    assert lines == ["a", "c"]


def test_lines_come_while_the_command_runs(transport: AdbTransport) -> None:
    seen: list[float] = []
    transport.run(
        ["sh", "-c", "echo a; sleep 1; echo b"], deadline_s=20, on_line=lambda line: seen.append(time.monotonic())
    )
    assert seen[1] - seen[0] > 0.5


@pytest.mark.parametrize("odd", ["", "a b", "$HOME", "`id`", 'quo"te', "ap'os", "new\nline", "ü", "*", ";", "-n", "\\"])
def test_arguments_reach_the_command_as_they_are(transport: AdbTransport, odd: str) -> None:
    assert transport.run(["printf", "%s", "x" + odd + "x"], deadline_s=20).stdout == "x" + odd + "x"


@pytest.mark.parametrize(("argv", "status"), [(["/no/such"], 127), (["/data"], 126), (["sh", "-c", "kill -9 $$"], 137)])
def test_what_cannot_run_or_is_killed_has_a_status(transport: AdbTransport, argv: list[str], status: int) -> None:
    assert transport.run(argv, deadline_s=20).status == status


def test_a_deadline_kills_the_command_on_the_phone(transport: AdbTransport) -> None:
    before = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        transport.run(["sleep", "4321"], deadline_s=1)
    assert time.monotonic() - before < 10
    for _ in range(50):
        if "4321" not in transport.run(["ps", "-ef"], deadline_s=20).stdout:
            return
        time.sleep(0.1)
    pytest.fail("the command lives on")


def test_files_go_and_come_back(transport: AdbTransport, tmp_path: Path) -> None:
    for size in (0, 1, 65536, 65537, 3_000_000):
        local, back = tmp_path / "local", tmp_path / "back"
        local.write_bytes(os.urandom(size))
        transport.push(local, f"{FOLDER}/a file", deadline_s=30)
        transport.pull(f"{FOLDER}/a file", back, deadline_s=30)
        assert back.read_bytes() == local.read_bytes()


def test_what_is_not_there_cannot_be_pulled(transport: AdbTransport, tmp_path: Path) -> None:
    with pytest.raises(TransportBroken, match="No such file"):
        transport.pull(f"{FOLDER}/missing", tmp_path / "x", deadline_s=20)


def test_a_refused_push_says_why(transport: AdbTransport, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 200_000)
    with pytest.raises(DeviceRefused, match=r"Read-only|denied"):
        transport.push(tmp_path / "a", "/system/bin/a", deadline_s=20)


def test_nothing_is_pushed_twice_and_too_much_is_refused_before(transport: AdbTransport, tmp_path: Path) -> None:
    data = os.urandom(300_000)
    (tmp_path / "a").write_bytes(data)
    payload = Payload(tmp_path / "a", hashlib.sha256(data).hexdigest(), len(data), executable=True)
    assert deploy(transport, [payload]) == len(data)
    assert deploy(transport, [payload]) == 0
    assert transport.run(["stat", "-c", "%a", payload.remote(FOLDER)], deadline_s=20).stdout == "755\n"
    with pytest.raises(DiskFull, match="twice the payload"):
        deploy(transport, [Payload(tmp_path / "a", "f" * 64, 10**16)])


def test_a_file_damaged_on_the_phone_is_replaced_and_this_is_said(transport: AdbTransport, tmp_path: Path) -> None:
    data = os.urandom(300_000)
    (tmp_path / "a").write_bytes(data)
    payload = Payload(tmp_path / "a", hashlib.sha256(data).hexdigest(), len(data))
    deploy(transport, [payload])
    remote = payload.remote(FOLDER)
    flip = 'printf x | dd of="$0" bs=1 seek=1234 conv=notrunc'
    transport.run(["sh", "-c", flip, remote], deadline_s=20)
    said: list[str] = []
    assert deploy(transport, [payload], say=said.append) == len(data)
    assert "was damaged" in said[0]
    transport.pull(remote, tmp_path / "back", deadline_s=20)
    assert (tmp_path / "back").read_bytes() == data


def test_android_7_has_no_sha256sum_and_is_deployed_to(
    server: AdbServer, phone_maker: PhoneMaker, tmp_path: Path
) -> None:
    phone = phone_maker.start("galaxy-s8")
    try:
        transport = server.choose(phone.serial)
        assert transport.run(["sha256sum", "/dev/null"], deadline_s=20).status == 127
        (tmp_path / "a").write_bytes(b"x" * 1000)
        payload = Payload(tmp_path / "a", hashlib.sha256(b"x" * 1000).hexdigest(), 1000)
        assert deploy(transport, [payload]) == 1000
        assert deploy(transport, [payload]) == 0
        transport.run(["sh", "-c", 'head -c 1000 /dev/zero > "$0"', payload.remote(FOLDER)], deadline_s=20)
        assert deploy(transport, [payload]) == 1000
    finally:
        stop(phone.serial)


def test_two_phones_and_none_named(server: AdbServer, virtual_phone: VirtualPhone, phone_maker: PhoneMaker) -> None:
    second = phone_maker.start("galaxy-s8")
    try:
        with pytest.raises(SeveralDevices) as caught:
            server.choose(None)
        assert virtual_phone.serial in caught.value.what
        assert second.serial in caught.value.what
        assert server.choose(second.serial).serial == second.serial
    finally:
        stop(second.serial)


def test_a_serial_that_is_not_there_names_those_that_are(server: AdbServer, virtual_phone: VirtualPhone) -> None:
    with pytest.raises(NoDevice, match=virtual_phone.serial):
        server.choose("R5CT1234")


def test_a_phone_that_dies_in_a_command_is_no_success(server: AdbServer, phone_maker: PhoneMaker) -> None:
    second = phone_maker.start("oneplus-5t")
    transport = server.choose(second.serial)
    threading.Timer(0.5, stop, (second.serial,)).start()
    with pytest.raises((TransportBroken, DeviceOffline)):
        transport.run(["sleep", "30"], deadline_s=20)
    with pytest.raises((TransportBroken, DeviceOffline)):
        transport.run(["true"], deadline_s=20)


AUTH = int.from_bytes(b"AUTH", "little")
TOKEN, PUBLIC_KEY = 1, 3


def exactly(conn: socket.socket, size: int) -> bytes:
    """The next bytes, or fewer when the other side is gone."""
    data = b""
    while len(data) < size and (more := conn.recv(size - len(data))):
        data += more
    return data


@contextmanager
def daemon(asks: bool) -> Iterator[int]:
    """A phone on a port that trusts nobody. It asks for every signature anew and waits in silence, as a phone does for
    its owner's finger, once it has the public key; or it never says anything."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        open_ones: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    conn, _ = listener.accept()
                except OSError:
                    return
                open_ones.append(conn)
                threading.Thread(target=talk, args=(conn,), daemon=True).start()

        def talk(conn: socket.socket) -> None:
            question = bytes(range(20))
            try:
                while len(data := exactly(conn, HEADER.size)) == HEADER.size:
                    header = Header.decode(data)
                    exactly(conn, header.length)
                    if asks and not (header.command == AUTH and header.arg0 == PUBLIC_KEY):
                        conn.sendall(Header(AUTH, TOKEN, 0, len(question), sum(question)).encode() + question)
            except OSError:
                pass

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        for conn in open_ones:
            conn.close()


def wait_for_state(server: AdbServer, serial: str, state: str) -> None:
    for _ in range(100):
        if any(d.serial == serial and d.state == state for d in server.devices()):
            return
        time.sleep(0.1)
    pytest.fail(f"{serial} never became {state}: {server.devices()}")


def test_a_phone_that_wants_authorisation(server: AdbServer, adb: Adb) -> None:
    with daemon(asks=True) as port:
        serial = f"127.0.0.1:{port}"
        adb.run("connect", serial)
        wait_for_state(server, serial, "unauthorized")
        with pytest.raises(Unauthorized) as caught:
            server.choose(serial)
        assert "accept" in caught.value.fix
        adb.run("disconnect", serial)


def test_a_phone_that_is_silent_is_offline(server: AdbServer, adb: Adb) -> None:
    with daemon(asks=False) as port:
        serial = f"127.0.0.1:{port}"
        adb.run("connect", serial)
        wait_for_state(server, serial, "offline")
        with pytest.raises(DeviceOffline):
            server.choose(serial)
        adb.run("disconnect", serial)


@pytest.mark.parametrize("address", ["nonsense", "host:", ":0", ":70000", "host:x"])
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(UsageError):
        AdbServer.from_address(address)


def test_a_remote_server_that_does_not_answer_is_not_started_here() -> None:
    # 127.0.0.2 is loopback but not "this host's server", and nothing listens there.
    with pytest.raises(ToolMissing, match="no adb server answers"):
        AdbServer("127.0.0.2", 9).devices()
