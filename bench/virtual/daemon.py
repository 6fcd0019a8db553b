"""The virtual phone's ADB daemon: `python -m bench.virtual.daemon`, started by `bench.virtual.phone`.

It takes the port's lock, listens on loopback, goes into the sandbox (or says why it cannot), writes `record.json`,
reports one line of JSON at `--ready`, and from then on lives alone.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import json
import logging
import os
import resource
import signal
import socket
import struct
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NoReturn

from bench.cache import Cache
from bench.errors import BenchError, VirtualPhoneError
from bench.virtual import android, memory, profile, record, sandbox, shell, sync, userland
from bench.virtual.processes import Processes
from bench.virtual.wire import Connection, Service, Stream

log = logging.getLogger("bench.virtual")

FEATURES = ("shell_v2", "cmd", *sync.FEATURES, "sendrecv_v2_dry_run_send")
MAX_CONNECTIONS = 32


class Guest:
    """What answers the adb server: the services of one phone."""

    def __init__(self, root: android.Root, facts: profile.Profile, meminfo: memory.MemInfo, sandboxed: bool) -> None:
        self._root = root
        self._meminfo = meminfo
        self._sandboxed = sandboxed
        system, data = ("/system", "/data") if sandboxed else (str(root.folder / "system"), str(root.data))
        self.processes = Processes(
            shell=f"{system}/bin/sh".encode(),
            environment=android.environment(system, data),
            folder="/" if sandboxed else str(root.data),
        )
        names = {"name": facts.product, "model": facts.model, "device": facts.device}
        about = "".join(f"ro.product.{key}={value};" for key, value in names.items())
        self.banner = f"device::{about}features={','.join(FEATURES)}".encode()

    def find(self, name: bytes) -> Service | None:
        """The service of that name, None when this phone has none."""
        if name == b"sync:":
            locate = _as_it_is if self._sandboxed else self._root.confined
            return lambda stream: self._sync(stream, locate)
        request = shell.Request.parse(name)
        return None if request is None else partial(self._shell, request)

    async def _sync(self, stream: Stream, locate: sync.Locate) -> None:
        self._meminfo.update(self.processes)
        await sync.Sync(stream, locate).serve()

    async def _shell(self, request: shell.Request, stream: Stream) -> None:
        self._meminfo.update(self.processes)
        if not self._sandboxed:
            request = shell.Request(self._root.translate(request.command), request.v2, request.terminal)
        await shell.serve(stream, request, self.processes)


def _as_it_is(path: bytes, follow: bool) -> bytes:
    """Inside a sandbox there is nothing but the phone."""
    return path


async def _accept(listener: socket.socket, guest: Guest, trusted: Callable[[socket.socket], bool]) -> None:
    loop = asyncio.get_running_loop()
    connections: set[asyncio.Task[None]] = set()
    while True:
        try:
            sock, _ = await loop.sock_accept(listener)
        except OSError as error:
            log.warning("accept: %s", error)
            await asyncio.sleep(0.1)
            continue
        if len(connections) >= MAX_CONNECTIONS or not trusted(sock):
            sock.close()
            continue
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = asyncio.create_task(Connection(sock, guest.banner, guest.find).run())
        connections.add(task)
        task.add_done_callback(connections.discard)


async def _serve(listener: socket.socket, guest: Guest, watched: int | None, sandboxed: bool) -> None:
    loop = asyncio.get_running_loop()
    guest.processes.attach()
    tasks = [_accept(listener, guest, (lambda _: True) if sandboxed else _same_user)]
    if watched is not None:
        tasks.append(memory.watch(guest.processes, watched))
    if sandboxed:
        await asyncio.gather(*tasks)
        return
    # Nothing else ends the programs of a phone without a sandbox.
    serving = asyncio.gather(*tasks)
    loop.add_signal_handler(signal.SIGTERM, serving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await serving
    guest.processes.kill_all()


def _same_user(sock: socket.socket) -> bool:
    """Whether the other end of a loopback connection belongs to this user or root. Without a sandbox a shell here is
    one with this user's rights, and the port is open to everyone on the machine."""
    ends = (f"0100007F:{sock.getpeername()[1]:04X}", f"0100007F:{sock.getsockname()[1]:04X}")
    if struct.pack("=I", 1) == struct.pack(">I", 1):
        ends = (ends[0].replace("0100007F", "7F000001"), ends[1].replace("0100007F", "7F000001"))
    try:
        rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()]
    except OSError:  # not Linux: the kernel does not tell
        return True
    return any(tuple(row[1:3]) == ends and int(row[7]) in (0, os.getuid()) for row in rows if len(row) > 7)


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        raise VirtualPhoneError(
            f"port {port} of 127.0.0.1 cannot be used: {error.strerror}",
            "Choose another odd port, or leave it out to take the first free one."
            if error.errno == errno.EADDRINUSE
            else "Name an odd port above 1024.",
        ) from error
    listener.listen(MAX_CONNECTIONS)
    listener.setblocking(False)
    return listener


def _detach(options: argparse.Namespace) -> dict[str, object]:
    """Make the phone and let it live in a process of its own; returns its record. Raises BenchError."""
    folder: Path = options.folder
    lock = record.take_lock(folder)
    listener = _listen(options.port)
    facts = profile.load(options.profile)
    shown = options.ram or facts.ram_bytes
    # A shell costs three pipes; what this process may open is what all shells together may.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536) if hard > 0 else soft, hard))

    def live(root: android.Root, sandboxed: bool, watched: int | None, meminfo: memory.MemInfo) -> NoReturn:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {core.index for core in root.cores})
        guest = Guest(root, facts, meminfo, sandboxed)
        if sandboxed:
            sandbox.shield()
        else:
            sandbox.adopt_orphans()
        asyncio.run(_serve(listener, guest, watched, sandboxed))
        os._exit(0)

    tools = userland.find(Cache())
    root = android.build(facts, folder / "root", options.data, tools, sandboxed=True, storage_bytes=options.storage)
    group = memory.ControlGroup.make(f"fr-bench-phone-{options.port}", options.ram) if options.ram else None
    meminfo = memory.MemInfo(folder / "root/proc/meminfo", shown)
    reason = ""
    try:
        pid = sandbox.enter(
            root,
            before=group.enter if group else lambda: None,
            serve=lambda: live(root, True, None if group else options.ram, meminfo),
            after=group.remove if group else lambda: None,
        )
    except sandbox.Refused as error:
        reason = str(error)
        if group:
            group.remove()
        if root.translation and not root.translation.on_host():
            raise VirtualPhoneError(
                f"profile {facts.name} is for another processor, which this kernel cannot run: {reason}",
                "It needs Linux 6.7 with user namespaces, or qemu-user registered with the host "
                "(apt-get install binfmt-support qemu-user-static), or a profile that is not translated.",
            ) from error
        if options.storage:
            raise VirtualPhoneError(
                f"storage cannot be limited without a sandbox: {reason}", "Start the phone without that limit."
            ) from error
        log.warning("no sandbox, a plain directory instead: %s", reason)
        root = android.build(facts, folder / "root", options.data, tools, sandboxed=False)
        meminfo = memory.MemInfo(folder / "root/proc/meminfo", shown)
        pid = os.fork()
        if pid == 0:
            live(root, False, options.ram, meminfo)
    if root.missing:
        log.info("its Android has these commands, and this host has not: %s", ", ".join(root.missing))
    del lock
    return {
        "port": options.port,
        "pid": pid,
        "profile": facts.name,
        "abi": facts.machine_abi,
        "ram_bytes": shown,
        "isolation": "directory" if reason else "namespaces",
        "isolation_reason": reason,
        "tools": tools.name,
        "tools_reason": tools.missing,
        "translation": "qemu-user" if root.translation else "",
    }


def main() -> None:
    """The entry point; its arguments are private to `bench.virtual.phone`."""
    parser = argparse.ArgumentParser(prog="bench.virtual.daemon")
    parser.add_argument("--profile", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ram", type=int)
    parser.add_argument("--storage", type=int)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--ready", type=int, required=True)
    options = parser.parse_args()
    # What is ignored stays so in every shell of the phone: `nohup` on this side would make them deaf to a hang-up.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # The phone must not keep this pipe: its end tells that something went wrong before it began to live.
    os.set_inheritable(options.ready, False)
    try:
        answer = _detach(options)
        record.write(options.folder, answer)
    except BenchError as error:
        answer = {"error": error.what, "fix": error.fix, "kind": type(error).__name__}
    with contextlib.suppress(BrokenPipeError):
        os.write(options.ready, json.dumps(answer).encode() + b"\n")
    # Flushed already; the phone's process shares nothing with this one that an orderly exit would close for it.
    os._exit(0)


if __name__ == "__main__":
    main()
