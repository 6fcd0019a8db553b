"""The verbs around networks and what runs them: native build, import."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bench import terminal, units
from bench.cache import Cache
from bench.cli.options import Json, Quiet, print_json
from bench.errors import UsageError

native = typer.Typer(help="The native runner.", no_args_is_help=True)
imports = typer.Typer(help="Networks that others have compressed.", no_args_is_help=True)


class Abi(StrEnum):
    ARM64 = "arm64-v8a"
    ARM = "armeabi-v7a"
    X86_64 = "x86_64"
    HOST = "host"


@native.command("build")
def native_build(
    abi: Annotated[
        list[Abi] | None, typer.Option("--abi", help="May be repeated; the host's own when left out.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Build the native runner; finished builds are kept by content.

    Example: `bench native build --abi arm64-v8a --abi armeabi-v7a`
    """
    from bench.runtimes.build import build, host_abi

    built = []
    with terminal.watcher(quiet=quiet or as_json) as watcher:
        for one in abi or [Abi.HOST]:
            name = host_abi() if one is Abi.HOST else str(one)
            built.append(build(name, Cache(), watcher.stage(f"build the native runner for {name}")))
    if as_json:
        print_json(
            [{"abi": b.abi, "path": str(b.path), "sha256": b.sha256, "bytes": b.bytes, **b.toolchain} for b in built]
        )
    else:
        terminal.table(("ABI", "size", "path"), [(b.abi, units.size(b.bytes), str(b.path)) for b in built], words=3)


@imports.command("frereg")
def import_frereg(
    checkpoint: Annotated[Path, typer.Argument(help="A state dict saved by the FR authors' package.", metavar="FILE")],
    model: Annotated[str, typer.Option("--model", help="The network that it is a checkpoint of, e.g. unet.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The package to write; MODEL.frq when left out.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Turn a checkpoint of the FR authors' `frereg` into a .frq package, exactly.

    Example: `bench import frereg unet_fr.pt --model unet`
    """
    from bench import models
    from bench.compress.frequency import frereg, package

    path = output or Path(f"{model}.frq")
    made = frereg.imported(checkpoint, models.model(model).build("frequency"), model)
    data = package.write(made)
    try:
        path.write_bytes(data)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", "Name another with --output.") from None
    if as_json:
        print_json({"path": str(path), "bytes": len(data), "coefficients": made.coefficients})
    else:
        terminal.out.print(f"{path}: {units.size(len(data))}, {made.coefficients:,} coefficients")
