"""The verb that trains a network on the phone itself: train."""

from __future__ import annotations

import math
import sys
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from bench import networks, plan, units
from bench.cache import Cache
from bench.campaign import taught
from bench.campaign.changes import Changes, changed
from bench.campaign.learning import MOST
from bench.campaign.reached import reached
from bench.cli import terminal
from bench.cli.options import DataPath, Input, Json, Quiet, Results, Server, print_json
from bench.errors import UsageError
from bench.files import replace
from bench.measure.training import Training
from bench.prepare.learning import ALPHAS
from bench.report import learning
from bench.results.folder import refuse_unwritable

_USUAL = ",".join(f"{alpha:g}" for alpha in ALPHAS)
_MOST_ALPHAS = 16
_LEAST, _LARGEST = 1e-12, 1e12


class Matrix(StrEnum):
    FLOAT32 = "float32"
    FLOAT16 = "float16"
    FILE = "file"


def train(
    model: Annotated[
        str, typer.Argument(help="The network whose task is to be learnt: its pictures and its classes, e.g. lenet5.")
    ],
    device: Annotated[
        str | None, typer.Option("--device", "-s", help="Serial of the phone, or host:port.", metavar="SERIAL")
    ] = None,
    here: Annotated[bool, typer.Option("--here", help="Train on this computer, by the same program.")] = False,
    neurons: Annotated[
        list[int] | None,
        typer.Option("--neurons", help="Of the hidden layer (default: 1024); may be repeated.", min=1, max=MOST),
    ] = None,
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Instead: sizes doubled until the phone's memory ends, then the gap halved.")
    ] = False,
    alphas: Annotated[
        str,
        typer.Option(
            "--alphas",
            help="Regularisations; of several the one is taken that does best on an eighth of the pictures, which is "
            "not learnt from.",
            metavar="ALPHA,…",
        ),
    ] = _USUAL,
    matrix: Annotated[
        Matrix,
        typer.Option("--matrix", help="What the matrix is kept as: float32 or float16 in memory, or in a file."),
    ] = Matrix.FLOAT32,
    seed: Annotated[int, typer.Option("--seed", help="Decides everything random.", min=0, max=2**31 - 1)] = 1,
    threads: Annotated[int, typer.Option("--threads", help="CPU threads.", min=1, max=64)] = 1,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare",
            help="Also solve it on this computer in float64 (up to 8,192 neurons), and ask the network itself, which "
            "is trained if it is not.",
        ),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The package, of several sizes the last (default: MODEL-NEURONS.elm)."),
    ] = None,
    data: DataPath = None,
    input_shape: Input = None,
    deadline: Annotated[
        float, typer.Option("--deadline", help="Seconds that one training may take.", min=1, max=86_400)
    ] = 3600.0,
    results: Results = Path("results"),
    adb_server: Server = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train an extreme learning machine on the phone: a random hidden layer, and output weights solved for there.

    The package, a seed and the output weights in float16, is fetched and measured like any other, as `weights` of a
    variant (docs/elm.md). The training is a run of its own, whose report `bench report` shows again.

    Examples:

    * `bench train lenet5 --neurons 1024 --neurons 4096 --compare`
    * `bench train lenet5 --device emulator-5554 --neurons 19456 --matrix file`
    * `bench train lenet5 --data fashion/ --sweep`
    """
    chosen = _alphas(alphas)
    if here and device:
        raise UsageError("--here and --device were both given", "Leave one out.")
    if sweep and neurons:
        raise UsageError("--sweep and --neurons were both given", "A sweep chooses the sizes itself.")
    sizes = tuple(dict.fromkeys(neurons or [1024]))
    if compare and max(sizes) > _COMPARED:
        raise UsageError(
            f"--compare solves for at most {_COMPARED:,} neurons, and {max(sizes):,} were asked for",
            f"In float64 the matrix would take {units.size(8 * max(sizes) ** 2)}. Leave --compare out for this size.",
        )
    refuse_unwritable(results)
    case = changed(
        plan.Plan(name="train", cases=(plan.Case(model=model),)), Changes(input=input_shape or (), data=data)
    ).cases[0]
    network, cache = networks.resolve(model, inputs=case.input), Cache()
    first = Training(sizes[0], 1, seed, chosen, matrix.value, threads)
    asked = taught.Asked(case, network, first, sizes, sweep, compare, deadline, ("bench", *sys.argv[1:]))
    with terminal.watcher(quiet=quiet or as_json) as watcher:
        if here:
            done = taught.run(asked, None, results, cache, watcher)
        else:
            with reached([device] if device else [], watcher, adb_server=adb_server) as phones:
                done = taught.run(asked, phones.phones[0], results, cache, watcher)
    path = output or Path(f"{case.label}-{done.neurons}.elm")
    try:
        replace(path, done.package)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", "Choose another path with --output.") from None
    if as_json:
        print_json(_plain(path, done))
        return
    for one in done.findings.lessons:
        found = learning.table(one)
        terminal.table(found.header, found.rows, title=found.title, notes=found.notes, words=found.words)
        terminal.out.print()
        for sentence in learning.sentences(one):
            terminal.say(sentence)
    terminal.out.print(f"{terminal.escape(str(path))}: {units.size(path.stat().st_size)}", soft_wrap=True)
    terminal.out.print(f"{terminal.escape(str(done.folder.path / 'report.html'))}", soft_wrap=True)


_COMPARED = 8192


def _alphas(text: str) -> tuple[float, ...]:
    """Raises UsageError."""
    try:
        found = tuple(dict.fromkeys(float(one) for one in text.split(",")))
    except ValueError:
        found = ()
    if not found or len(found) > _MOST_ALPHAS or not all(math.isfinite(a) and _LEAST <= a <= _LARGEST for a in found):
        raise UsageError(
            f"--alphas {text!r} is not one to {_MOST_ALPHAS} numbers above zero", "Write e.g. --alphas 0.5,5,50."
        )
    return found


def _plain(path: Path, done: taught.Outcome) -> dict[str, Any]:
    stored = taught.tried(done.folder)
    (machine,) = done.folder.record().devices
    rows = [
        one.trained.model_dump(mode="json")
        | {"matrix": one.matrix, "accuracy": one.trained.accuracy}
        | ({"desktop_right": one.desktop.right, "desktop_alpha": one.desktop.alpha} if one.desktop else {})
        | ({"ordinary_right": one.ordinary.right} if one.ordinary else {})
        for one in stored
        if one.trained
    ]
    failed = [{"neurons": one.neurons, "reason": one.reason} for one in stored if not one.trained]
    most = next((one.most for one in done.findings.lessons if one.most), None)
    return {
        "run": str(done.folder.path),
        "path": str(path),
        "device": {"serial": machine.serial, "name": machine.name, "virtual": machine.virtual},
        "source": stored[0].source,
        "trainings": rows,
        "failed": failed,
        "sweep": asdict(most) | {"tried": [one.neurons for one in stored]} if most else None,
    }
