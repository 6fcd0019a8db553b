"""The verb that runs several networks at once under a budget that changes: schedule."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast, get_args

import typer

from bench import plan
from bench.cache import Cache
from bench.cli import terminal
from bench.cli.options import PRECISIONS, HistoryPlace, Json, Quiet, Results, Server, print_json
from bench.errors import UsageError
from bench.records import Precision
from bench.results.folder import RunFolder
from bench.scheduled import Solver, Workload

SEE = "docs/schedule.md"


def schedule(
    run: Annotated[
        str, typer.Argument(help="A run of these networks: its folder, name, id, tag, `last`, …", metavar="RUN")
    ],
    workload: Annotated[
        Path, typer.Option("--plan", help="The networks and their budget, in TOML (docs/schedule.md).", metavar="FILE")
    ],
    device: Annotated[
        str | None, typer.Option("--device", "-s", help="The phone that the run measured.", metavar="SERIAL")
    ] = None,
    rounds: Annotated[int, typer.Option("--rounds", help="Launches of each policy.", min=1, max=1000)] = 5,
    fixed: Annotated[
        int, typer.Option("--fixed", help="So many of the best fixed choices run beside it.", min=0, max=50)
    ] = 3,
    solver: Annotated[
        str,
        typer.Option(
            "--solver", help="What chooses: exact, or greedy as published.", autocompletion=lambda: get_args(Solver)
        ),
    ] = "exact",
    runtime: Annotated[str, typer.Option("--runtime", help="What executes the networks.")] = "ncnn",
    threads: Annotated[
        int | None, typer.Option("--threads", help="Of each network, as the run measured it.", min=1, max=64)
    ] = None,
    precision: Annotated[str | None, typer.Option("--precision", help="As the run measured it, e.g. fp32.")] = None,
    only_choose: Annotated[bool, typer.Option("--choose", help="Say what would run; needs no phone.")] = False,
    history: HistoryPlace = None,
    results: Results = Path("results"),
    adb_server: Server = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run several networks at once on a phone under a budget of memory and processor that changes: for each phase of it
    the variants and shares of least cost are chosen from a stored run, run together, and compared with the best fixed
    choices. Launches are kept in the run's folder; its report shows them.

    Examples:

    * `bench schedule last --plan workload.toml --choose`
    * `bench schedule results/2026-11-27-four --plan workload.toml --device emulator-5554 --rounds 6`
    """  # fmt: skip
    from bench.campaign import fleet, past, scheduling
    from bench.campaign.reached import reached
    from bench.report import schedule as shown

    if solver not in get_args(Solver):
        raise UsageError(f"--solver {solver[:40]!r} is unknown", f"Choose of {', '.join(get_args(Solver))}.")
    if precision is not None and precision not in PRECISIONS:
        raise UsageError(f"--precision {precision[:40]!r} is unknown", f"Choose of {', '.join(PRECISIONS)}.")
    wanted = plan.load_as(Workload, workload, SEE)
    folder: RunFolder | None = fleet.single(run, past.place(history, results), results)
    if folder is None:
        raise UsageError(f"{run} is not one run whose folder is there", "Name the folder of a run.")
    place = scheduling.Place(device, runtime, threads, cast("Precision | None", precision))
    with terminal.watcher(quiet=quiet or as_json) as watcher:
        watcher.stage("choose")
        asked = scheduling.asked(folder, wanted, place, solver=cast("Solver", solver), fixed=fixed, rounds=rounds)
        found = None
        if not only_choose:
            watcher.note(f"{rounds} rounds of {len(asked.policies)} policies: about {asked.seconds:,.0f} s of serving")
            with reached([asked.device.serial], watcher, adb_server=adb_server) as there:
                found = scheduling.run(asked, there.phones[0], Cache(), watcher)
    if as_json:
        chosen = shown.plain_planned(wanted, asked.planned, asked.capacities)
        print_json({"run": asked.record.id, "chosen": chosen, "measured": shown.plain(found) if found else None})
        return
    virtual = " (virtual)" if asked.device.virtual else ""
    capacities = [one for some in asked.capacities.values() for one in some]
    title = f"{wanted.name} on {asked.device.serial}{virtual}: chosen for each phase"
    one = shown.choice_table(wanted, asked.planned.adaptive, capacities, title)
    terminal.table(one.header, one.rows, title=one.title, notes=one.notes, words=one.words)
    terminal.out.print()
    for sentence in shown.planned_sentences(asked.planned):
        terminal.say(sentence)
    if found is None:
        return
    terminal.out.print()
    for table in shown.tables(found):
        terminal.table(table.header, table.rows, title=table.title, notes=table.notes, words=table.words)
        terminal.out.print()
    for notice in shown.notices(found):
        terminal.say(notice)
    for sentence in shown.sentences(found):
        terminal.say(sentence)
