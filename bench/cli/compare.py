"""The verb that says whether something became faster or slower: compare."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from bench.cli import terminal
from bench.cli.options import HistoryPlace, Json, Results, print_json
from bench.errors import UsageError
from bench.records import METRICS

METRICS_SHOWN = ("latency", "vm_hwm", "deployed", "top1", "dice", "psnr", "largest_picture")
"""What is compared, where both sides measured it, unless --metric asks for others: one figure of each kind."""


def compare(
    before: Annotated[str, typer.Argument(help="RUN, RUN:VARIANT or RUN@DEVICE, as above.", metavar="BEFORE")],
    after: Annotated[
        str | None,
        typer.Argument(
            help="The same (default: the other variants of BEFORE against its ordinary one).", metavar="AFTER"
        ),
    ] = None,
    device: Annotated[
        list[str] | None, typer.Option("--device", "-s", help="Only this device; may be repeated.")
    ] = None,
    network: Annotated[
        list[str] | None, typer.Option("--network", "--model", help="Only this network; may be repeated.")
    ] = None,
    variant: Annotated[list[str] | None, typer.Option("--variant", help="Only this variant; may be repeated.")] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", help=f"Compare this; may be repeated (default: {', '.join(METRICS_SHOWN)})."),
    ] = None,
    margin: Annotated[
        str, typer.Option("--margin", help="A smaller difference of times and bytes is the same.")
    ] = "3%",
    history: HistoryPlace = None,
    results: Results = Path("results"),
    as_json: Json = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, for a pull request.")] = False,
) -> None:
    """Say whether AFTER is faster, slower or the same as BEFORE, or that this cannot be told.

    RUN is a folder, the name of one in --results, an id or tag of `bench results`, a commit, or `last`, `last~1`, …

    Exits with 0 where everything is the same or better, 1 where something is worse, 2 where that cannot be told.

    Examples:

    * `bench compare last~1 last`
    * `bench compare results/2026-11-26-demo:baseline results/2026-11-26-demo:fr-auto`
    * `bench compare 2026-11-26-demo --device emulator-5554`
    * `bench compare good 1a2b3c4 --network unet --margin 5% --markdown > comment.md`
    """
    from bench.analyse import verdicts
    from bench.campaign import past
    from bench.campaign.compared import compared
    from bench.report import verdicts as shown

    wanted = tuple(metric or METRICS_SHOWN)
    if unknown := [name for name in wanted if name not in METRICS]:
        raise UsageError(f"unknown metric {unknown[0]!r}", f"Choose of {', '.join(METRICS)}.")
    if as_json and as_markdown:
        raise UsageError("both --json and --markdown were given", "Give one of them.")
    found = compared(
        before, after, past.place(history, results), results, fraction(margin, "--margin"),
        {"device": device or (), "model": network or (), "variant": variant or (), "metric": wanted},
    )  # fmt: skip
    status = verdicts.overall(found)
    names = (before, after or "its other variants")
    if as_json:
        print_json({"before": names[0], "after": names[1], "exit": status, "verdicts": shown.as_json(found)})
    elif as_markdown:
        for line in shown.markdown(found, *names).splitlines():
            terminal.say(line)
    else:
        table = shown.rows(found)
        terminal.table(shown.HEADER, table.rows, notes=table.notes, words=shown.WORDS)
        terminal.say(shown.summary(found, *names))
    raise typer.Exit(status)


def fraction(text: str, option: str) -> float:
    """`3%` or `0.03` as a fraction between 0 and 1. Raises UsageError."""
    match = re.fullmatch(r"(\d{1,3}(?:\.\d{1,6})?|\.\d{1,6})\s*(%?)", text.strip())
    value = float(match[1]) / (100 if match[2] else 1) if match else -1.0
    if not 0 <= value < 1:
        raise UsageError(f"{option} {text[:40]!r} is not a share below 100 %", "Write e.g. 3%.")
    return value
