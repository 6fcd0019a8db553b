"""The verb that tries networks in runtimes: convert."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from bench import networks, runtimes
from bench.campaign import past
from bench.campaign.cell import Asked
from bench.cli import terminal
from bench.cli.options import HistoryPlace, Input, InputSize, Json, Quiet, Results, Weights, print_json, seconds, size
from bench.conversion import Cell, by_kind
from bench.errors import ExportRefused as Refused
from bench.errors import ToolMissing, UnknownName, UsageError, WrongAbi
from bench.files import reason
from bench.networks import python
from bench.results.conversions import Conversions

_STATUS = {"not installed": ToolMissing, "not here": WrongAbi, "network fails": UsageError}
"""The error whose status a kind of trouble leaves with; all others are refusals."""


def convert(
    model: Annotated[
        list[str] | None,
        typer.Argument(
            help="A name, file.py:function, module:function or a file (docs/networks.md).", metavar="NETWORK…"
        ),
    ] = None,
    all_models: Annotated[bool, typer.Option("--all-models", help="All networks that come with bench.")] = False,
    families: Annotated[
        bool,
        typer.Option("--families", help="Classifiers of 25 families, of those packages that are installed."),
    ] = False,
    runtime: Annotated[
        list[str] | None,
        typer.Option("--runtime", help="Only for this runtime; may be repeated (default: all).", metavar="NAME"),
    ] = None,
    weights: Weights = None,
    input_shape: Input = None,
    input_size: InputSize = None,
    deadline: Annotated[str, typer.Option("--deadline", help="For each network and runtime.", metavar="TIME")] = "15m",
    page: Annotated[Path | None, typer.Option("--page", help="Also write a page.", metavar="FILE.html")] = None,
    errors: Annotated[
        bool, typer.Option("--errors", help="Show what went wrong so far, counted by kind, and try nothing.")
    ] = False,
    history: HistoryPlace = None,
    results: Results = Path("results"),
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Try whether a network becomes what each runtime loads, runs here, and computes the same; else say which operator,
    on which line, in the runtime's own words, and what to do.

    Leaves with 0 when all that was asked for is equal, with 22 when something was refused (docs/exit-codes.md).

    Examples:

    * `bench convert mobilenetv2`
    * `bench convert net.py:build --input 3x64x64 --runtime onnxruntime`
    * `bench convert --all-models --page matrix.html`
    * `bench convert --errors`
    """
    kept = Conversions(past.place(history, results).path)
    if errors:
        _show_errors(kept, as_json=as_json)
        return
    if page and page.suffix != ".html":
        raise UsageError(f"--page {page} is not the name of a page", "Give it the ending .html.")
    asked = _asked(model or [], weights, input_shape or [], input_size, all_models=all_models, families=families)
    for name in runtime or ():
        runtimes.runtime(name)
    limit = seconds("--deadline", deadline) or 0.0
    if limit < 1:
        raise UsageError(f"--deadline {deadline} leaves no time", "Write e.g. 15m.")
    from bench.campaign.converting import exporting, matrix

    names = tuple(dict.fromkeys(runtime or exporting()))
    with terminal.watcher(quiet=quiet or as_json) as watcher:
        try:
            cells = matrix(asked, names, kept, watcher.stage, limit)
        except KeyboardInterrupt:
            raise KeyboardInterrupt("Interrupted; what had been tried to its end is kept.") from None
    if page:
        from bench.report.conversion import write

        try:
            write(page, cells)
        except OSError as error:
            raise UsageError(f"{page} cannot be written: {reason(error)}", "Name another by --page.") from error
    status = _status(cells, named=bool(runtime))
    if as_json:
        print_json({"cells": [cell.model_dump(mode="json") for cell in cells], "kinds": _counts(cells), "exit": status})
    elif not quiet:
        _show(cells)
    if page and not as_json:
        terminal.say(f"Page: {page}", to=terminal.err)
    raise typer.Exit(status)


def _asked(
    model: Sequence[str], weights: Path | None, inputs: Sequence[str], input_size: str | None, *, all_models: bool,
    families: bool,
) -> list[Asked]:  # fmt: skip
    """Raises UsageError and UnknownName."""
    for reference in model:
        plain = not Path(reference).suffix and "/" not in reference and not Path(reference).exists()
        if reference not in networks.names() and not python.is_reference(reference) and plain:
            raise UnknownName.of("network", reference, networks.names())
    found = [*model, *(name for name in networks.names() if all_models and name not in model)]
    if not found and not families:
        raise UsageError("no network is named", "Name one, or give --all-models or --families.")
    own = weights or inputs or input_size
    if own and (len(found) != 1 or families):
        raise UsageError(
            "--weights, --input and --input-size are of one network, and several are asked for", "Name one network."
        )
    sides = size(input_size)
    if inputs:
        networks.parse_inputs(",".join(inputs))
    asked = [
        Asked(
            label=_label(reference, found), reference=reference, runtime="", weights=str(weights) if weights else None,
            inputs=",".join(inputs) or None, input_size=sides,
        )
        for reference in dict.fromkeys(found)
    ]  # fmt: skip
    return [*asked, *(_families() if families else ())]


def _label(reference: str, all_of_them: Sequence[str]) -> str:
    """As a plan labels it; whole where two would be called the same."""
    from bench.plan import label_of

    label = label_of(reference)
    return label if [label_of(one) for one in all_of_them].count(label) == 1 else reference


def _families() -> list[Asked]:
    from bench.networks.families import FAMILIES, REFERENCE

    there = [family for family in FAMILIES if family.installed]
    if missing := sorted({family.package for family in FAMILIES if not family.installed}):
        left = f"{len(FAMILIES) - len(there)} of {len(FAMILIES)} families are left out: {', '.join(missing)} missing"
        if not there:
            raise ToolMissing(left, "pip install 'fr-bench[coverage]', and pytorchcv and vit-pytorch with --no-deps")
        terminal.say(left, to=terminal.err)
    return [
        Asked(
            label=family.name, reference=REFERENCE, runtime="", arguments={"family": family.name},
            inputs="x".join(map(str, family.shape)),
        )
        for family in there
    ]  # fmt: skip


def _status(cells: Sequence[Cell], *, named: bool) -> int:
    """Runtimes that nobody named, and that are not there, are not asked for."""
    found = set()
    for cell in cells:
        if cell.trouble and (named or cell.trouble.kind not in ("not installed", "not here")):
            found.add(_STATUS.get(cell.trouble.kind, Refused).exit_status)
    return 0 if not found else found.pop() if len(found) == 1 else Refused.exit_status


def _counts(cells: Sequence[Cell]) -> dict[str, int]:
    return {kind: len(found) for kind, found in by_kind(cells).items()}


def _show(cells: Sequence[Cell]) -> None:
    from bench.report import conversion

    table = conversion.matrix(cells)
    terminal.table(table.header, table.rows, notes=table.notes, words=table.words)
    for line in conversion.details(cells):
        terminal.say(line)
    for sentence in conversion.sentences(cells) if len({cell.network for cell in cells}) > 1 else ():
        terminal.say(sentence)


def _show_errors(kept: Conversions, *, as_json: bool) -> None:
    cells = kept.cells()
    bad = [cell for cell in cells if cell.trouble]
    if as_json:
        examples = {kind: [cell.model_dump(mode="json") for cell in found[-3:]] for kind, found in by_kind(bad).items()}
        print_json({"tried": len(cells), "kinds": _counts(bad), "examples": examples})
        return
    if not bad:
        terminal.say(f"Nothing went wrong in {len(cells)} conversions that {kept.path} knows.")
        return
    from bench.report import conversion

    table = conversion.kinds(bad)
    terminal.table(table.header, table.rows, title=f"{len(bad)} of {len(cells)} conversions", words=table.words)
