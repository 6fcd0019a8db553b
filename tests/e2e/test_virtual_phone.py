"""The life of a virtual phone: start, stop, list, isolation with and without namespaces, memory, other processors."""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.errors import NoDevice, ToolMissing, UnknownName, VirtualPhoneError
from bench.virtual import phone as phones
from bench.virtual.phone import VirtualPhone
from bench.virtual.wire import HEADER, MAX_PAYLOAD, VERSION, Command, Header
from tests.e2e.conftest import Adb, PhoneMaker, free_port, ordinary_user

MB = 1_000_000
HOG = "head -c {size} /dev/zero | tail -c {size} > /dev/null; echo $?"
"""tail keeps that many bytes in memory."""


@pytest.fixture
def started(phone_maker: PhoneMaker) -> Iterator[Any]:
    """Start a phone that is gone after the test."""
    made: list[VirtualPhone] = []

    def start(*arguments: Any, **options: Any) -> VirtualPhone:
        made.append(phone_maker.start(*arguments, **options))
        return made[-1]

    yield start
    for phone in made:
        if phone in phones.running():
            phones.stop(phone.port)


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
    assert device.shell("ps -e -o pid= | sort -n | head -1").strip() == "1"
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


def talk(port: int, sent: bytes) -> bytes:
    """Send bytes to a phone's port, everything at once, and read until it is silent or gone."""
    got = b""
    with socket.create_connection(("127.0.0.1", port), timeout=0.3) as connection:
        try:
            connection.sendall(sent)
            while data := connection.recv(1 << 16):
                got += data
        except (TimeoutError, ConnectionError):
            pass
    return got


def _message(command: int, arg0: int, arg1: int, payload: bytes = b"") -> bytes:
    return Header(command, arg0, arg1, len(payload)).encode() + payload


_HELLO = _message(Command.CNXN, VERSION, MAX_PAYLOAD, b"host::")
_SYNC = _HELLO + _message(Command.OPEN, 5, 0, b"sync:\0")


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n" * 10,
        os.urandom(4096),
        bytes(HEADER.size),
        _HELLO + HEADER.pack(Command.WRTE, 1, 1, 0xFFFFFFFF, 0, Command.WRTE ^ 0xFFFFFFFF),
        _HELLO * 3,
        _HELLO + b"".join(_message(Command.OPEN, number, 0, b"shell,v2:cat\0") for number in range(1, 400)),
        _HELLO + _message(Command.OPEN, 5, 0, b"shell,v2,TERM=\xff,pty:\xff\xfe\0"),
        _HELLO + _message(Command.OPEN, 5, 0, b"x" * MAX_PAYLOAD),
        _HELLO
        + _message(Command.OPEN, 5, 0, b"shell,v2,raw:cat\0")
        + _message(Command.WRTE, 5, 1, b"\x09\xff\xff\xff\xff"),
        _HELLO
        + _message(Command.OPEN, 5, 0, b"shell,v2,pty:cat\0")
        + _message(Command.WRTE, 5, 1, b"\x05\x02\0\0\0xx"),
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
    sent = _SYNC + _message(Command.WRTE, 5, 1, request_)
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
    talk(virtual_phone.port, _SYNC + _message(Command.WRTE, 5, 1, begun))
    assert device.shell(f"ls {folder}") == ""


def test_listening_is_on_loopback_alone(virtual_phone: VirtualPhone) -> None:
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = [row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{virtual_phone.port:04X}")]
    assert listening == [f"0100007F:{virtual_phone.port:04X}"]


def test_storage_survives_and_programs_do_not(started: Any, adb: Adb) -> None:
    phone = started()
    device = adb.on(phone)
    device.shell("echo kept > /data/local/tmp/note; setsid sleep 4242 > /dev/null 2>&1 < /dev/null &")
    assert "sleep 4242" in subprocess.run(["ps", "-ef"], capture_output=True, text=True).stdout
    assert phones.stop(phone.serial) == phone
    assert phone not in phones.running()
    assert "sleep 4242" not in subprocess.run(["ps", "-ef"], capture_output=True, text=True).stdout
    again = started(port=phone.port)
    assert again.serial == phone.serial
    assert adb.on(again).shell("cat /data/local/tmp/note") == "kept\n"


def test_a_phone_that_was_killed_is_forgotten(started: Any) -> None:
    phone = started()
    os.kill(phone.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while phone in phones.running():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    with pytest.raises(NoDevice, match=phone.serial):
        phones.stop(phone.serial)
    assert started(port=phone.port).serial == phone.serial


def test_mistakes_have_words(started: Any, virtual_phone: VirtualPhone, adb: Adb) -> None:
    with pytest.raises(VirtualPhoneError, match="running on this port already"):
        started(port=virtual_phone.port)
    with socket.socket() as busy:
        port = free_port(odd=True)
        busy.bind(("127.0.0.1", port))
        busy.listen()
        with pytest.raises(VirtualPhoneError, match=f"port {port} .* Address already in use"):
            started(port=port)
    with pytest.raises(VirtualPhoneError, match="5556"):
        started(port=5556)
    with pytest.raises(UnknownName, match="pixel-9"):
        started("pixel-9")
    with pytest.raises(VirtualPhoneError, match="1000 bytes"):
        started(ram=1000)
    with pytest.raises(NoDevice, match="emulator-1"):
        phones.stop("emulator-1")
    assert virtual_phone in phones.running()


def test_without_an_adb_server_a_phone_starts_as_well(phone_home: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path))
        phone = phones.start(port=free_port(odd=True), adb_server=("127.0.0.1", free_port()))
    try:
        assert talk(phone.port, _HELLO)[:4] == b"CNXN"
    finally:
        phones.stop(phone.port)


def test_a_wrong_adb_server_is_told(
    virtual_phone: VirtualPhone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The port of another phone is no adb server's; nothing is left running."""
    port = free_port(odd=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(VirtualPhoneError, match="adb server"):
        phones.start(port=port, adb_server=("127.0.0.1", virtual_phone.port))
    assert all(phone.port != port for phone in phones.running())


def test_the_default_port_is_in_the_range_servers_look_at(phone_home: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path))
        phone = phones.start(adb_server=("127.0.0.1", free_port()))
    try:
        assert phone.port in phones.PORTS
        assert phone.serial == f"emulator-{phone.port - 1}"
    finally:
        phones.stop(phone.port)


def test_a_memory_limit(started: Any, adb: Adb) -> None:
    phone = started(ram=64 * MB)
    device = adb.on(phone)
    assert phone.ram_bytes == 64 * MB
    assert device.shell("grep MemTotal /proc/meminfo").split()[1] == str(64 * MB // 1024)
    # The kernel takes programs first, from their first moment, and the daemon never while there is one.
    marks = device.shell("(cat /proc/self/oom_score_adj); cat /proc/1/oom_score_adj").split()
    assert int(marks[0]) == 1000 > int(marks[1])
    assert device.shell(HOG.format(size=16 * MB)) == "0\n"
    done = device.run("shell", HOG.format(size=200 * MB))
    assert done.stdout.split()[-1] == b"137"
    assert (
        device.run("shell", "exec sh -c 'x=$(head -c 200000000 /dev/zero | tr \"\\0\" x); echo ${#x}'").returncode
        == 137
    )
    assert device.shell("echo alive") == "alive\n"
    phones.stop(phone.port)
    assert list(Path("/sys/fs/cgroup").rglob(f"fr-bench-phone-{phone.port}")) == []


# ---- translated phones


def elf(abi: str, text: bytes, status: int) -> bytes:
    """A static program in machine code: write(1, text) and exit(status)."""
    words_of = {
        # mov x0,1; adr x1,text; mov x2,len; mov x8,64; svc 0; mov x0,status; mov x8,93; svc 0
        "arm64-v8a": (
            0xD2800020, 0x100000E1, 0xD2800002 | len(text) << 5, 0xD2800808, 0xD4000001,
            0xD2800000 | status << 5, 0xD2800BA8, 0xD4000001,
        ),
        # mov r0,1; add r1,pc,20; mov r2,len; mov r7,4; svc 0; mov r0,status; mov r7,1; svc 0
        "armeabi-v7a": (
            0xE3A00001, 0xE28F1014, 0xE3A02000 | len(text), 0xE3A07004, 0xEF000000,
            0xE3A00000 | status, 0xE3A07001, 0xEF000000,
        ),
    }  # fmt: skip
    code = struct.pack("<8I", *words_of[abi]) + text
    base = 0x10000
    if abi == "arm64-v8a":
        size = 64 + 56
        head = struct.pack("<HHIQQQIHHHHHH", 2, 0xB7, 1, base + size, 64, 0, 0, 64, 56, 1, 0, 0, 0)
        load = struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size + len(code), size + len(code), 0x1000)
    else:
        size = 52 + 32
        head = struct.pack("<HHIIIIIHHHHHH", 2, 0x28, 1, base + size, 52, 0, 0x5000200, 52, 32, 1, 0, 0, 0)
        load = struct.pack("<IIIIIIII", 1, 0, base, base, size + len(code), size + len(code), 5, 0x1000)
    return b"\x7fELF" + bytes([2 if abi == "arm64-v8a" else 1, 1, 1]) + bytes(9) + head + load + code


@pytest.mark.parametrize(
    ("profile", "abi", "qemu"),
    [("pixel-8-arm64", "arm64-v8a", "qemu-aarch64-static"), ("moto-g5-arm", "armeabi-v7a", "qemu-arm-static")],
)
def test_programs_of_another_processor(
    started: Any, adb: Adb, tmp_path: Path, profile: str, abi: str, qemu: str
) -> None:
    native = {"arm64-v8a": "aarch64", "armeabi-v7a": "armv7l"}[abi] == platform.machine()
    if not native and shutil.which(qemu) is None:
        with pytest.raises(ToolMissing) as caught:
            started(profile)
        assert "qemu-user-static" in caught.value.fix
        return
    phone = started(profile)
    device = adb.on(phone)
    assert phone.abi == abi
    assert device.shell("getprop ro.product.cpu.abilist").strip() == abi
    assert device.shell("getprop ro.bench.translation").strip() == ("" if native else "qemu-user")
    (tmp_path / "program").write_bytes(elf(abi, b"hello\n", 7))
    (tmp_path / "program").chmod(0o755)
    assert device.run("push", str(tmp_path / "program"), "/data/local/tmp/x/program").returncode == 0
    for command in (
        "/data/local/tmp/x/program",
        "cd /data/local/tmp/x && taskset 1 ./program a b",
        "exec timeout 10 /data/local/tmp/x/program",
    ):
        done = device.run("shell", command)
        assert (done.stdout, done.stderr, done.returncode) == (b"hello\n", b"", 7), command
    assert device.shell("uname; id -u") == "Linux\n2000\n"
    # Nor can a shell change what the kernel was told.
    assert device.run("shell", "echo -1 > /mnt/status").returncode != 0


# ---- other users, other kernels

_REMOTE = """
import json, sys
from bench.virtual import phone
port, server = int(sys.argv[2]), int(sys.argv[3])
if sys.argv[1] == "start":
    made = phone.start(port=port, ram_bytes=64_000_000, adb_server=("127.0.0.1", server))
    print(json.dumps([made.serial, made.isolation, made.isolation_reason, str(made.folder)]))
else:
    phone.stop(port)
    print(json.dumps([p.serial for p in phone.running()]))
"""


_KNOCK = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10) as door:
    door.sendall(bytes.fromhex(sys.argv[2]))
    print(door.recv(4).decode())
"""


class Elsewhere:
    """The library in another process, as another user or under another kernel's rules."""

    def __init__(self, prefix: list[str], home: Path, adb: Adb) -> None:
        self.prefix, self.home, self.adb, self.port = prefix, home, adb, free_port(odd=True)

    def call(self, verb: str) -> Any:
        places = {"XDG_STATE_HOME": str(self.home / "state"), "XDG_CACHE_HOME": str(self.home / "cache")}
        environment = {**os.environ, **places, "PYTHONPATH": str(Path(__file__).parents[2])}
        arguments = [*self.prefix, sys.executable, "-c", _REMOTE, verb, str(self.port), str(self.adb.port)]
        done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that another user may have, which pytest's own are not."""
    name = Path(tempfile.mkdtemp(prefix="bench-phone-"))
    name.chmod(0o777)
    yield name
    shutil.rmtree(name)


def test_an_ordinary_user_has_a_sandbox_too(adb: Adb, open_folder: Path) -> None:
    elsewhere = Elsewhere(ordinary_user(), open_folder, adb)
    probe = [*ordinary_user(), "unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "true"]
    allowed = subprocess.run(probe, capture_output=True).returncode == 0
    serial, isolation, reason, _ = elsewhere.call("start")
    try:
        device = Adb(adb.program, adb.port, serial)
        assert isolation == ("namespaces" if allowed else "directory"), reason
        assert bool(reason) != allowed
        if allowed:
            assert int(device.shell("cat /proc/self/oom_score_adj")) == 1000
            assert device.shell("id -u; grep CapEff /proc/1/status") == "2000\nCapEff:\t0000000000000000\n"
            assert device.shell("ls -d /root /home 2>/dev/null | wc -l") == "0\n"
        assert device.shell("echo kept > /data/local/tmp/x; cat /data/local/tmp/x") == "kept\n"
        assert device.shell(HOG.format(size=200 * MB)) == "137\n"
        assert device.shell("echo alive") == "alive\n"
    finally:
        assert elsewhere.call("stop") == []


def test_without_namespaces_it_says_so_and_uses_a_directory(adb: Adb, open_folder: Path, tmp_path: Path) -> None:
    """In a user namespace that may have no further ones, the kernel refuses as a hardened one does."""
    limited = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    prefix = ["unshare", "--user", "--map-root-user", "sh", "-c", limited, "sh"]
    elsewhere = Elsewhere(prefix, open_folder, adb)
    serial, isolation, reason, folder = elsewhere.call("start")
    try:
        device = Adb(adb.program, adb.port, serial)
        assert (isolation, reason) == (
            "directory",
            "no more user namespaces are allowed (sysctl user.max_user_namespaces)",
        )
        assert "a plain directory instead" in (Path(folder) / "log.txt").read_text()
        assert (
            device.shell("getprop ro.bench.virtual; cat /sys/devices/system/cpu/possible | head -c 1") == "pixel-8\n0"
        )
        (tmp_path / "file").write_bytes(os.urandom(MB))
        assert device.run("push", str(tmp_path / "file"), "/data/local/tmp/a/file").returncode == 0
        assert (
            device.shell("cd /data/local/tmp && wc -c < a/file; cat '/data/local/tmp/a/file' | wc -c").split()
            == [str(MB)] * 2
        )
        assert device.run("pull", "/data/local/tmp/a/file", str(tmp_path / "back")).returncode == 0
        assert (tmp_path / "back").read_bytes() == (tmp_path / "file").read_bytes()
        assert not Path("/data/local/tmp/a").exists()
        assert device.run("shell", "echo out; echo err >&2; exit 3").returncode == 3
        assert device.shell(HOG.format(size=200 * MB)) == "137\n"
        # A shell here has this user's rights: nobody else may have one.
        knock = [sys.executable, "-c", _KNOCK, str(elsewhere.port), _HELLO.hex()]
        assert subprocess.run(knock, capture_output=True, text=True).stdout == "CNXN\n"
        if stranger := ordinary_user():
            assert "CNXN" not in subprocess.run([*stranger, *knock], capture_output=True, text=True).stdout
        device.shell("setsid sleep 4343 > /dev/null 2>&1 < /dev/null &")
        assert "sleep 4343" in subprocess.run(["ps", "-ef"], capture_output=True, text=True).stdout
    finally:
        assert elsewhere.call("stop") == []
    assert "sleep 4343" not in subprocess.run(["ps", "-ef"], capture_output=True, text=True).stdout
