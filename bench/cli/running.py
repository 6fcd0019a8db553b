"""The verbs of the main job: run, plan, report."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from bench import plan, units
from bench.cache import Cache
from bench.campaign import asked, past, session
from bench.campaign.changes import changed
from bench.campaign.reached import reached
from bench.campaign.resume import is_complete
from bench.cli import terminal
from bench.cli.options import (
    Credentials,
    Device,
    HistoryPlace,
    Json,
    Quiet,
    Request,
    Results,
    Resume,
    Server,
    asking,
    print_json,
)
from bench.devices.host import DESKTOP
from bench.errors import UsageError
from bench.files import reason
from bench.findings import Findings, Reach
from bench.records import RunRecord
from bench.results.folder import RunFolder, refuse_unwritable
from bench.results.history import History

DEFAULT_SUITE = "quick"
SORTS = ("accuracy", "latency", "bytes", "downloaded", "memory")
"""What variants that compete can be sorted by: those of `bench.report.rivals`."""


@asking
def run(
    request: Request,
    device: Device = None,
    resume: Resume = None,
    results: Results = Path("results"),
    history: HistoryPlace = None,
    adb_server: Server = None,
    scheduler: Annotated[
        str | None,
        typer.Option("--scheduler", help="Use phones of a farm: tls://HOST:PORT (docs/farm.md).", metavar="ADDRESS"),
    ] = None,
    credentials: Credentials = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure baseline and compressed networks on a phone and on this computer, and write a report.

    Without --device the only connected phone is used; when there is none, a virtual one is started.

    Examples:

    * `bench run --device emulator-5554`
    * `bench run --device all --suite demo`
    * `bench run --device 10.0.0.7:5555 --device [2001:db8::7]:7401`
    * `bench run --scheduler tls://lab-1:8786 --credentials ~/farm/coordinator --device all`
    * `bench run --resume results/2026-11-26-demo`
    * `bench run --plan nightly.toml --json > run.json`
    * `bench run --model lenet5 --variant baseline --variant fr-factored --threads 2`
    * `bench run --model net.py:build --weights state.pt --data val/ --input 3x64x64`
    * `bench run --model resnet18 --variant baseline --variant fr-auto:20x --variant fr-auto:100x`
    * `bench run --model unet --weights unet.frq`
    * `bench run --model lenet5 --method all --sizes 20x,100x`
    """
    begun = time.monotonic()
    resumed, serials = None, list(device or ())
    if resume:
        resumed = RunFolder(resume)
        wanted, results = _as_begun(resumed, request), resume.parent
        serials = serials or [one.serial for one in resumed.record().devices if one.kind == "phone"]
    else:
        wanted = asked_for(request)
    kept = past.place(history, results)
    kept.check()
    for place in (results, kept.path):
        refuse_unwritable(place)
    if resumed and is_complete(resumed):
        terminal.say(f"{resumed.path} is complete: there is nothing left to do", to=terminal.err)
        findings = session.report(resumed)
        if any(one.status != "failed" for one in resumed.measurements()):
            past.keep(resumed, kept, findings)  # the end of the run may have been lost before that
        _show(resumed, findings, as_json=as_json, quiet=quiet)
        return
    with terminal.watcher(quiet=quiet or as_json) as watcher, contextlib.ExitStack() as leaving:
        places = reached(
            serials, watcher, adb_server=adb_server, scheduler=scheduler, credentials=credentials if scheduler else None
        )
        chosen, hosts = leaving.enter_context(places)
        from bench.analyse.noise import recorded  # scipy takes a second to import
        from bench.campaign.compared import noises

        known = recorded(noises(kept, [DESKTOP, *(phone.serial for phone in chosen)]))
        folder, findings = session.run(
            wanted,
            chosen,
            results,
            Cache(),
            watcher,
            known,
            resumed=resumed,
            command=("bench", *sys.argv[1:]),
            hosts=hosts,
        )
        measured = folder.record()
        watcher.stage("add to the history")
        past.keep(folder, kept, findings)
    _show(folder, findings, as_json=as_json, quiet=quiet)
    if not (as_json or quiet):
        terminal.say(_times(measured, time.monotonic() - begun), to=terminal.err)


def _times(record: RunRecord, total_s: float) -> str:
    """Where the time of a run went."""
    measuring_s = record.wall_s - record.preparation_s
    parts = (
        (total_s - record.wall_s, "phone and report"),
        (record.preparation_s, "preparing"),
        (measuring_s, f"measuring, {units.duration(1e9 * record.runner_s)} of it inside the measured processes"),
    )
    words = ", ".join(f"{units.duration(1e9 * seconds)} {what}" for seconds, what in parts)
    return f"It took {units.duration(1e9 * total_s)}: {words}."


@asking
def show_plan(
    request: Request,
    device: Device = None,
    results: Results = Path("results"),
    history: HistoryPlace = None,
    as_json: Json = False,
) -> None:
    """Show what a run would do and about how long it takes, without touching a device; and which differences it can
    find on devices that the history knows.

    Examples:

    * `bench plan --suite demo`
    * `bench plan --suite demo --launches 20 --device emulator-5554`
    * `bench plan --plan nightly.toml --json`
    """
    wanted = asked_for(request)
    outline, full = asked.outline(wanted, Cache()), wanted.plan
    found = _power(wanted, past.place(history, results), device or ())
    if as_json:
        print_json({"plan": full.model_dump(mode="json"), **outline._asdict(), "power": [asdict(one) for one in found],
                    "impossible": asked.impossible(wanted)})  # fmt: skip
        return
    header = ("model", "variants", "input", "threads", "precision", "launches", "iterations", "trials")
    terminal.table(header, outline.rows, title=f"{full.name}: {full.description}".rstrip(": "), words=5)
    desktop = tuple(dict.fromkeys(name for case in full.cases for name in full.desktop_for(case)))
    beside = f" and this computer ({', '.join(desktop)})" if desktop else ""
    compressed = any(one.method for case in full.cases for one in case.variants or ())
    doubt = ", if compressed networks are as slow as ordinary ones" if compressed else ""
    terminal.say(
        f"{outline.trials} trials on one phone{beside}, about {units.duration(outline.estimate_s * 1e9)} of measuring "
        f"once everything is built and cached{doubt}."
    )
    for case in full.cases:
        protocol = full.protocol_for(case.label)
        if protocol.ratio_interval:
            budget = units.duration(1e9 * protocol.budget_seconds)
            goal = f"until ± {100 * protocol.ratio_interval:g} % is reached"
            terminal.say(f"Up to {budget} of it are for more launches of {case.label}, {goal}.")
    for sentence in asked.impossible(wanted):
        terminal.say(sentence)
    from bench.report.noise import sentences

    for sentence in sentences(found):
        terminal.say(sentence)
    if not found:
        terminal.say("Which differences it can find is not known: no device in the history. Measure: bench calibrate")


def _power(wanted: asked.Asked, history: History, serials: Sequence[str]) -> list[Reach]:
    """What the plan's launches can tell apart on these devices, or on all phones that the history knows."""
    from bench.analyse.noise import reach
    from bench.campaign.compared import noises

    known = {name for run in past.runs(history) for name in run.devices if name != DESKTOP}
    found = noises(history, [name for name in serials or known if name in known])
    launches = sorted({wanted.plan.protocol_for(case.label).launches for case in wanted.plan.cases} - {1})
    runtimes = wanted.runtimes_on_phones()
    return [
        one
        for count in launches
        for one in reach(found, count)
        if one.metric == "latency" and one.runtime in runtimes and one.finds is not None
    ]


def report(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            help="A run: its folder, name, id, tag or commit, `last`, `last~1`, …; RUN:VARIANT and RUN@DEVICE for a "
            "part of it. Several for one page of all (default: the newest folder alone).",
            metavar="RUN…",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="The page of several runs (default: report-DATE.html in --results).", metavar="FILE"
        ),
    ] = None,
    sort: Annotated[
        str,
        typer.Option(
            "--sort",
            help="Of one run: what variants that compete are sorted by: accuracy, latency, bytes, downloaded, memory.",
            autocompletion=lambda: list(SORTS),
        ),
    ] = "accuracy",
    history: HistoryPlace = None,
    results: Results = Path("results"),
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Rebuild the report of a stored run and show its tables; or show several runs, or phones, side by side on one
    page. Needs no phone.

    Examples:

    * `bench report results/2026-11-21-quick`
    * `bench report last --sort latency`
    * `bench report last~1 last`
    * `bench report pixel-8 galaxy-s24 --out phones.html`
    """
    from bench.campaign import fleet

    if sort not in SORTS:
        raise UsageError(f"--sort {sort[:40]!r} is nothing to sort by", f"Choose of {', '.join(SORTS)}.")
    kept = past.place(history, results)
    if not runs or len(runs) == 1:
        stored = fleet.single(runs[0], kept, results) if runs else RunFolder.latest(results)
        if stored is not None and out is None:
            _show(stored, session.report(stored, sort), sort, as_json=as_json, quiet=quiet)
            return
        runs = runs or [str(stored.path)] if stored is not None else runs
    _side_by_side(runs or [], out, kept, results, as_json=as_json, quiet=quiet)


def _side_by_side(
    runs: Sequence[str], out: Path | None, history: History, results: Path, *, as_json: bool, quiet: bool
) -> None:
    from bench.campaign import fleet
    from bench.report import fleet as shown

    path = out or results / f"report-{datetime.now():%Y-%m-%d}.html"
    if path.suffix != ".html":
        raise UsageError(f"--out {path} is not the name of a page", "Give it the ending .html.")
    refuse_unwritable(path.parent)
    standings = fleet.gathered(runs, history, results)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        shown.write(path, standings)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {reason(error)}", "Name another by --out.") from error
    if as_json:
        print_json({"page": str(path), "figures": shown.as_json(standings)})
        return
    if not quiet:
        terminal.sections(shown.sections(standings, pictures=False))
    terminal.say(f"Report: {path}")


def asked_for(request: Request) -> asked.Asked:
    """What the flags ask for, all its names known."""
    if request.file and request.suite:
        raise UsageError("both --plan and --suite were given", "Give one of them.")
    base = plan.load(request.file) if request.file else plan.suite(request.suite or DEFAULT_SUITE)
    return asked.checked(changed(base, request.changes))


def _as_begun(folder: RunFolder, request: Request) -> asked.Asked:
    """What a stored run was asked for. Raises UsageError for flags that would change it."""
    if request != Request.of_nothing():
        raise UsageError(
            "--resume goes on with the plan that the run was begun with, and other flags would change it",
            "Leave them out, or begin a new run.",
        )
    return asked.checked(plan.of_run(folder.record()))


def _show(folder: RunFolder, findings: Findings, sort: str = "accuracy", *, as_json: bool, quiet: bool) -> None:
    """The sentences and tables of the report, or all of it as JSON."""
    from bench.report import Context, content, rivals, values

    record = folder.record()
    context = Context.of(record, folder.measurements(), findings, sort=sort)
    shown = content(context)
    if as_json:
        stored = {"folder": str(folder.path), "record": record.model_dump(mode="json")}
        print_json(stored | values.as_json(findings, shown, rivals.plain(context)))
        return
    if not quiet:
        terminal.sections(shown)
    terminal.say(f"Report: {folder.path / 'report.html'}")
