"""Start the machine of a virtual phone. QEMU holds the phone's lock itself: it lives and is stopped like any other."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.cache import Cache
from bench.devices.words import clean
from bench.errors import ToolMissing, VirtualPhoneError
from bench.records import Progress
from bench.virtual import cores, record
from bench.virtual.machine.image import ABI, TOOLS, TRANSLATION, Image, image, own_part
from bench.virtual.profile import Profile
from bench.virtual.wire import HEADER, VERSION, Command, Header, Malformed

_QEMU = "qemu-system-aarch64"
_BACKGROUND = "setsid"
RAM_BYTES, _LEAST_BYTES = 2 << 30, 256 << 20
"""Of a machine for which no memory is named, and the least with which one starts."""
_STORAGE_BYTES, _LEAST_STORAGE_BYTES = 8 << 30, 16 << 20
_MOST_CORES = 4
FILES = Path("root", "initrd")
"""The machine's first file system, in the folder of the phone; of no use once it has started."""
_PID = "qemu.pid"
_PROCESS_S = 60.0
_BOOT_S = 300.0
"""A machine is up after some 10 s on a computer that does nothing else."""
_USUAL_S = 30.0
_ASK_S = 5.0
_PROCESSOR = "cortex-a76"
"""ARMv8.2 with half precision and dot products, as phones have since 2019."""


def require() -> str:
    """QEMU's path. Raises ToolMissing."""
    if sys.platform != "linux":
        raise ToolMissing(
            "a virtual phone that is a machine is made of Linux's parts, and this is not Linux",
            "Start one without --vm.",
        )
    if path := shutil.which(_QEMU):
        return path
    raise ToolMissing(
        f"a virtual phone that is a machine needs {_QEMU}, and it is not on the PATH",
        "Install it: apt-get install qemu-system-arm. Or start one without --vm.",
    )


def start(
    profile: Profile,
    folder: Path,
    port: int,
    cache: Cache,
    progress: Progress,
    *,
    ram_bytes: int | None = None,
    storage_bytes: int | None = None,
) -> dict[str, object]:
    """Start a machine that listens on `port` of 127.0.0.1; returns its record when its adb daemon answers.

    `ram_bytes` is what it has as memory, `storage_bytes` its disk, which is lost when it stops.
    Raises ToolMissing, and VirtualPhoneError when it does not start.
    """
    qemu = require()
    if profile.abi == "armeabi-v7a":
        raise VirtualPhoneError(
            f"{profile.name} is a 32-bit phone, and the machine is {ABI}", "Name another profile, e.g. pixel-8."
        )
    ram, storage = ram_bytes or RAM_BYTES, storage_bytes or _STORAGE_BYTES
    if ram < _LEAST_BYTES or storage < _LEAST_STORAGE_BYTES:
        raise VirtualPhoneError(
            f"a machine with {ram:,} bytes of memory and {storage:,} of storage cannot be made",
            f"Give at least {_LEAST_BYTES >> 20}M of memory and {_LEAST_STORAGE_BYTES >> 20}M of storage.",
        )
    made = image(cache, lambda fraction, text: progress(0.25 + 0.25 * fraction, text))
    lock = record.take_lock(folder)
    try:
        (folder / FILES).parent.mkdir(exist_ok=True)
        (folder / FILES).write_bytes(made.base.read_bytes() + own_part(profile))
        # Another phone may have lived here: append, and quote only what is new.
        begin = (folder / record.LOG).stat().st_size if (folder / record.LOG).exists() else 0
        _launch(qemu, made, folder, port, ram, storage, lock)
    finally:
        os.close(lock)
    pid = _process(folder, port, begin)
    facts: dict[str, object] = {
        "port": port,
        "pid": pid,
        "profile": profile.name,
        "abi": ABI,
        "ram_bytes": ram,
        "isolation": "machine",
        "isolation_reason": "",
        "tools": TOOLS,
        "tools_reason": "",
        "translation": TRANSLATION,
    }
    record.write(folder, facts)  # At once: should this process be killed, `bench phone stop` still knows the machine.
    try:
        _wait(folder, port, begin, progress)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            if record.is_locked(folder):
                os.kill(pid, signal.SIGKILL)
        for name in (record.RECORD, FILES, _PID):
            (folder / name).unlink(missing_ok=True)
        raise
    return facts


def _launch(qemu: str, made: Image, folder: Path, port: int, ram: int, storage: int, lock: int) -> None:
    """Start QEMU in the background. It keeps `lock`, and has nothing of this computer but its log: no folder, no
    device, no network but the one port; its disk is a file without a name, gone whenever it ends."""
    processors = min(len(cores.host_cores()), _MOST_CORES)
    (folder / _PID).unlink(missing_ok=True)
    with tempfile.TemporaryFile(dir=folder) as disk, (folder / record.LOG).open("ab") as log:
        disk.truncate(storage)
        command = [
            qemu, "-nodefaults", "-no-user-config", "-display", "none", "-monitor", "none", "-no-reboot",
            "-machine", "virt,gic-version=3", "-accel", "tcg,thread=multi", "-cpu", _PROCESSOR,
            "-smp", str(processors), "-m", f"{ram >> 20}M",
            "-kernel", str(made.kernel), "-initrd", str(folder / FILES),
            "-append", "console=ttyAMA0 quiet panic=-1", "-serial", "stdio",
            "-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:5555",
            "-device", "virtio-net-pci,netdev=net,romfile=",
            "-drive", f"file=/proc/self/fd/{disk.fileno()},if=none,id=disk,format=raw,cache=unsafe",
            "-device", "virtio-blk-pci,drive=disk",
            "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
            "-pidfile", str(folder / _PID),
        ]  # fmt: skip
        # QEMU's own way into the background is a fork, which its sandbox forbids.
        subprocess.run(
            [_BACKGROUND, "--fork", *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            pass_fds=[disk.fileno(), lock], timeout=60, check=True,
        )  # fmt: skip


def _process(folder: Path, port: int, log_begin: int) -> int:
    """QEMU's process id, once it has written it. Raises VirtualPhoneError when it ends instead."""
    end = time.monotonic() + _PROCESS_S
    while record.is_locked(folder) and time.monotonic() < end:
        with contextlib.suppress(OSError, ValueError):
            return int((folder / _PID).read_text())
        time.sleep(0.02)
    raise _failed(folder, port, log_begin, "it ended")


def _failed(folder: Path, port: int, log_begin: int, why: str) -> VirtualPhoneError:
    """What became of a start, in QEMU's or the machine's last words."""
    words = _said(folder, log_begin)
    if "host forwarding" in words:
        return VirtualPhoneError(
            f"port {port} of 127.0.0.1 cannot be used",
            "Choose another odd port, or leave it out to take the first free one.",
        )
    return VirtualPhoneError(
        f"the machine did not start: {why}; it said last: {words}",
        f"Its log: {folder / record.LOG}. QEMU has to be version 7 or newer.",
    )


def _said(folder: Path, log_begin: int) -> str:
    """The last lines of the log since that place."""
    with (folder / record.LOG).open("rb") as log:
        log.seek(max(log_begin, log.seek(0, os.SEEK_END) - 4096))
        lines = [line.strip() for line in log.read().decode("utf-8", "replace").splitlines() if line.strip()]
    return clean(" / ".join(lines[-3:]), 400) or "it said nothing"


def _wait(folder: Path, port: int, log_begin: int, progress: Progress) -> None:
    """Until the machine's adb daemon answers. Raises VirtualPhoneError when it ends, or does not in time."""
    begin = time.monotonic()
    why = f"no answer after {_BOOT_S:.0f} s"
    while (past := time.monotonic() - begin) < _BOOT_S:
        progress(0.5 + 0.4 * min(past / _USUAL_S, 1), f"the machine starts its kernel ({past:.0f} s)")
        if not record.is_locked(folder):
            why = "it ended"
            break
        if _answers(port):
            (folder / FILES).unlink(missing_ok=True)
            (folder / _PID).unlink(missing_ok=True)
            return
        time.sleep(0.5)
    raise _failed(folder, port, log_begin, why)


def _answers(port: int) -> bool:
    """Whether an adb daemon greets there. QEMU takes the connection before anybody in the machine listens."""
    words = b"host::\0"
    hello = Header(Command.CNXN, VERSION, 1 << 16, len(words), sum(words)).encode() + words
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_ASK_S) as door:
            door.sendall(hello)
            head = b""
            while len(head) < HEADER.size and (more := door.recv(HEADER.size - len(head))):
                head += more
        return Header.decode(head).command == Command.CNXN
    except (OSError, Malformed):
        return False
