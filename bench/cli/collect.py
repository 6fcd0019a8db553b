"""The verb that brings pictures from a phone: collect."""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from bench import units
from bench.cache import Cache
from bench.campaign import collecting, phones
from bench.campaign.collecting import Collected, Left, Limits
from bench.cli import terminal
from bench.cli.options import Json, Quiet, Server, print_json, room
from bench.devices import hold
from bench.devices.adb import AdbServer
from bench.devices.attached import attached

_SHOWN = 3
"""Files that are named for each reason."""


def collect(
    source: Annotated[str, typer.Argument(help="A folder on the phone, e.g. /sdcard/field.", metavar="FOLDER")],
    into: Annotated[Path, typer.Argument(help="A folder here; it may hold pictures already.", metavar="DIR")],
    device: Annotated[
        str | None, typer.Option("--device", "-s", help="Serial of the phone, or host:port.", metavar="SERIAL")
    ] = None,
    most: Annotated[int, typer.Option("--most", help="Pictures that are brought by one call.", min=1)] = (
        collecting.MOST
    ),
    each: Annotated[str, typer.Option("--each", help="Bytes that a picture may have.", metavar="SIZE")] = "25M",
    total: Annotated[str, typer.Option("--total", help="Bytes that one call may bring.", metavar="SIZE")] = "1G",
    adb_server: Server = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Bring the pictures of a folder on the phone, the newest first, to be labelled (bench label DIR).

    What is a picture is told by its content. Pictures are named after it, nothing is written over, and none comes
    twice: a call that was interrupted, or that reached a limit, goes on when it is run again. Nothing is changed on the
    phone.

    Examples:

    * `bench collect --device emulator-5554 /sdcard/field field/`
    * `bench collect /sdcard/DCIM/Camera field/ --most 200 --each 8M --total 500M`
    """
    limits = Limits(most, room("--each", each), room("--total", total))
    server = AdbServer.from_address(adb_server)
    with (
        terminal.watcher(quiet=quiet or as_json) as watcher,
        attached(server, [device] if device else []),
    ):
        transport = server.choose(device)
        progress = watcher.stage(f"collect from {source} of {transport.serial}")
        with hold.held(Cache().root / phones.LOCKS, [transport.serial]):  # a measurement would be disturbed
            found = collecting.collect(transport, source, into, limits, progress)
    if as_json:
        print_json(found.as_json())
    else:
        _show(found, into, quiet=quiet)


def _show(found: Collected, into: Path, *, quiet: bool) -> None:
    already = f"; {found.known:,} files were looked at before" if found.known else ""
    terminal.say(f"{into}: {len(found.new):,} new pictures, {units.size(found.bytes)}, from {found.source}{already}")
    if quiet:
        return
    if found.left:
        counted = Counter((one.kind, one.why) for one in found.left)
        rows = [
            (why, f"{count:,}", _some([one for one in found.left if (one.kind, one.why) == (kind, why)]))
            for (kind, why), count in counted.most_common()
        ]
        terminal.table(("left out because", "files", "which"), [(why, which, n) for why, n, which in rows], words=2)
    if found.new:
        terminal.say(f"Label them: bench label {shlex.quote(str(into))}", to=terminal.err)


def _some(left: list[Left]) -> str:
    names = ", ".join(one.path.rpartition("/")[2] for one in left[:_SHOWN])
    return f"{names} and {len(left) - _SHOWN:,} more" if len(left) > _SHOWN else names
