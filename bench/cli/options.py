"""What several verbs share: their options, and JSON on stdout."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from bench import plan, runtimes
from bench.cli import terminal
from bench.errors import UsageError
from bench.records import Precision

Precisions = StrEnum("Precisions", {name: name for name in get_args(Precision)})  # type: ignore[misc]

Device = Annotated[
    list[str] | None,
    typer.Option(
        "--device", "-s", help="Serial of a phone, as `bench devices` lists it; may be repeated.", metavar="SERIAL"
    ),
]
Server = Annotated[
    str | None, typer.Option("--adb-server", help="Use the adb server at HOST:PORT.", metavar="HOST:PORT")
]
PlanFile = Annotated[Path | None, typer.Option("--plan", help="A plan in TOML.", metavar="FILE")]
Suite = Annotated[
    str | None, typer.Option("--suite", help=f"A plan that comes with bench: {', '.join(plan.suites())}.")
]
Model = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help="Only this network: a name, file.py:function, module:function, or a file (docs/networks.md). "
        "May be repeated.",
    ),
]
Variant = Annotated[
    list[str] | None,
    typer.Option(
        "--variant",
        help="Only this variant, e.g. fr-auto, half; with a target fr-auto:20x; at a width fr-resident@1/4. "
        "May be repeated.",
    ),
]
Threads = Annotated[list[int] | None, typer.Option("--threads", help="CPU threads; may be repeated.", min=1, max=64)]
Launches = Annotated[int | None, typer.Option("--launches", help="Fresh processes per variant.", min=1)]
Weights = Annotated[
    Path | None,
    typer.Option(
        "--weights", help="Trained weights of the one network to run: a state dict or a .frq package.", metavar="FILE"
    ),
]
Input = Annotated[
    list[str] | None,
    typer.Option(
        "--input", help="Shape of an input without the batch, e.g. 3x224x224; may be repeated.", metavar="SHAPE"
    ),
]
InputSize = Annotated[
    str | None,
    typer.Option("--input-size", help="Height and width, for networks that take any.", metavar="HxW"),
]
DataPath = Annotated[
    Path | None,
    typer.Option("--data", help="Data for the network: a folder or a file (docs/data.md).", metavar="PATH"),
]
Samples = Annotated[
    int | None, typer.Option("--samples", help="Use this many samples, classes in equal numbers.", min=1)
]
PrecisionName = Annotated[
    list[Precisions] | None, typer.Option("--precision", help="How the runtime computes; may be repeated.")
]
Label = Annotated[str | None, typer.Option("--label", help="How results name the one network to run.")]
Cores = Annotated[
    str | None, typer.Option("--cores", help="Which cores: any, all, big, little, or a mask such as 0xf0.")
]
RuntimeName = Annotated[
    str | None, typer.Option("--runtime", help=f"What executes networks on phones: {', '.join(runtimes.on('phone'))}.")
]
Results = Annotated[Path, typer.Option("--results", help="Where run folders are kept.")]
HistoryPlace = Annotated[
    Path | None,
    typer.Option(
        "--history", help="Where finished runs are kept (default: `history` in --results).", metavar="DIR",
        envvar="FR_BENCH_HISTORY",
    ),
]  # fmt: skip
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout instead of tables.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress; errors only.")]


def plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=lambda v: v.__dict__ if hasattr(v, "__dict__") else str(v)))


def print_json(value: Any) -> None:
    """On stdout, in ASCII: none of its characters can control a terminal or be missing from an encoding."""
    try:
        sys.stdout.write(json.dumps(plain(value), indent=1) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        terminal.reader_gone()


def size(text: str | None) -> tuple[int, int] | None:
    """`320x480` as height and width. Raises UsageError."""
    if text is None:
        return None
    try:
        height, width = plan.shape_of(text)
    except ValueError:
        raise UsageError(f"--input-size {text!r} is not a height and a width", "Write e.g. 320x480.") from None
    return height, width
