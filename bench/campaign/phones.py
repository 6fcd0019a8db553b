"""Which phones a command is about: those that are named, the only one there is, or a virtual one started for it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Protocol

from bench import units
from bench.cache import Cache
from bench.devices import facts, hold
from bench.devices.adb import AdbServer, AdbTransport
from bench.errors import BenchError, NoDevice
from bench.records import Progress
from bench.virtual import phone as virtual

LOCKS = "locks"
"""The folder of the cache that holds the locks of devices."""


class Elsewhere(NamedTuple):
    """Where a phone of a farm hangs: the name of its host, and its computer, which is empty for this one."""

    host: str
    computer: str


HERE: Mapping[str, Elsewhere] = MappingProxyType({})
"""No phone hangs on another host."""
ALL = "all"
"""Stands for the serials of all phones that are ready."""


class Stages(Protocol):
    """The part of a watcher that is needed here."""

    def stage(self, title: str) -> Progress: ...

    def note(self, sentence: str) -> None: ...


class Row(NamedTuple):
    """A connected device. Facts are empty if its state does not let us ask."""

    serial: str
    state: str
    name: str = ""
    abis: tuple[str, ...] = ()
    ram_bytes: int | None = None
    virtual: bool | None = False
    """None if unknown."""
    translated: bool = False
    tools: str = ""
    """What a virtual phone of bench has as its shell and tools."""
    held: str = ""
    """Who measures on it; it is not asked for its facts then, which would disturb the measurement."""

    def cells(self) -> tuple[str, ...]:
        kind = "virtual, translated" if self.translated else "virtual"
        mark = {True: f" ({kind})", False: "", None: " (real or virtual: unknown)"}[self.virtual]
        if self.held:
            return (
                self.serial, self.state, f"{self.name or 'not asked'}{mark}", "not asked", "not asked",
                f"in use by {self.held}",
            )  # fmt: skip
        return (
            self.serial, self.state, f"{self.name}{mark}", ", ".join(self.abis),
            units.size(self.ram_bytes) if self.ram_bytes else "", "",
        )  # fmt: skip


def connected(server: AdbServer, cache: Cache) -> tuple[Row, ...]:
    """Everything that is connected; devices that are ready and free are asked for their facts."""
    rows = []
    for listed in server.devices():
        row = Row(listed.serial, listed.state)
        if holder := hold.holder(cache.root / LOCKS, listed.serial):
            emulated = True if listed.serial.startswith("emulator-") else None
            row = row._replace(name=server.models().get(listed.address, ""), virtual=emulated, held=str(holder))
        elif listed.state == "device":
            try:
                device = facts.phone(listed.serial, facts.probe(server.choose(listed.address)))
                virtual = None if device.facts.get("virtual") == "unknown" else device.virtual
                row = Row(
                    listed.serial, "device", device.name, device.abis, device.ram_bytes, virtual, device.translated,
                    device.facts.get("ro.bench.tools", ""),
                )  # fmt: skip
            except BenchError as error:
                row = Row(listed.serial, error.what)
        rows.append(row)
    return tuple(rows)


def chosen(server: AdbServer, serials: Sequence[str], stages: Stages) -> list[AdbTransport]:
    """The phones of those serials, or the only connected one, or a virtual phone that is started now. `all` stands for
    every phone that is ready; the others are named to `stages`.

    Raises NoDevice, SeveralDevices, Unauthorized, DeviceOffline, VirtualPhoneError.
    """
    if ALL in serials:
        return _all(server, stages)
    if serials:
        return [server.choose(serial) for serial in dict.fromkeys(serials)]
    try:
        return [server.choose(None)]
    except NoDevice:
        if server.devices() or not server.is_local or os.environ.get("ANDROID_SERIAL"):
            raise
    started = start_virtual(server, stages)
    return [server.choose(started.serial)]


def _all(server: AdbServer, stages: Stages) -> list[AdbTransport]:
    listed = server.devices()
    for one in listed:
        if one.state != "device":
            stages.note(f"{one.serial} is left out: {one.state}")
    ready = []
    for one in listed:
        try:
            ready += [server.choose(one.address)] if one.state == "device" else []
        except BenchError as error:
            stages.note(f"{one.serial} is left out: {error.what}")
    if not ready:
        raise NoDevice(
            "no phone is ready", "Plug one in, or start a virtual one: bench phone start. `bench doctor` checks each."
        )
    return ready


def start_virtual(
    server: AdbServer,
    stages: Stages,
    *,
    profile: str | None = None,
    ram_bytes: int | None = None,
    storage_bytes: int | None = None,
    port: int | None = None,
    machine: bool = False,
) -> virtual.VirtualPhone:
    """Start a virtual phone that `server` lists. It runs until it is stopped. Raises VirtualPhoneError, UnknownName."""
    server.ensure()
    why = "" if profile else "no phone is connected: "
    progress = stages.stage(f"{why}start a virtual {profile or virtual.DEFAULT}; `bench phone stop` stops it")
    return virtual.start(
        profile or virtual.DEFAULT,
        ram_bytes=ram_bytes,
        storage_bytes=storage_bytes,
        port=port,
        machine=machine,
        adb_server=server.address,
        progress=progress,
    )
