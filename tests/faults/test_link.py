"""What may stand between this computer and a phone: a slow link, one that stands still, a daemon that refuses, an adb
server of another version, another bench."""

from __future__ import annotations

import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.cache import Cache
from bench.cli import doctor
from bench.devices import hold
from bench.devices.adb import FOLDER, AdbServer
from bench.devices.transport import transfer_s
from bench.errors import DeadlineExceeded, DeviceBusy, DeviceOffline, TransportBroken
from bench.virtual.phone import VirtualPhone
from bench.virtual.wire import HEADER, VERSION, Command, Header
from tests.e2e.conftest import Adb
from tests.faults.injector import until
from tests.faults.kit import GOOD, QUICK, Bed, run
from tests.unit.devices.test_adb_protocol import block, listening, mark_of, received


@dataclass
class Link:
    """A TCP link to a phone that hands on at most so many bytes in a second, in each direction."""

    port: int
    rate: float


@contextmanager
def link_to(port: int, rate: float) -> Iterator[Link]:
    with ExitStack() as stack:
        listener = stack.enter_context(closing(socket.create_server(("127.0.0.1", 0))))
        link = Link(listener.getsockname()[1], rate)

        def hand_on(source: socket.socket, target: socket.socket) -> None:
            try:
                while True:
                    rate = link.rate
                    if not rate:
                        time.sleep(0.05)
                        continue
                    piece = source.recv(max(1, min(16384, int(rate / 20))))
                    if not piece:
                        break
                    time.sleep(len(piece) / rate)
                    target.sendall(piece)
            except OSError:
                pass
            for end in (source, target):
                end.close()

        def accept() -> None:
            while True:
                try:
                    near, _ = listener.accept()
                except OSError:
                    return
                far = socket.create_connection(("127.0.0.1", port))
                # A real link has little room; what the kernel would keep is not on the phone.
                for end in (near, far):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
                    stack.callback(end.close)
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=hand_on, args=ends, daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield link


@contextmanager
def connected(adb: Adb, port: int) -> Iterator[str]:
    """The serial of what listens at a port, known to the adb server."""
    serial = f"127.0.0.1:{port}"
    adb.run("connect", serial)
    try:
        yield serial
    finally:
        adb.run("disconnect", serial)


def test_the_time_for_a_file_follows_its_size() -> None:
    assert transfer_s(0) == 60
    assert transfer_s(10_000_000) > 60 + 10_000_000 / 50_000
    assert transfer_s(10**16) == 86_400


def test_a_slow_link_is_measured_over(adb: Adb, virtual_phone: VirtualPhone, tmp_path: Path) -> None:
    with link_to(virtual_phone.port, 50_000) as link, connected(adb, link.port) as serial:
        bed = Bed.on(AdbServer(*adb.address).choose(serial), tmp_path / "bed", GOOD)
        assert [one.status for one in run(bed.lane(bed.trials(2)))] == ["ok", "ok"]


@pytest.mark.slow_fault
@pytest.mark.timeout(600)
def test_ten_megabytes_over_50_kb_a_second_arrive(adb: Adb, virtual_phone: VirtualPhone, tmp_path: Path) -> None:
    size = 10_000_000
    (tmp_path / "file").write_bytes(bytes(size))
    with link_to(virtual_phone.port, 50_000) as link, connected(adb, link.port) as serial:
        transport = AdbServer(*adb.address).choose(serial)
        begun = time.monotonic()
        transport.push(tmp_path / "file", f"{FOLDER}/file", deadline_s=transfer_s(size))
        assert time.monotonic() - begun > 100
        assert transport.run(["sh", "-c", f"wc -c < {FOLDER}/file"], deadline_s=60).stdout.strip() == str(size)


def test_a_link_that_stands_still_is_noticed_long_before_the_deadline(
    adb: Adb, virtual_phone: VirtualPhone, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(bytes(64 << 20))
    with link_to(virtual_phone.port, 20_000_000) as link, connected(adb, link.port) as serial:
        transport = AdbServer(*adb.address, patience_s=1).choose(serial)
        threading.Timer(0.3, setattr, (link, "rate", 0)).start()
        begun = time.monotonic()
        with pytest.raises(DeadlineExceeded, match="nothing moved for 3 s"):
            transport.push(tmp_path / "file", f"{FOLDER}/file", deadline_s=3000)
        assert time.monotonic() - begun < 60


@contextmanager
def refusing_daemon() -> Iterator[int]:
    """A phone that is there and refuses every service: adb says `error: closed`."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        alive = [True]

        def talk(conn: socket.socket) -> None:
            with conn:
                while alive[0] and len(data := received(conn, HEADER.size)) == HEADER.size:
                    header = Header.decode(data)
                    received(conn, header.length)
                    if header.command == Command.CNXN:
                        text = b"device::features=shell_v2,cmd"
                        conn.sendall(Header(Command.CNXN, VERSION, 1 << 18, len(text), sum(text)).encode() + text)
                    elif header.command == Command.OPEN:
                        conn.sendall(Header(Command.CLSE, 0, header.arg0).encode())

        def serve() -> None:
            while alive[0]:
                if select.select([listener], [], [], 0.1)[0]:
                    threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            alive[0] = False
            thread.join()


def test_a_daemon_that_refuses_everything_is_said_to_be_closed(adb: Adb) -> None:
    with refusing_daemon() as port, connected(adb, port) as serial:
        server = AdbServer(*adb.address)
        until(lambda: any((one.serial, one.state) == (serial, "device") for one in server.devices()))
        transport = server.choose(serial)
        with pytest.raises(TransportBroken, match=f"the connection to {serial} broke: closed"):
            transport.run(["true"], deadline_s=20)


def test_a_phone_connected_by_tcp_is_connected_again_after_the_server_was_killed(
    own_server: Adb, virtual_phone: VirtualPhone, tmp_path: Path
) -> None:
    with link_to(virtual_phone.port, 10**8) as link, connected(own_server, link.port) as serial:
        bed = Bed.on(AdbServer(*own_server.address).choose(serial), tmp_path / "bed", GOOD)
        kill = [own_server.program, "-P", str(own_server.port), "kill-server"]
        done: list[int] = []

        def once(one: object) -> None:
            if not done:
                done.append(subprocess.run(kill, capture_output=True, timeout=30).returncode)

        (ended,) = run(bed.lane(bed.trials(1), QUICK, before=once))
        assert ended.status == "ok", ended.reason


def other_version(conn: socket.socket) -> None:
    """An adb server from before Android 7 with one phone."""
    while length := received(conn, 4):
        question = received(conn, int(length, 16)).decode()
        if question == "host:devices":
            conn.sendall(b"OKAY" + block("abc\tdevice\n"))
        elif question == "host:version":
            conn.sendall(b"OKAY" + block("0020"))
        elif question.startswith("host:transport:"):
            conn.sendall(b"OKAY")
        elif question.startswith("shell:"):
            mark = mark_of(question)
            conn.sendall(b"OKAY" + mark + b" 7\r\nhello\r\n\r\n" + mark + b" 0\r\n")
            return
        else:
            conn.sendall(b"FAIL" + block("unknown host service"))


def test_an_adb_server_of_another_version_is_used_and_this_is_said(tmp_path: Path) -> None:
    with listening(other_version) as server:
        assert server.choose(None).run(["echo", "hello"], deadline_s=20).stdout == "hello\n"
        checks = {check.name: check for check in doctor.examine(server, None, Cache(tmp_path))}
    assert checks["adb version"].state == "warn"
    assert "the adb server is 1.0.32 and bench's adb is 1.0.41" in checks["adb version"].found
    assert "one version" in checks["adb version"].fix


def test_an_adb_server_of_the_same_version_is_nothing_to_speak_of(adb: Adb) -> None:
    assert AdbServer(*adb.address).mismatch() == ""


def test_one_that_is_offline_in_a_run_is_waited_for_and_its_state_is_the_reason(
    adb: Adb, virtual_phone: VirtualPhone, tmp_path: Path
) -> None:
    with link_to(virtual_phone.port, 10**8) as link, connected(adb, link.port) as serial:
        transport = AdbServer(*adb.address, patience_s=2).choose(serial)
        adb.run("disconnect", serial)
        with pytest.raises(DeviceOffline, match=f"{serial} went away"):
            transport.run(["true"], deadline_s=20)


HOLD = """
import sys, time
from pathlib import Path
from bench.devices import hold
sys.argv = ["bench", "run", "--plan", "a b.toml"]
with hold.held(Path({folder!r}), ["R5CT 1234"]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_phone_is_had_by_one_bench_and_the_other_is_told_who_has_it(tmp_path: Path) -> None:
    code = HOLD.format(folder=str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        found = hold.holder(tmp_path, "R5CT 1234")
        assert found
        assert (found.pid, found.command) == (process.pid, "bench run --plan 'a b.toml'")
        words = r"another bench is measuring on R5CT 1234: .*bench run --plan"
        with pytest.raises(DeviceBusy, match=words) as caught, hold.held(tmp_path, ["R5CT 1234"]):
            pass
        assert str(process.pid) in caught.value.what
        assert hold.holder(tmp_path, "another") is None
        process.kill()
    # What it left behind counts for nothing.
    assert hold.holder(tmp_path, "R5CT 1234") is None
    with hold.held(tmp_path, ["R5CT 1234"]):
        pass
