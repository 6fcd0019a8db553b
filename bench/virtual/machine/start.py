"""Start the machine of a virtual phone. QEMU holds the phone's lock itself: it lives and is stopped like any other."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from bench.cache import Cache
from bench.errors import ToolMissing, VirtualPhoneError
from bench.records import Progress
from bench.virtual import cores, record
from bench.virtual.machine.image import ABI, TOOLS, TRANSLATION, Image, image, own_part
from bench.virtual.profile import Profile
from bench.virtual.wire import HEADER, VERSION, Command, Header, Malformed

_QEMU = "qemu-system-aarch64"
RAM_BYTES, _LEAST_BYTES = 2 << 30, 256 << 20
"""Of a machine for which no memory is named, and the least with which one starts."""
_STORAGE_BYTES, _LEAST_STORAGE_BYTES = 8 << 30, 16 << 20
_MOST_CORES = 4
_BOOT_S = 300.0
"""A machine is up after some 10 s on a computer that does nothing else."""
_USUAL_S = 30.0
_ASK_S = 5.0
_PROCESSOR = "cortex-a76"
"""ARMv8.2 with half precision and dot products, as phones have since 2019."""


def require() -> str:
    """QEMU's path. Raises ToolMissing."""
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
    made = image(cache, lambda fraction, text: progress(0.3 * fraction, text))
    lock = record.take_lock(folder)
    try:
        (folder / "root").mkdir(exist_ok=True)
        (folder / "root" / "initrd").write_bytes(made.base.read_bytes() + own_part(profile))
        # Another phone may have lived here: append, and quote only what is new.
        begin = (folder / record.LOG).stat().st_size if (folder / record.LOG).exists() else 0
        pid = _launch(qemu, made, folder, port, ram, storage, lock)
    finally:
        os.close(lock)
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
        (folder / record.RECORD).unlink(missing_ok=True)
        raise
    return facts


def _launch(qemu: str, made: Image, folder: Path, port: int, ram: int, storage: int, lock: int) -> int:
    """Start QEMU in the background; returns its process id. It keeps `lock`, and nothing of this computer but that: no
    folder, no device, no network but the one port; its disk is a file without a name, gone whenever it ends."""
    processors = min(len(cores.host_cores()), _MOST_CORES)
    log = str(folder / record.LOG).replace(",", ",,")
    pid_file = folder / "qemu.pid"
    with tempfile.TemporaryFile(dir=folder) as disk:
        disk.truncate(storage)
        command = [
            qemu, "-nodefaults", "-no-user-config", "-display", "none", "-monitor", "none", "-no-reboot",
            "-machine", "virt,gic-version=3", "-accel", "tcg,thread=multi", "-cpu", _PROCESSOR,
            "-smp", str(processors), "-m", f"{ram >> 20}M",
            "-kernel", str(made.kernel), "-initrd", str(folder / "root" / "initrd"),
            "-append", "console=ttyAMA0 quiet panic=-1",
            "-chardev", f"file,id=log,path={log},append=on", "-serial", "chardev:log",
            "-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:5555",
            "-device", "virtio-net-pci,netdev=net,romfile=",
            "-add-fd", f"fd={disk.fileno()},set=1",
            "-drive", "file=/dev/fdset/1,if=none,id=disk,format=raw,cache=unsafe",
            "-device", "virtio-blk-pci,drive=disk",
            "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
            "-daemonize", "-pidfile", str(pid_file),
        ]  # fmt: skip
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                pass_fds=[disk.fileno(), lock], start_new_session=True, timeout=60, check=False,
            )  # fmt: skip
            words = " ".join(done.stderr.split())[:300]
        except subprocess.TimeoutExpired:
            words = "no end of its start after 60 s"
            done = None
    try:
        if done is not None and done.returncode == 0:
            return int(pid_file.read_text())
    except (OSError, ValueError) as error:
        words = f"{pid_file}: {error}"
    finally:
        pid_file.unlink(missing_ok=True)
    taken = "host forwarding" in words
    raise VirtualPhoneError(
        f"port {port} of 127.0.0.1 cannot be used" if taken else f"{_QEMU} did not start: {words}",
        "Choose another odd port, or leave it out to take the first free one."
        if taken
        else "Debian's package is qemu-system-arm; it needs version 7 or newer.",
    )


def _wait(folder: Path, port: int, log_begin: int, progress: Progress) -> None:
    """Until the machine's adb daemon answers. Raises VirtualPhoneError when it ends, or does not in time."""
    begin = time.monotonic()
    why = f"no answer after {_BOOT_S:.0f} s"
    while (past := time.monotonic() - begin) < _BOOT_S:
        progress(0.3 + 0.6 * min(past / _USUAL_S, 1), f"the machine starts its kernel ({past:.0f} s)")
        if not record.is_locked(folder):
            why = "it ended"
            break
        if _answers(port):
            return
        time.sleep(0.5)
    with (folder / record.LOG).open("rb") as log:
        log.seek(log_begin)
        said = log.read(1 << 16).decode("utf-8", "replace").split("\n")[-4:]
    raise VirtualPhoneError(
        f"the machine did not start: {why}; it said last: {' / '.join(line.strip() for line in said if line.strip())}",
        f"Its log: {folder / record.LOG}",
    )


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
