"""Inside a virtual phone, and what its clients cannot do to it."""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path

import pytest

from bench.virtual import phone as phones
from bench.virtual.phone import VirtualPhone
from bench.virtual.wire import HEADER, MAX_PAYLOAD, Command
from tests.e2e.conftest import Adb
from tests.e2e.raw_client import HELLO, message, talk


def test_it_is_listed_and_says_what_it_is(device: Adb, virtual_phone: VirtualPhone) -> None:
    assert virtual_phone in phones.running()
    listed = [row.split() for row in device.run("devices", "-l").stdout.decode().splitlines()]
    assert [virtual_phone.serial, "device", "product:shiba", "model:Pixel_8", "device:shiba"] in [r[:5] for r in listed]
    assert device.shell("getprop ro.bench.virtual") == "pixel-8\n"
    assert device.shell("getprop ro.product.cpu.abi").strip() == virtual_phone.abi
    assert device.shell("getprop ro.bench.translation") == "\n"


def test_inside_there_is_a_phone_and_not_the_host(device: Adb, virtual_phone: VirtualPhone) -> None:
    assert virtual_phone.isolation == "namespaces", virtual_phone.isolation_reason
    assert device.shell("id -u; id -un; whoami") == "2000\nshell\nshell\n"
    assert device.shell("ls /home /root /tmp /var 2>/dev/null | wc -l") == "0\n"
    assert device.shell("echo $PATH $TMPDIR") == "/system/bin /data/local/tmp\n"
    assert device.run("shell", "echo x > /system/x").returncode != 0
    assert device.run("shell", "echo x > /proc/sys/kernel/hostname").returncode != 0
    assert device.run("shell", "which python3").stdout == b""
    # Nothing of the host's processes, and no rights to win back.
    assert device.shell("cd /proc; ls -d [0-9]* | sort -n | head -1").strip() == "1"
    rows = dict(
        row.split(":\t") for row in device.shell("grep -E 'Cap(Prm|Eff)|NoNewPrivs' /proc/1/status").splitlines()
    )
    assert rows == {"CapPrm": "0" * 16, "CapEff": "0" * 16, "NoNewPrivs": "1"}


def test_tools_of_a_phone(device: Adb) -> None:
    tools = (
        "sh ls cat cp mv rm mkdir chmod stat sha256sum df ps kill id uname taskset sleep head tail grep find date echo "
        "test dd nproc wc du touch ln readlink mktemp timeout xargs sed getprop setprop dumpsys"
    )
    assert device.shell(f"for tool in {tools}; do [ -x /system/bin/$tool ] || echo missing $tool; done") == ""


def test_the_cores_shown_are_those_programs_run_on(device: Adb) -> None:
    allowed = device.shell("grep Cpus_allowed_list /proc/self/status").split()[1]
    assert device.shell("cat /sys/devices/system/cpu/online").strip() == allowed
    cores = [int(row.split(":")[1]) for row in device.shell("grep ^processor /proc/cpuinfo").splitlines()]
    assert int(device.shell("nproc")) == len(cores)
    last = cores[-1]
    seen = device.shell(f"taskset {1 << last:x} grep Cpus_allowed_list /proc/self/status").split()[1]
    assert seen == str(last)
    # The profile's fastest core is among them, wherever the host has put it.
    speeds = device.shell("cat /sys/devices/system/cpu/cpu*/cpufreq/cpuinfo_max_freq").split()
    assert "2914000" in speeds


def test_a_programs_memory_is_real(device: Adb) -> None:
    status = device.shell("grep VmHWM /proc/self/status; head -5 /proc/self/smaps_rollup")
    assert int(status.split()[1]) > 100
    assert "Pss:" in status
    assert device.shell("grep MemTotal /proc/meminfo").split() == ["MemTotal:", str(8 << 20), "kB"]
    host = int(next(row.split()[1] for row in Path("/proc/meminfo").read_text().splitlines() if "MemTotal" in row))
    assert 0 < int(device.shell("grep MemAvailable /proc/meminfo").split()[1]) <= host
    assert "TOTAL SWAP PSS:" in device.shell("dumpsys meminfo $$")


def test_no_shell_ends_the_daemon(device: Adb) -> None:
    device.run("shell", "kill -9 1; kill -INT 1; kill -TERM 1; kill -HUP 1; kill -SEGV 1")
    assert device.shell("echo alive") == "alive\n"


def test_orphans_are_reaped(device: Adb) -> None:
    device.shell("for i in 1 2 3; do (sleep 0.1 &) ; done")
    deadline = time.monotonic() + 10
    while "defunct" in (listing := device.shell("ps -ef")) or "sleep 0.1" in listing:
        assert time.monotonic() < deadline, listing
        time.sleep(0.05)


_SYNC = HELLO + message(Command.OPEN, 5, 0, b"sync:\0")


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n" * 10,
        os.urandom(4096),
        bytes(HEADER.size),
        HELLO + HEADER.pack(Command.WRTE, 1, 1, 0xFFFFFFFF, 0, Command.WRTE ^ 0xFFFFFFFF),
        HELLO * 3,
        HELLO + b"".join(message(Command.OPEN, number, 0, b"shell,v2:cat\0") for number in range(1, 400)),
        HELLO + message(Command.OPEN, 5, 0, b"shell,v2,TERM=\xff,pty:\xff\xfe\0"),
        HELLO + message(Command.OPEN, 5, 0, b"x" * MAX_PAYLOAD),
        HELLO
        + message(Command.OPEN, 5, 0, b"shell,v2,raw:cat\0")
        + message(Command.WRTE, 5, 1, b"\x09\xff\xff\xff\xff"),
        HELLO + message(Command.OPEN, 5, 0, b"shell,v2,pty:cat\0") + message(Command.WRTE, 5, 1, b"\x05\x02\0\0\0xx"),
    ],
)
def test_no_client_ends_the_daemon(device: Adb, virtual_phone: VirtualPhone, sent: bytes) -> None:
    talk(virtual_phone.port, sent)
    assert device.shell("echo alive") == "alive\n"


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (b"STAT" + struct.pack("<I", 5000), b"path too long"),
        (b"RECV" + struct.pack("<I", 3) + b"a\0b", b"path with a null byte"),
        (b"NOPE" + struct.pack("<I", 1) + b"x", b"unknown command"),
        (b"SEND" + struct.pack("<I", 4) + b"/x,z", b"unknown command"),
        (b"SND2" + struct.pack("<I", 9) + b"/data/x/y" + b"SND2" + struct.pack("<II", 0o644, 1) + b"DONE" + bytes(4),
         b"unsupported flags"),
        (b"RCV2" + struct.pack("<I", 4) + b"/dev" + b"RCV2" + struct.pack("<I", 8), b"unsupported flags"),
        (b"SEND" + struct.pack("<I", 21) + b"/data/local/tmp/q,420" + b"DATA" + struct.pack("<I", 1 << 20),
         b"invalid data"),
    ],
)  # fmt: skip
def test_sync_refuses_in_words(device: Adb, virtual_phone: VirtualPhone, request_: bytes, answer: bytes) -> None:
    """Stream 5 of this side is stream 1 of the phone: the first of its connection."""
    sent = _SYNC + message(Command.WRTE, 5, 1, request_)
    assert answer in talk(virtual_phone.port, sent)
    assert device.shell("ls /data/local/tmp/q 2>/dev/null || echo nothing left behind") == "nothing left behind\n"


def test_a_fifo_holds_up_nobody(device: Adb, folder: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    device.shell(f"/usr/bin/mkfifo {folder}/fifo")
    assert device.run("pull", f"{folder}/fifo", str(tmp_path / "x"), timeout=20).returncode in (0, 1)
    assert device.run("push", str(tmp_path / "file"), f"{folder}/fifo", timeout=20).returncode == 1
    assert device.shell("echo alive") == "alive\n"


def test_a_push_that_is_cut_off_leaves_nothing(device: Adb, virtual_phone: VirtualPhone, folder: str) -> None:
    name = f"{folder}/half,{0o644}".encode()
    begun = b"SEND" + struct.pack("<I", len(name)) + name + b"DATA" + struct.pack("<I", 3) + b"abc"
    talk(virtual_phone.port, _SYNC + message(Command.WRTE, 5, 1, begun))
    assert device.shell(f"ls {folder}") == ""


def test_listening_is_on_loopback_alone(virtual_phone: VirtualPhone) -> None:
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = [row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{virtual_phone.port:04X}")]
    assert listening == [f"0100007F:{virtual_phone.port:04X}"]
