"""What several verbs share: their options, and JSON on stdout."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from bench import plan

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
Model = Annotated[list[str] | None, typer.Option("--model", help="Only this network; may be repeated.")]
Variant = Annotated[list[str] | None, typer.Option("--variant", help="Only this variant; may be repeated.")]
Threads = Annotated[list[int] | None, typer.Option("--threads", help="CPU threads; may be repeated.", min=1, max=64)]
Launches = Annotated[int | None, typer.Option("--launches", help="Fresh processes per variant.", min=1)]
Weights = Annotated[
    Path | None,
    typer.Option("--weights", help="A .frq package of the one network to run: measure its weights.", metavar="FILE"),
]
Results = Annotated[Path, typer.Option("--results", help="Where run folders are kept.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout instead of tables.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress; errors only.")]


def plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=lambda v: v.__dict__ if hasattr(v, "__dict__") else str(v)))


def print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(plain(value), indent=1, ensure_ascii=False) + "\n")
