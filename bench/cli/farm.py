"""The verbs of a farm, phones of several hosts: farm init, scheduler, worker, list."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from bench.cache import Cache
from bench.campaign.reached import require
from bench.cli import terminal
from bench.cli.options import Credentials, Device, Json, Scheduler, Server, print_json
from bench.devices.adb import AdbServer
from bench.errors import UsageError

app = typer.Typer(help="Phones of several hosts (docs/farm.md).", no_args_is_help=True)
MEMBERS = ("scheduler", "coordinator", "worker")


@app.command("init")
def init(
    folder: Annotated[Path, typer.Argument(help="Where they are kept.", metavar="DIR")],
    name: Annotated[
        list[str] | None,
        typer.Option("--name", help=f"Who takes part; may be repeated (default: {', '.join(MEMBERS)})."),
    ] = None,
) -> None:
    """Make a private certificate authority in DIR, and a folder with a certificate for each who takes part.

    Whoever has such a folder can run code on every host of the farm.

    Examples:

    * `bench farm init ~/farm`
    * `bench farm init ~/farm --name lab-2`
    """
    require()
    from bench.farm import credentials

    try:
        made = credentials.make(folder, name or MEMBERS)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror}", "Name another folder.") from None
    for one in made:
        terminal.say(f"{one}: copy it to who takes part as {one.name}, and nowhere else")
    terminal.say(f"{folder / credentials.AUTHORITY}: signs further ones; keep it here")


@app.command("scheduler")
def scheduler(
    listen: Annotated[
        str, typer.Option("--listen", help="tls://HOST:PORT; HOST 0.0.0.0 is every address of this computer.")
    ] = "tls://0.0.0.0:8786",
    credentials: Credentials = None,
) -> None:
    """Be the place where workers and coordinators of a farm meet, until Ctrl-C.

    Example: `bench farm scheduler --listen tls://0.0.0.0:8786 --credentials ~/farm/scheduler`
    """
    require()
    from bench.farm import address, nodes
    from bench.farm.credentials import security

    where = address.parse(listen)
    asyncio.run(nodes.scheduler(where, security(credentials, where), _tell))


@app.command("worker")
def worker(
    scheduler: Scheduler,
    credentials: Credentials = None,
    device: Device = None,
    adb_server: Server = None,
    name: Annotated[str, typer.Option("--name", help="How results name this host (default: its own name).")] = "",
) -> None:
    """Let coordinators of a farm measure on the phones of this computer, until Ctrl-C.

    Without --device it is every phone that is ready when the worker starts.

    Example: `bench farm worker --scheduler tls://lab-1:8786 --credentials ~/farm/worker`
    """
    require()
    from bench.devices.attached import attached
    from bench.farm import address, nodes
    from bench.farm.agent import Agent
    from bench.farm.credentials import security

    where = address.parse(scheduler)
    secured = security(credentials, where)
    server = AdbServer.from_address(adb_server)
    serials = tuple(one for one in device or () if one != "all")
    with attached(server, serials):
        asyncio.run(nodes.worker(where, secured, Agent(server, serials, Cache(), _tell, name), _tell))


@app.command("list")
def list_phones(scheduler: Scheduler, credentials: Credentials = None, as_json: Json = False) -> None:
    """List the phones of a farm, with their hosts.

    Example: `bench farm list --scheduler tls://lab-1:8786 --credentials ~/farm/coordinator`
    """
    require()
    from bench.farm import address
    from bench.farm.client import Farm
    from bench.farm.credentials import security

    where = address.parse(scheduler)
    farm = Farm(where, security(credentials, where))
    try:
        found = farm.phones()
    finally:
        farm.close()
    if as_json:
        print_json([{"serial": one.serial, "host": one.host.name} for one in found])
    elif found:
        terminal.table(("serial", "host"), [(one.serial, one.host.name) for one in found], words=2)
    else:
        terminal.say("No host of the farm has a phone that is ready: bench farm worker", to=terminal.err)


def _tell(sentence: str) -> None:
    """What happens, as it happens: somebody may read this in a file."""
    terminal.say(sentence)
    terminal.out.file.flush()
