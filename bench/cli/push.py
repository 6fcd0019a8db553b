"""The verb that brings an update of a network to a phone: push."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from bench import runtimes, units
from bench.cache import Cache
from bench.campaign import phones, pushing
from bench.campaign.pushing import Pushed
from bench.cli import terminal
from bench.cli.options import Json, Quiet, Server, print_json
from bench.devices import hold
from bench.devices.adb import AdbServer
from bench.devices.attached import attached
from bench.errors import UnknownName, UsageError
from bench.results.folder import RunFolder

_FORMS = {
    "whole": "the file as it is",
    "packed": "the file, packed",
    "difference": "what became of it since the file that the phone has",
}


class _File(NamedTuple):
    path: Path
    name: str


def push(
    what: Annotated[Path, typer.Argument(help="A package, or a run's folder.", metavar="PACKAGE|RUN")],
    device: Annotated[
        str | None, typer.Option("--device", "-s", help="Serial of the phone, or host:port.", metavar="SERIAL")
    ] = None,
    old: Annotated[
        Path | None,
        typer.Option("--from", help="The file that the phone has now, where bench did not push it.", metavar="OLD"),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="On the phone (default: the file's own).")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Of a run: which network.")] = None,
    variant: Annotated[str | None, typer.Option("--variant", help="Of a run: which variant.")] = None,
    adb_server: Server = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Bring a network's file to the phone as the smallest of: itself, itself packed, or the difference from the file
    that is there, and say how many bytes went.

    It is checked on the phone by its digest, and takes the old one's place in one step: whatever interrupts, one of
    both is there whole.

    Examples:

    * `bench push net.frq --device emulator-5554`
    * `bench push after.safetensors --name net.safetensors --from before.safetensors`
    * `bench push results/2026-11-26-net --variant half`
    """
    if what.is_dir():
        files = _of_run(what, model, variant)
        if len(files) > 1 and (name or old):
            flag = "--name" if name else "--from"
            raise UsageError(f"the variant has {len(files)} files, and {flag} is for one", f"Leave {flag} out.")
        files = [file._replace(name=name or file.name) for file in files]
    else:
        if model or variant:
            raise UsageError("--model and --variant are of a run's folder", f"Leave them out for the file {what}.")
        files = [_File(what, name or what.name)]
    server, cache = AdbServer.from_address(adb_server), Cache()
    with terminal.watcher(quiet=quiet or as_json) as watcher, attached(server, [device] if device else []):
        transport = server.choose(device)
        with hold.held(cache.root / phones.LOCKS, [transport.serial]):
            done = [
                pushing.push(transport, one.path, one.name, old, cache, watcher.stage(f"push {one.name}"))
                for one in files
            ]
    if as_json:
        print_json([asdict(one) for one in done])
    else:
        for one in done:
            _show(one, quiet=quiet)


def _of_run(folder: Path, model: str | None, variant: str | None) -> Sequence[_File]:
    """The files of a run's variant that phones have, each by a name of its own."""
    found = [
        artifact
        for artifact in RunFolder(folder).record().artifacts
        if model in (None, artifact.model)
        and variant in (None, artifact.variant)
        and "phone" in runtimes.runtime(artifact.runtime).places
    ]
    names = sorted({f"{artifact.model}, {artifact.variant} by {artifact.runtime}" for artifact in found})
    chosen = [artifact for artifact in found if artifact.runtime == found[0].runtime]
    if not chosen:
        raise UnknownName.of("network or variant of the run", f"{model or 'any'}, {variant or 'any'}", names)
    if len(chosen) > 1:
        raise UsageError(f"{folder} has {', '.join(names)}", "Name one by --model and --variant.")
    one = chosen[0]
    stem = f"{one.model}-{one.variant}".translate({ord(c): "_" for c in "@:/ ,"})
    return [_File(file.path, f"{stem}.{file.path.name}") for file in one.needed]


def _show(done: Pushed, *, quiet: bool) -> None:
    if done.form is None:
        terminal.say(f"{done.path} on {done.device} is this file already: 0 bytes sent")
        return
    terminal.say(
        f"{done.path} on {done.device}: {done.sent:,} bytes sent, {_FORMS[done.form]}; its digest is right there"
    )
    if quiet:
        return
    rows = [(_FORMS[offer.form], f"{offer.bytes:,}", _share(offer.bytes, done.bytes)) for offer in done.offers]
    rows.append(
        (
            "by zstd, level 19 (not used: the runner has no decoder of it)",
            f"{done.zstd:,}",
            _share(done.zstd, done.bytes),
        )
    )
    if done.zstd_from_old is not None:
        share = _share(done.zstd_from_old, done.bytes)
        rows.append(("by zstd, with the old file as its dictionary (not used)", f"{done.zstd_from_old:,}", share))
    notes = list(done.notes)
    if done.runner:
        notes.append(f"The native runner, which makes the file of its update, came first: {done.runner:,} bytes, once.")
    terminal.table(("what could come", "bytes", "of the file"), rows, notes=notes)


def _share(part: int, whole: int) -> str:
    return units.percent(part / whole)
