"""A virtual phone that is a machine: real kernel, real adbd, real memory. A start takes 10 s on a quiet computer, and
the first one fetches Debian's packages."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.devices import facts
from bench.devices.adb import AdbServer
from bench.errors import NoDevice, ToolMissing, VirtualPhoneError
from bench.virtual import phone as phones
from bench.virtual.phone import VirtualPhone
from tests.e2e.conftest import Adb, free_port

pytestmark = [pytest.mark.slow_fault, pytest.mark.timeout(900)]
HOG = "head -c {size}m /dev/zero | tail -c {size}m > /dev/null; echo $?"
"""tail keeps that many mebibytes in memory."""
HERE = Path(__file__).parents[2]


def without_qemu() -> bool:
    """Where there is no QEMU the only thing to see is that this is said."""
    if shutil.which("qemu-system-aarch64"):
        return False
    with pytest.raises(ToolMissing, match="qemu-system-aarch64"):
        phones.start(machine=True, port=free_port(odd=True))
    return True


def start(adb: Adb, port: int | None = None) -> VirtualPhone:
    return phones.start(
        machine=True, ram_bytes=512 << 20, port=port or free_port(odd=True), adb_server=adb.address
    )  # fmt: skip


@pytest.fixture(scope="module")
def machine(adb: Adb, phone_home: Path) -> Iterator[VirtualPhone | None]:
    """One for the tests that leave it as it was; None where there is no QEMU."""
    if without_qemu():
        yield None
        return
    made = start(adb)
    yield made
    if made in phones.running():
        phones.stop(made.port)


def test_it_says_what_it_is_and_is_labelled_so(machine: VirtualPhone | None, adb: Adb) -> None:
    if machine is None:
        return
    device = adb.on(machine)
    assert (machine.isolation, machine.abi, machine.translation) == ("machine", "arm64-v8a", "qemu-system")
    transport = AdbServer(*adb.address).choose(machine.serial)
    said = facts.probe(transport)
    found = facts.phone(machine.serial, said)
    assert found.virtual and found.translated  # noqa: PT018
    assert found.abis == ("arm64-v8a",)
    assert found.facts["ro.bench.translation"] == "qemu-system"
    assert found.ram_bytes is not None and 0.8 < found.ram_bytes / machine.ram_bytes < 1  # noqa: PT018
    assert facts.conditions(said).free_bytes is not None
    assert device.shell("uname -m; id -u; getprop ro.bench.virtual") == "aarch64\n2000\npixel-8\n"
    done = device.run("shell", "no-such-program")
    assert done.returncode == 127
    assert b"inaccessible or not found" in done.stderr


def test_the_kernel_kills_what_wants_more_memory_than_there_is(machine: VirtualPhone | None, adb: Adb) -> None:
    if machine is None:
        return
    device = adb.on(machine)
    assert device.shell(HOG.format(size=64)) == "0\n"
    assert device.run("shell", HOG.format(size=700), timeout=300).stdout.split()[-1] == b"137"
    assert device.shell("echo alive") == "alive\n"


def test_it_reaches_nothing_of_the_computer_around_it(machine: VirtualPhone | None, adb: Adb) -> None:
    if machine is None:
        return
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen()
        door.settimeout(1)
        port = door.getsockname()[1]
        adb.on(machine).run("shell", f"echo x | timeout 10 nc -w 5 10.0.2.2 {port}")
        with pytest.raises(TimeoutError):
            door.accept()
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = [row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{machine.port:04X}")]
    assert listening == [f"0100007F:{machine.port:04X}"]


def test_a_network_answers_there_as_it_does_here(
    machine: VirtualPhone | None, env: dict[str, str], tmp_path: Path
) -> None:
    """arm64 code on an arm64 kernel; its times are nobody's."""
    if machine is None:
        return
    command = [
        sys.executable, "-m", "bench.cli", "run", "--suite", "quick", "--model", "lenet5", "--variant", "baseline",
        "--launches", "1", "--samples", "100", "--device", machine.serial, "--results", str(tmp_path), "--json",
    ]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=800, env={**env, "PYTHONPATH": str(HERE)}, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout)
    trials = [json.loads(row) for path in tmp_path.rglob("trials.jsonl") for row in path.read_text().splitlines()]
    there = [one for one in trials if one["subject"]["device"] == machine.serial]
    assert there
    assert {one["status"] for one in there} == {"ok"}


def test_one_that_is_killed_leaves_nothing_and_is_forgotten(adb: Adb, phone_home: Path) -> None:
    if without_qemu():
        return
    phone = start(adb)
    os.kill(phone.pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while phone in phones.running():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    with pytest.raises(NoDevice, match=phone.serial):
        phones.stop(phone.serial)
    # The disk had no name: what is left is small, and of no use to anybody.
    assert sum(path.stat().st_blocks * 512 for path in phone.folder.rglob("*") if path.is_file()) < 64 << 20
    assert start(adb, port=phone.port).serial == phone.serial
    assert phones.stop(phone.port).pid != phone.pid
    assert not list(phone.folder.glob("root/*"))


def test_one_whose_start_was_killed_is_known_and_can_be_stopped(
    adb: Adb, phone_home: Path, env: dict[str, str]
) -> None:
    if without_qemu():
        return
    port = free_port(odd=True)
    code = f"from bench.virtual import phone; phone.start(machine=True, ram_bytes={512 << 20}, port={port})"
    starting = subprocess.Popen([sys.executable, "-c", code], env={**env, "PYTHONPATH": str(HERE)})
    deadline = time.monotonic() + 120
    while all(phone.port != port for phone in phones.running()):
        assert time.monotonic() < deadline
        assert starting.poll() is None
        time.sleep(0.02)
    starting.kill()
    starting.wait()
    assert phones.stop(port).port == port
    assert all(phone.port != port for phone in phones.running())


def test_a_port_that_is_taken_is_said(adb: Adb, phone_home: Path) -> None:
    if without_qemu():
        return
    port = free_port(odd=True)
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", port))
        busy.listen()
        with pytest.raises(VirtualPhoneError, match=f"port {port} of 127.0.0.1 cannot be used"):
            start(adb, port=port)
    assert all(phone.port != port for phone in phones.running())
