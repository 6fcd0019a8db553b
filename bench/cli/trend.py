"""The verb that says on which night something changed: trend."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from bench.cli import terminal
from bench.cli.compare import fraction
from bench.cli.options import HistoryPlace, Json, Results, print_json
from bench.devices.host import DESKTOP
from bench.errors import UsageError
from bench.files import reason, replace
from bench.records import METRICS


def trend(
    device: Annotated[
        list[str] | None, typer.Option("--device", "-s", help="Only this device; may be repeated (default: phones).")
    ] = None,
    network: Annotated[
        list[str] | None, typer.Option("--network", "--model", help="Only this network; may be repeated.")
    ] = None,
    variant: Annotated[list[str] | None, typer.Option("--variant", help="Only this variant; may be repeated.")] = None,
    metric: Annotated[list[str] | None, typer.Option("--metric", help="Of this figure; may be repeated.")] = None,
    since: Annotated[str, typer.Option("--since", help="From this month on, e.g. 2026-11.", metavar="MONTH")] = "",
    margin: Annotated[str, typer.Option("--margin", help="A smaller change is not told.")] = "3%",
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Draw it, as .svg or .png by the name.", metavar="FILE")
    ] = None,
    history: HistoryPlace = None,
    results: Results = Path("results"),
    as_json: Json = False,
) -> None:
    """Show a figure over all runs in the history, and since which night it has been another.

    A change is told when three nights or more lie on either side of it.

    Examples:

    * `bench trend --device R58M123ABC --network unet --plot trend.svg`
    * `bench trend --variant fr-auto --metric latency --metric vm_hwm --json`
    """
    from bench.analyse.trend import COLUMNS, trends
    from bench.campaign import past
    from bench.report import trend as shown

    wanted = metric or ["latency"]
    if unknown := [name for name in wanted if name not in METRICS]:
        raise UsageError(f"unknown metric {unknown[0]!r}", f"Choose of {', '.join(METRICS)}.")
    if since and not re.fullmatch(r"\d{4}(-\d{2})?", since):
        raise UsageError(f"--since {since[:20]!r} is not a month", "Write e.g. 2026-11.")
    if plot and plot.suffix not in (".svg", ".png"):
        raise UsageError(f"--plot {plot} is neither .svg nor .png", "Name it e.g. trend.svg.")
    kept = past.place(history, results)
    table = kept.launches(COLUMNS, since=since, device=device, model=network, variant=variant, metric=wanted)
    frame = table.to_pandas()
    if not device and (frame["device"] != DESKTOP).any():
        frame = frame[frame["device"] != DESKTOP]
    found = trends(frame, fraction(margin, "--margin"))
    if not found:
        raise UsageError(f"the history {kept.path} has nothing of the kind", "See what it has: bench results list.")
    if plot:
        from bench.report import trend_plot  # matplotlib takes half a second, and is wanted only here

        if len(found) > trend_plot.MOST:
            raise UsageError(
                f"{len(found)} trends do not fit on one plot", "Choose with --device, --network, --variant."
            )
        try:
            replace(plot, trend_plot.draw(found, plot.suffix[1:]))
        except OSError as error:
            raise UsageError(f"{plot} cannot be written: {reason(error)}", "Name another file.") from error
        terminal.say(f"Drawn: {plot}", to=terminal.err)
    if as_json:
        print_json(shown.as_json(found))
        return
    terminal.table(shown.HEADER, shown.rows(found), words=shown.WORDS)
    for sentence in shown.sentences(found) or ["No change is told."]:
        terminal.say(sentence)
