"""The verbs around devices: devices, doctor, clean, and virtual phones."""

from __future__ import annotations

from typing import Annotated

import typer

from bench import units
from bench.cache import Cache
from bench.campaign import phones
from bench.campaign.health import Health
from bench.cli import doctor, terminal
from bench.cli.options import Device, Json, Server, plain, print_json, room
from bench.devices import hold
from bench.devices.adb import FOLDER, AdbServer
from bench.devices.attached import attached

phone = typer.Typer(help="Virtual phones, for machines without a real one.", no_args_is_help=True)


def list_devices(
    adb_server: Server = None,
    health: Annotated[
        bool, typer.Option("--health", help="What is remembered of every device from run to run, connected or not.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List connected devices, whatever their state, and who measures on them.

    Examples:

    * `bench devices`
    * `bench devices --health`
    """
    if health:
        _list_health(as_json)
        return
    listed = phones.connected(AdbServer.from_address(adb_server), Cache())
    if as_json:
        print_json([row._asdict() for row in listed])
    elif listed:
        header = ("serial", "state", "what", "ABI", "memory", "use")
        terminal.table(header, [row.cells() for row in listed], words=4)
    else:
        terminal.err.print(
            "Nothing is connected. Plug a phone in with USB debugging on, or: bench phone start", soft_wrap=True
        )


def _list_health(as_json: bool) -> None:
    """What is remembered of devices, the ones that are set aside first."""
    memory = Health()
    known = sorted((memory.summary(serial) for serial in memory.known()), key=lambda one: not one.set_aside_since)
    if as_json:
        print_json([one._asdict() for one in known])
    elif known:
        rows = [
            (
                one.serial, one.last_seen or "never", str(one.runs), str(one.trials),
                ", ".join(f"{count} {kind}" for kind, count in one.failures.items()) or "none",
                f"since {one.set_aside_since}: {one.set_aside_why}" if one.set_aside_since else "",
            )
            for one in known
        ]  # fmt: skip
        terminal.table(("serial", "last seen", "runs", "trials", "failed", "set aside"), rows, words=2)
    else:
        terminal.err.print("No device is remembered yet: `bench run` remembers those it measures on.", soft_wrap=True)


def examine(device: Device = None, adb_server: Server = None, as_json: Json = False) -> None:
    """Check adb, the device, its ABI and space, and the toolchain; each with the fix.

    Exits with 1 if something is bad.
    """
    serial = device[0] if device else None
    checks = []
    server = AdbServer.from_address(adb_server)
    with attached(server, device or ()):
        for check in doctor.examine(server, serial, Cache()):
            checks.append(check)
            if not as_json:
                mark = {"ok": "[green]✓[/]", "warn": "[yellow]![/]", "bad": "[red]✗[/]"}[check.state]
                terminal.out.print(f"{mark} {check.name}: {terminal.escape(check.found)}", soft_wrap=True)
                if check.fix:
                    terminal.out.print(f"  → {terminal.escape(check.fix)}", soft_wrap=True)
    if as_json:
        print_json([check._asdict() for check in checks])
    if any(check.state == "bad" for check in checks):
        raise typer.Exit(1)


def clean(
    device: Device = None,
    adb_server: Server = None,
    cache: Annotated[
        bool, typer.Option("--cache", help="Also remove builds, training and exports on this computer.")
    ] = False,
) -> None:
    """Remove everything that bench put on a device.

    Example: `bench clean --device emulator-5554`
    """
    server = AdbServer.from_address(adb_server)
    if device or not cache:
        with attached(server, device or ()):
            for transport in [server.choose(serial) for serial in device] if device else [server.choose(None)]:
                with hold.held(Cache().root / phones.LOCKS, [transport.serial]):
                    transport.run(["rm", "-rf", FOLDER], deadline_s=120)
                terminal.err.print(f"Removed {FOLDER} from {transport.serial}.")
    if cache:
        Cache().clear()
        terminal.err.print(f"Removed builds, training and exports from {Cache().root}.")


@phone.command("start")
def phone_start(
    profile: Annotated[
        str | None, typer.Option("--profile", help="Which phone to imitate; `bench phone list` shows them.")
    ] = None,
    ram: Annotated[str | None, typer.Option("--ram", help="Memory limit, e.g. 2G or 512M.")] = None,
    storage: Annotated[
        str | None, typer.Option("--storage", help="Room for files, e.g. 200M; they are lost when it stops.")
    ] = None,
    port: Annotated[int | None, typer.Option("--port", help="An odd port, 5555 to 5585.", min=1024, max=65535)] = None,
    vm: Annotated[
        bool,
        typer.Option("--vm", help="A machine of its own: QEMU, an arm64 kernel, adbd. For answers, memory and faults."),
    ] = False,
    adb_server: Server = None,
    as_json: Json = False,
) -> None:
    """Start a virtual phone that the adb server lists as an emulator.

    Examples:

    * `bench phone start`
    * `bench phone start --profile pixel-8-arm64 --ram 2G --port 5557`
    * `bench phone start --vm --ram 1G`
    """
    from bench.virtual import phone as virtual

    with terminal.watcher(quiet=as_json) as watcher:
        started = phones.start_virtual(
            AdbServer.from_address(adb_server),
            watcher,
            profile=profile or virtual.DEFAULT,
            ram_bytes=room("--ram", ram),
            storage_bytes=room("--storage", storage),
            port=port,
            machine=vm,
        )
    if as_json:
        print_json(started)
    else:
        code = f"{started.abi}, translated by {started.translation}" if started.translation else started.abi
        terminal.out.print(
            f"{started.serial} is a virtual {started.profile} ({code}, isolated by {started.isolation}"
            + (f": {started.isolation_reason}" if started.isolation_reason else "")
            + f"). Shell and tools: {started.tools}"
            + (f" ({started.tools_reason})" if started.tools_reason else "")
            + f". Stop it with: bench phone stop {started.serial}",
            soft_wrap=True,
        )


@phone.command("stop")
def phone_stop(
    serial: Annotated[str | None, typer.Argument(help="emulator-5554, or its port (default: all of them).")] = None,
) -> None:
    """Stop virtual phones. Their storage is kept, like a real phone's."""
    from bench.virtual import phone as virtual

    serials = [serial] if serial else [p.serial for p in virtual.running()]
    for one in serials:
        terminal.err.print(f"Stopped {virtual.stop(one).serial}.")
    if not serials:
        terminal.err.print("No virtual phone is running.")


@phone.command("list")
def phone_list(as_json: Json = False) -> None:
    """List running virtual phones and the available profiles."""
    from bench.virtual import phone as virtual
    from bench.virtual.profile import profile_names

    running = virtual.running()
    if as_json:
        print_json({"running": [plain(p) for p in running], "profiles": list(profile_names())})
        return
    if running:
        rows = [
            (
                p.serial, p.profile, f"{p.abi}, translated" if p.translation else p.abi, p.isolation, p.tools,
                units.size(p.ram_bytes) if p.ram_bytes else "",
            )
            for p in running
        ]  # fmt: skip
        terminal.table(("serial", "profile", "ABI", "isolation", "shell and tools", "memory limit"), rows, words=5)
    terminal.out.print(f"Profiles: {', '.join(profile_names())}")
