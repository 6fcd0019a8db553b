"""The verb that measures how noisy a device is: calibrate."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from bench import plan
from bench.cache import Cache
from bench.campaign import asked, past, session
from bench.campaign.changes import Changes, changed
from bench.campaign.reached import reached
from bench.cli import terminal
from bench.cli.options import Device, HistoryPlace, Json, Quiet, Results, Server, print_json
from bench.results.folder import refuse_unwritable

PLAN = """
name = "calibration"
description = "a network against itself: whatever differs is noise"
desktop = []
[protocol]
launches = 20
memory_launches = 10
[[cases]]
model = "lenet5"
variants = [{ name = "baseline", label = "a" }, { name = "baseline", label = "b" }]
"""
"""What is measured: two names of the same network, in random blocks."""


def calibrate(
    device: Device = None,
    launches: Annotated[int, typer.Option("--launches", help="Fresh processes of each twin.", min=5, max=1000)] = 20,
    show: Annotated[bool, typer.Option("--show", help="Measure nothing; show what is known.")] = False,
    results: Results = Path("results"),
    history: HistoryPlace = None,
    adb_server: Server = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure the noise of a device: one small network against itself, about two minutes.

    Verdicts never call a difference within that noise. Calibrate three times, on different days or at least not one
    right after the other, and the noise from run to run is known too.

    Examples:

    * `bench calibrate --device emulator-5554`
    * `bench calibrate --show`
    """
    from bench.analyse.noise import reach
    from bench.campaign.compared import noises
    from bench.report import noise as shown

    kept = past.place(history, results)
    kept.check()
    serials = list(device or ())
    if not show:
        for folder in (results, kept.path):
            refuse_unwritable(folder)
        wanted = asked.checked(changed(plan.parse(PLAN, "calibration"), Changes(protocol={"launches": launches})))
        with terminal.watcher(quiet=quiet or as_json) as watcher, contextlib.ExitStack() as leaving:
            chosen = leaving.enter_context(reached(serials, watcher, adb_server=adb_server)).phones
            run, findings = session.run(wanted, chosen, results, Cache(), watcher, command=("bench", *sys.argv[1:]))
            past.keep(run, kept, findings)
        serials = [phone.serial for phone in chosen]
    usual = plan.Protocol().launches
    known = reach(noises(kept, serials or {name for run in past.runs(kept) for name in run.devices}), usual)
    if as_json:
        print_json([asdict(one) for one in known])
    elif known:
        terminal.table(shown.HEADER, shown.rows(known), notes=shown.notes(usual), words=shown.WORDS)
    else:
        terminal.say(f"The history {kept.path} knows nothing of any device yet: bench calibrate")
