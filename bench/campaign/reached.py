"""Phones for one command, wherever they are: at an adb server, connected for it by TCP, or at hosts of a farm."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.campaign import phones
from bench.campaign.phones import HERE, Elsewhere, Stages
from bench.devices.adb import AdbServer
from bench.devices.attached import attached
from bench.devices.transport import Transport
from bench.errors import ToolMissing, UsageError

_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Reached(NamedTuple):
    """Phones, and where those of a farm hang, by serial."""

    phones: Sequence[Transport]
    hosts: Mapping[str, Elsewhere] = HERE


@contextlib.contextmanager
def reached(
    serials: Sequence[str], stages: Stages, *, adb_server: str | None = None, scheduler: str | None = None,
    credentials: Path | None = None,
) -> Iterator[Reached]:  # fmt: skip
    """The phones of those serials at an adb server or, where a scheduler is named, at its hosts; let go at the end.

    Raises what `phones.chosen`, `attached` and `bench.farm.transport.had` do, and UsageError.
    """
    if scheduler is None:
        server = AdbServer.from_address(adb_server)
        with attached(server, serials):
            yield Reached(phones.chosen(server, serials, stages))
        return
    if adb_server is not None:
        raise UsageError(
            "--scheduler and --adb-server were both given", "The workers of a farm have --adb-server; give one here."
        )
    require()
    from bench.farm import address
    from bench.farm import credentials as certificates
    from bench.farm.client import Farm
    from bench.farm.transport import had

    where = address.parse(scheduler)
    farm = Farm(where, certificates.security(credentials, where))
    try:
        with had(farm, serials) as there:
            own = _BOOT.read_text().strip() if _BOOT.exists() else ""
            for one in there:
                stages.note(f"{one.serial} is at host {one.host.name}")
            yield Reached(
                there,
                {one.serial: Elsewhere(one.host.name, "" if one.host.boot == own else one.host.boot) for one in there},
            )
            for name, sent in sorted(_sent(there).items()):
                stages.note(f"{sent:,} bytes of files were sent to host {name}; it had the rest")
    finally:
        farm.close()


def _sent(there: Sequence[object]) -> dict[str, int]:
    from bench.farm.transport import FarmTransport

    total: dict[str, int] = {}
    for one in there:
        assert isinstance(one, FarmTransport)
        total[one.host.name] = total.get(one.host.name, 0) + one.sent
    return total


def require() -> None:
    """Raises ToolMissing where the packages of a farm are not installed."""
    for package in ("distributed", "cryptography"):
        if importlib.util.find_spec(package) is None:
            raise ToolMissing(f"a farm needs the package {package}", "pip install 'fr-bench[farm]'")
