"""Everything that must hold before a run, each with what was found and what to do."""

from __future__ import annotations

import ctypes
import importlib.util
import shutil
from collections.abc import Iterator
from typing import NamedTuple

from bench import runtimes, units
from bench.cache import Cache
from bench.devices import facts
from bench.devices.adb import FOLDER, AdbServer
from bench.devices.words import clean
from bench.errors import BenchError
from bench.measure import gates
from bench.runtimes.ncnn.toolchain import ABIS

CACHE_WANTED = 3_000_000_000
"""Bytes: ncnn's build tree for three ABIs, and the exported UNet."""


class Check(NamedTuple):
    """One answer. `state` is "ok", "warn" (a run works, with less) or "bad"."""

    name: str
    state: str
    found: str
    fix: str = ""


def examine(server: AdbServer, serial: str | None, cache: Cache) -> Iterator[Check]:
    """The checks, in the order in which one depends on the other; those that depend on a bad one are left out."""
    yield from _tools(cache)
    try:
        listed, version, mismatch = server.devices(), server.version(), server.mismatch()
    except BenchError as error:
        yield Check("adb server", "bad", error.what, error.fix)
        return
    yield Check("adb server", "ok", f"{version} at {server.host}:{server.port}")
    if mismatch:
        yield Check(
            "adb version", "warn", mismatch, "Use adb programs of one version on this computer (`which -a adb`)."
        )
    if not listed:
        yield Check(
            "devices",
            "warn",
            "none connected",
            "Plug a phone in with USB debugging on. `bench run` starts a virtual one.",
        )
        return
    yield Check("devices", "ok", ", ".join(f"{d.serial} ({d.state})" for d in listed))
    try:
        transport = server.choose(serial)
        sections = facts.probe(transport)
        room = transport.run(["mkdir", "-p", FOLDER], deadline_s=30)
    except BenchError as error:
        yield Check("device", "bad", error.what, error.fix)
        return
    device = facts.phone(transport.serial, sections)
    yield Check("device", "ok", f"{device.serial}: {device.name}, {device.os}")
    if room.status:
        yield Check(
            "folder",
            "bad",
            f"{FOLDER}: {clean(room.stderr or room.stdout)}",
            "The shell user must be able to write there.",
        )
    for gate in gates.preflight(device, facts.conditions(sections), ABIS):
        state = {"ok": "ok", "bad": "bad"}.get(gate.state, "warn")
        yield Check(gate.name, state, gate.found, gate.advice)


def _tools(cache: Cache) -> Iterator[Check]:
    for module, purpose in (
        ("ziglang", "compiler"),
        ("cmake", "build"),
        ("ninja", "build"),
        ("pnnx", "export"),
        ("torch", "reference"),
    ):
        there = importlib.util.find_spec(module) is not None
        yield Check(
            module, "ok" if there else "bad", f"{purpose}: {'found' if there else 'missing'}",
            "" if there else f"pip install {module}",
        )  # fmt: skip
    yield from _runtimes()
    for tool in ("qemu-aarch64-static", "qemu-arm-static"):
        if not shutil.which(tool):
            yield Check(tool, "warn", "missing", "Only virtual ARM phones need it: apt install qemu-user-static")
    cache.root.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache.root).free
    yield Check(
        "cache", "ok" if free > CACHE_WANTED else "warn", f"{units.size(free)} free at {cache.root}",
        "" if free > CACHE_WANTED else "Builds may fail; set XDG_CACHE_HOME to a larger disk.",
    )  # fmt: skip


def _runtimes() -> Iterator[Check]:
    """Runtimes that need more: whether what writes their files is installed, and what they open is there."""
    for name in runtimes.RUNTIMES.names():
        try:
            exporters = getattr(runtimes.runtime(name), "exporters", {})
        except BenchError as error:
            yield Check(name, "warn", error.what, error.fix)
            continue
        lacking = [module for module in exporters if importlib.util.find_spec(module) is None]
        if lacking:
            yield Check(
                name, "warn", f"runtime: {', '.join(lacking)} missing", f"pip install '{exporters[lacking[0]]}'"
            )
        elif exporters:
            yield Check(name, "ok", "runtime: what writes its files is found")
        for library, source in getattr(runtimes.runtime(name), "opens", {}).items():
            there = _opens(library)
            yield Check(
                name, "ok" if there else "warn", f"runtime: {library} {'found' if there else 'missing'}",
                "" if there else f"Only {name} needs it: {source}",
            )  # fmt: skip


def _opens(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
