"""The life of a virtual phone: start, stop, list, memory, other processors, isolation with and without namespaces."""

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
from tests.e2e.command import bench
from tests.e2e.conftest import Adb, PhoneMaker, free_port, ordinary_user
from tests.e2e.raw_client import HELLO, talk

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


def test_a_phone_started_under_nohup_still_hangs_up(started: Any, adb: Adb) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        device = adb.on(started())
    finally:
        signal.signal(signal.SIGHUP, before)
    assert device.run("shell", "kill -HUP $$; echo survived").stdout == b""


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
        assert talk(phone.port, HELLO)[:4] == b"CNXN"
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


def test_a_machine_without_its_emulator_names_the_package(env: dict[str, str], tmp_path: Path) -> None:
    poor = {**env, "PATH": str(tmp_path)}
    done = bench("phone", "start", "--vm", "--ram", "1GB", env=poor, status=ToolMissing.exit_status)
    assert "apt-get install qemu-system-arm" in done.stderr


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
        done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=180)
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
        # Files stay inside the phone, whatever a path says and wherever a link leads.
        device.shell(f"ln -s {tmp_path} /data/local/tmp/out; ln -s {tmp_path}/file /data/local/tmp/out-file")
        for path in (f"{tmp_path}/file", f"/data/../../../../../..{tmp_path}/file", "/data/local/tmp/out/file",
                     "/data/local/tmp/out-file", "/etc/passwd"):  # fmt: skip
            assert device.run("pull", path, str(tmp_path / "stolen")).returncode != 0, path
            assert not (tmp_path / "stolen").exists()
        for path in (f"{tmp_path}/x", "/data/local/tmp/out/x", f"/data/../../../../../..{tmp_path}/x"):
            assert device.run("push", str(tmp_path / "file"), path).returncode != 0, path
            assert not (tmp_path / "x").exists()
        (tmp_path / "other").write_bytes(b"other")
        assert device.run("push", str(tmp_path / "other"), "/data/local/tmp/out-file").returncode != 0
        assert (tmp_path / "file").stat().st_size == MB
        assert device.run("shell", "echo out; echo err >&2; exit 3").returncode == 3
        assert device.shell(HOG.format(size=200 * MB)) == "137\n"
        # A shell here has this user's rights: nobody else may have one.
        knock = [sys.executable, "-c", _KNOCK, str(elsewhere.port), HELLO.hex()]
        assert subprocess.run(knock, capture_output=True, text=True).stdout == "CNXN\n"
        if stranger := ordinary_user():
            assert "CNXN" not in subprocess.run([*stranger, *knock], capture_output=True, text=True).stdout
        device.shell("setsid sleep 4343 > /dev/null 2>&1 < /dev/null &")
        assert "sleep 4343" in subprocess.run(["ps", "-ef"], capture_output=True, text=True).stdout
    finally:
        assert elsewhere.call("stop") == []
    assert "sleep 4343" not in subprocess.run(["ps", "-ef"], capture_output=True, text=True).stdout
