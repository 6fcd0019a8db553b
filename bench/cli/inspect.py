"""The verb that looks into a network: inspect."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench import networks, plan
from bench.cache import Cache
from bench.campaign import past
from bench.campaign.changes import Changes, changed
from bench.cli import terminal
from bench.cli.options import HistoryPlace, Input, InputSize, Json, Quiet, Results, Weights, print_json, size
from bench.errors import UsageError
from bench.files import reason, replace
from bench.results.conversions import Conversions
from bench.units import size as bytes_of

if TYPE_CHECKING:
    from bench.campaign.inspection import Inspected


def inspect(
    model: Annotated[
        str,
        typer.Argument(
            help="A name, file.py:function, module:function or a file (docs/networks.md).", metavar="NETWORK"
        ),
    ],
    weights: Weights = None,
    input_shape: Input = None,
    input_size: InputSize = None,
    top: Annotated[
        int | None, typer.Option("--top", help="Only the operators with the most multiply-adds.", min=1)
    ] = None,
    variants: Annotated[
        bool, typer.Option("--variants", help="Also try which methods can make it smaller (minutes, the first time).")
    ] = False,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Draw the cost by layer, as .png or .svg.", metavar="FILE")
    ] = None,
    history: HistoryPlace = None,
    results: Results = Path("results"),
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show what a network is made of: each operator with its line, shapes, parameters, multiply-adds and bytes; the
    memory that it needs; which runtimes take it, and which methods.

    Examples:

    * `bench inspect mobilenetv2 --top 10 --picture cost.png`
    * `bench inspect net.py:build --input 3x64x64 --variants`
    """
    if picture and picture.suffix not in (".svg", ".png"):
        raise UsageError(f"--picture {picture} is neither .svg nor .png", "Name it e.g. cost.png.")
    from bench.campaign.inspection import as_json as plain
    from bench.campaign.inspection import inspected

    asked = changed(
        plan.Plan(name="inspect", cases=(plan.Case(model=model),)),
        Changes(weights=weights, input=tuple(input_shape or ()), input_size=size(input_size)),
    ).cases[0]
    network = networks.resolve(model, weights=weights, inputs=asked.input, input_size=asked.input_size)
    kept = Conversions(past.place(history, results).path)
    with terminal.watcher(quiet=quiet or as_json) as watcher:
        found = inspected(network, kept, Cache(), watcher.stage, methods=variants)
    if picture:
        from bench.report.plots import cost as plot

        try:
            given = ", ".join("×".join(map(str, tensor.shape)) for tensor in network.inputs)
            replace(picture, plot.draw(found.layout, network.title, given, picture.suffix[1:]))
        except OSError as error:
            raise UsageError(f"{picture} cannot be written: {reason(error)}", "Name another file.") from error
        terminal.say(f"Drawn: {picture}", to=terminal.err)
    if as_json:
        print_json(plain(found))
    elif not quiet:
        _show(found, model, top)


def _show(found: Inspected, model: str, top: int | None) -> None:
    from bench.report import layers

    network, layout = found.network, found.layout
    shapes = ", ".join(layers.shape(tensor.shape) for tensor in network.inputs)
    table = layers.table(layout, f"{network.title}, input {shapes}", top)
    terminal.table(table.header, table.rows, title=table.title, notes=table.notes, words=table.words)
    worst = layout.operations[layout.peak_at]
    where = f"{worst.module} ({worst.name})" if worst.module else worst.name
    terminal.say(
        f"Memory: {bytes_of(found.memory)} in float32: weights {bytes_of(layout.weights)}, activations at most "
        f"{bytes_of(layout.peak)}, at {where}. A runtime's program and its own forms of the weights come on top "
        "(docs/inspect.md)."
    )
    for name, lacking in found.lacking.items():
        for operator, advice in lacking.items():
            terminal.say(f"{name} is known not to take {operator}: {advice}")
    for name, cell in found.converted.items():
        trouble = cell.trouble
        told = f"{trouble.kind}, {trouble.operator or trouble.said.splitlines()[0]}" if trouble else "equal"
        terminal.say(f"{name}: {told} (tried {cell.at[:10]})")
    if not found.converted:
        terminal.say(f"Which runtimes take it has not been tried: bench convert {model}")
    if found.applies is not None:
        rows = [
            (one.method, "yes" if one.bytes is not None else "no", one.target or "–",
             bytes_of(one.bytes) if one.bytes is not None else "", one.reason)
            for one in found.applies
        ]  # fmt: skip
        terminal.table(("method", "possible", "at", "package", "why not"), rows, words=5)
    else:
        terminal.say("Which methods make it smaller: --variants tries them.")
