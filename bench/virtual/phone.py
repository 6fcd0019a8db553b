"""Virtual phones of this user: start, stop, list.

Each has a folder `<user state>/fr-bench/phones/<serial>/` with its lock, record, log and root. A phone lives as long
as somebody holds its lock, whatever the process table says.
Its /data is `<user cache>/fr-bench/phones/<port>-<profile>`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import platformdirs

from bench import errors
from bench.cache import Cache
from bench.errors import NoDevice, VirtualPhoneError
from bench.records import Progress
from bench.virtual import profile as profiles
from bench.virtual import record, userland
from bench.virtual.machine import start as machines
from bench.virtual.record import LOG, RECORD, VirtualPhone, is_locked, phones_folder, serial_of

__all__ = ["DEFAULT", "PORTS", "VirtualPhone", "running", "start", "stop"]

DEFAULT = "pixel-8"
PORTS = range(5555, 5586, 2)
"""Where an adb server looks for emulators when it starts; announced ones may be anywhere."""
_START_S, _LIST_S, _STOP_S = 30.0, 15.0, 10.0
_TELL_AGAIN_S = 1.0
_PROGRAM = Path(__file__).resolve().parents[2]


def running() -> tuple[VirtualPhone, ...]:
    """The phones that live, by port. Records of dead ones are forgotten."""
    found = []
    folders = sorted(phones_folder().glob("emulator-*")) if phones_folder().is_dir() else []
    for folder in folders:
        if not is_locked(folder):
            (folder / RECORD).unlink(missing_ok=True)
        elif phone := record.read(folder):
            found.append(phone)
    return tuple(sorted(found, key=lambda phone: phone.port))


def start(
    profile: str = DEFAULT,
    *,
    ram_bytes: int | None = None,
    storage_bytes: int | None = None,
    port: int | None = None,
    adb_server: tuple[str, int] = ("127.0.0.1", 5037),
    machine: bool = False,
    progress: Progress | None = None,
) -> VirtualPhone:
    """Start a phone; returns when it answers and the adb server, if one runs at `adb_server`, lists it as a device.

    `ram_bytes` is a limit that is enforced on all its programs together; without it the profile's memory is shown and
    nothing enforced. `storage_bytes` limits /data/local/tmp, which is empty then and lost when the phone stops.
    `port` must be odd; by default the first free one of 5555 to 5585.
    With `machine` the phone is an arm64 machine of its own, which really has that memory and that storage (or 2 and
    8 GiB) and loses all that it stores.
    Raises UnknownName, ToolMissing (a translator is not installed) and VirtualPhoneError.
    """
    tell = progress or (lambda fraction, text: None)
    chosen = profiles.load(profile)
    if machine:
        machines.require()
    else:
        chosen.translation()
    if ram_bytes is not None and (ram_bytes < 16 << 20 or sys.platform != "linux"):
        raise VirtualPhoneError(
            f"a phone with {ram_bytes} bytes of memory cannot be made here",
            "Give at least 16 MiB, on Linux; leave the limit out elsewhere.",
        )
    if port is None:
        port = _free_port()
    elif not 1024 < port < 65536 or port % 2 == 0:
        raise VirtualPhoneError(f"port {port} cannot be a phone's", "Name an odd port above 1024, e.g. 5555.")
    tell(0.1, f"starting {chosen.model} on port {port}")
    folder = phones_folder() / serial_of(port)
    folder.mkdir(parents=True, exist_ok=True)
    cache = Cache()
    facts: dict[str, Any]
    if machine:
        facts = machines.start(
            chosen, folder, port, cache, tell, ram_bytes=ram_bytes, storage_bytes=storage_bytes
        )  # fmt: skip
    else:
        userland.ensure(cache, lambda fraction, text: tell(0.25 + 0.1 * fraction, text))
        facts = _launch(folder, profile, ram_bytes, storage_bytes, port)
    phone = VirtualPhone(serial=folder.name, folder=folder, **facts)
    try:
        tell(0.9, f"telling the adb server about {phone.serial}")
        _announce(phone, adb_server)
    except BaseException:
        _end(phone)
        raise
    tell(1.0, f"{phone.serial} is ready")
    return phone


def stop(serial_or_port: str | int) -> VirtualPhone:
    """End a phone and all its programs; returns what it was. Its /data stays.

    Raises NoDevice when none of that serial or port runs, VirtualPhoneError when it will not go.
    """
    alive = running()
    text = str(serial_or_port)
    for phone in alive:
        if text in (phone.serial, str(phone.port)):
            _end(phone)
            return phone
    known = ", ".join(phone.serial for phone in alive)
    raise NoDevice(
        f"no virtual phone {text!r} is running", f"Running: {known}." if known else "None is. Start: bench phone start"
    )


def _free_port() -> int:
    for port in PORTS:
        if not is_locked(phones_folder() / serial_of(port)):
            with socket.socket() as probe, contextlib.suppress(OSError):
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
                return port
    raise VirtualPhoneError(
        f"no odd port from {PORTS[0]} to {PORTS[-1]} is free", "Stop a phone, or name a port above these."
    )


def _launch(folder: Path, profile: str, ram_bytes: int | None, storage_bytes: int | None, port: int) -> dict[str, Any]:
    """Start the daemon of a phone on this computer's own kernel; returns its record."""
    cache = Path(platformdirs.user_cache_dir("fr-bench", appauthor=False)) / "phones"
    data = cache / f"{port}-{profile}"
    data.mkdir(parents=True, exist_ok=True)
    arguments = ["--profile", profile, "--port", str(port), "--folder", str(folder), "--data", str(data)]
    if ram_bytes is not None:
        arguments += ["--ram", str(ram_bytes)]
    if storage_bytes is not None:
        arguments += ["--storage", str(storage_bytes)]
    path = os.pathsep.join(filter(None, (str(_PROGRAM), os.environ.get("PYTHONPATH"))))
    ready_read, ready_write = os.pipe()
    # Another phone may live on this port and write to this log: append, and quote only what is new.
    with (folder / LOG).open("ab") as log_file, os.fdopen(ready_read, "rb") as ready:
        begin = log_file.tell()
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "bench.virtual.daemon", *arguments, "--ready", str(ready_write)],
                stdin=subprocess.DEVNULL,
                stdout=log_file,
                stderr=log_file,
                pass_fds=[ready_write],
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": path},
            )
        finally:
            os.close(ready_write)
        try:
            process.wait(timeout=_START_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        answer = ready.readline()
    if not answer:
        last = (folder / LOG).read_bytes()[begin:].decode("utf-8", "replace").strip().splitlines()[-3:]
        raise VirtualPhoneError(
            f"the virtual phone did not start: {' / '.join(last) or 'it said nothing'}", f"Its log: {folder / LOG}"
        )
    facts: dict[str, Any] = json.loads(answer)
    if "error" in facts:
        raise getattr(errors, facts["kind"])(facts["error"], facts["fix"])
    return facts


def _end(phone: VirtualPhone) -> None:
    deadline = time.monotonic() + _STOP_S
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            # The lock says that it lives; a number whose owner is gone already may belong to anybody.
            if is_locked(phone.folder):
                os.kill(phone.pid, number)
        while is_locked(phone.folder):
            if time.monotonic() > deadline:
                break
            time.sleep(0.01)
        else:
            (phone.folder / RECORD).unlink(missing_ok=True)
            (phone.folder / machines.FILES).unlink(missing_ok=True)
            return
        deadline = time.monotonic() + _STOP_S
    raise VirtualPhoneError(f"{phone.serial} does not end (process {phone.pid})", f"Its log: {phone.folder / LOG}")


def _ask(server: tuple[str, int], request: str) -> str | None:
    """One request to an adb server, its answer as text; None when no server listens there.

    Raises VirtualPhoneError when what listens there does not answer as an adb server does.
    """
    try:
        connection = socket.create_connection(server, timeout=5)
    except OSError:
        return None
    try:
        with connection, connection.makefile("rwb") as pipe:
            pipe.write(f"{len(request):04x}{request}".encode())
            pipe.flush()
            if request.startswith("host:emulator:"):
                return ""  # the only request that is not answered
            if pipe.read(4) != b"OKAY":
                raise ValueError("no OKAY")
            return pipe.read(int(pipe.read(4), 16)).decode("utf-8", "replace")
    except (OSError, ValueError) as error:
        raise VirtualPhoneError(
            f"what listens at {server[0]}:{server[1]} does not answer as an adb server ({error})",
            "Name the adb server's host and port, or start one: adb start-server",
        ) from error


def _announce(phone: VirtualPhone, server: tuple[str, int]) -> None:
    """Tell the adb server, as an emulator does, and wait until it lists the phone.

    A server on another machine cannot reach this loopback and is not notified.
    """
    if server[0] not in ("127.0.0.1", "::1", "localhost"):
        return
    deadline = time.monotonic() + _LIST_S
    told = float("-inf")
    while (now := time.monotonic()) < deadline:
        # Again and again: a server that has not yet noticed the end of a phone at this port does not listen.
        if now > told + _TELL_AGAIN_S:
            told = now
            if _ask(server, f"host:emulator:{phone.port}") is None:
                return
        listed = _ask(server, "host:devices")
        if listed is None or f"{phone.serial}\tdevice\n" in listed:
            return
        time.sleep(0.02)
    raise VirtualPhoneError(
        f"the adb server at {server[0]}:{server[1]} does not list {phone.serial} as a device",
        f"Restart it: adb kill-server. The phone's log: {phone.folder / LOG}",
    )
