"""The verb that says which variant to take under a budget: choose."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.choice import Axis, Limit
from bench.cli import terminal
from bench.cli.options import HistoryPlace, Json, Results, print_json
from bench.errors import NothingFits, UsageError
from bench.results.folder import RunFolder

AXES: tuple[Axis, ...] = ("accuracy", "bytes", "latency", "memory", "download")


def choose(
    run: Annotated[
        str | None,
        typer.Argument(
            help="A run: its folder, name, id, tag or commit, `last`, `last~1`, … (default: the newest folder).",
            metavar="RUN",
        ),
    ] = None,
    latency: Annotated[
        str | None, typer.Option("--latency", help="Of one inference, at most, e.g. 30ms.", metavar="TIME")
    ] = None,
    memory: Annotated[
        str | None, typer.Option("--memory", help="Peak RSS of the process, at most, e.g. 100MB.", metavar="SIZE")
    ] = None,
    size: Annotated[
        str | None, typer.Option("--bytes", help="As pushed: graph and weights, at most, e.g. 2MB.", metavar="SIZE")
    ] = None,
    download: Annotated[
        str | None,
        typer.Option("--download", help="The same files packed by zstd -19, at most, e.g. 1MB.", metavar="SIZE"),
    ] = None,
    accuracy: Annotated[
        str | None,
        typer.Option(
            "--accuracy",
            help="The score, at least: 97%, 0.97, 30dB; or -1%: at most one point below the ordinary network.",
            metavar="SCORE",
        ),
    ] = None,
    best: Annotated[
        str | None,
        typer.Option(
            "--best",
            help=f"Which of those that fit: the best in {', '.join(AXES)} (default: the first of accuracy, "
            "bytes, latency and memory without a limit, else accuracy).",
            autocompletion=lambda: list(AXES),
        ),
    ] = None,
    sure: Annotated[
        bool, typer.Option("--sure", help="Only what meets every limit with all of its intervals.")
    ] = False,
    network: Annotated[str | None, typer.Option("--network", "--model", help="Variants of this network alone.")] = None,
    device: Annotated[str | None, typer.Option("--device", "-s", help="On this device.", metavar="SERIAL")] = None,
    runtime: Annotated[str | None, typer.Option("--runtime", help="Executed by this runtime.")] = None,
    threads: Annotated[int | None, typer.Option("--threads", help="With so many threads.", min=1, max=64)] = None,
    history: HistoryPlace = None,
    results: Results = Path("results"),
    as_json: Json = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
) -> None:
    """Say which variant of a stored run to take under a budget, and why; or which limit excludes all. Needs no phone.

    A limit is met for sure where the figure and all of its 95 % interval meet it; perhaps, where the figure alone does.
    Figures that must not be used (failed, tagged, translated) meet no limit.

    Exits with 0 where one was chosen, 34 where nothing fits.

    Examples:

    * `bench choose --latency 30ms --memory 100MB --bytes 2MB --accuracy -1%`
    * `bench choose last --accuracy 97% --best latency`
    * `bench choose results/2026-11-26-rivals --network unet --device R58M123 --download 1MB --sure --json`
    """  # fmt: skip
    from bench.analyse import analyse
    from bench.analyse import choose as choosing
    from bench.campaign import fleet, past
    from bench.report import Context, markdown
    from bench.report import choosing as shown

    if as_json and as_markdown:
        raise UsageError("both --json and --markdown were given", "Give one of them.")
    decides = next((axis for axis in AXES if axis == best), None)
    if best is not None and decides is None:
        raise UsageError(f"--best {best[:40]!r} is nothing to be best in", f"Choose of {', '.join(AXES)}.")
    asked: dict[Axis, str | None] = {
        "latency": latency, "memory": memory, "bytes": size, "download": download, "accuracy": accuracy,
    }  # fmt: skip
    limits: list[Limit] = [choosing.limit(axis, text) for axis, text in asked.items() if text is not None]
    folder = fleet.single(run, past.place(history, results), results) if run else RunFolder.latest(results)
    if folder is None:
        raise UsageError(f"{run} is not one run whose folder is there", "Name the folder of a run.")
    record = folder.record()
    findings = analyse(folder.settled(folder.frame()), record, folder.answers())
    contest = choosing.contest(findings, network=network, device=device, runtime=runtime, threads=threads)
    choice = choosing.choose(findings, record, contest, limits, decides, sure=sure)
    context = Context.of(record, folder.measurements(), findings)
    words = list(shown.sentences(choice, context))
    status = 0 if choice.chosen else NothingFits.exit_status
    if as_json:
        print_json(
            {"run": record.id, "folder": str(folder.path), "exit": status, "answer": words, **shown.as_json(choice)}
        )
        raise typer.Exit(status)
    table = shown.table(choice, context)
    if as_markdown:
        for line in (
            "\n\n".join(map(markdown.escaped, words)),
            "",
            markdown.table(table.header, table.rows, table.words),
        ):
            for one in line.splitlines() or [""]:
                terminal.say(one)
        raise typer.Exit(status)
    for sentence in words if choice.chosen else ():
        terminal.say(sentence)
    terminal.table(table.header, table.rows, words=table.words)
    if choice.chosen is None:
        raise NothingFits("nothing fits. " + words[0], " ".join(words[1:]) or "Loosen it, or measure more variants.")
