"""`python -m benchmarks.lanes`: what bench itself costs per trial with 1, 2, 4 and 8 phones beside each other.

Each virtual phone runs a program that sleeps and prints what a memory launch prints, so that nothing but bench and adb
is at work: what a trial takes beyond the sleep is theirs. Efficiency is the time of one phone over that of several,
each with as many trials.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from bench.campaign.lane import Patience
from bench.campaign.measuring import Progressed, measure
from bench.cli import terminal
from bench.devices.adb import AdbServer
from bench.measure.job import CONTRACT
from bench.results.folder import RunFolder
from benchmarks.soak import shelf
from tests.faults.injector import Injector
from tests.faults.kit import END, Bed, beside, event

PHONES = (1, 2, 4, 8)


def runner(seconds: float) -> str:
    """A runner, as the text of a shell script, that sleeps where another one infers."""
    memory = event("memory", vm_hwm=1000, pss=900, anonymous=800)
    loaded = event("load", ns=5) + event("first_inference", ns=7)
    return event("environment", contract=CONTRACT, cpus_allowed="0-7") + f"sleep {seconds:g}\n" + loaded + memory + END


def measured(injectors: Sequence[Injector], trials: int, seconds: float, home: Path) -> tuple[float, float, float]:
    """Wall time of so many trials on each of these phones, the median of what a trial took, and the seconds of this
    process's processor."""
    server = AdbServer(*injectors[0].maker.adb.address)
    beds = [Bed.on(server.choose(one.phone.serial), home / one.phone.serial, runner(seconds)) for one in injectors]
    folder = RunFolder.create(home / "results", f"lanes-{len(injectors)}", datetime.now())
    progressed = Progressed()
    used, begun = _processor_s(), time.perf_counter()
    measure(beside(beds, trials), folder, terminal.Quiet(), progressed, Patience())
    wall_s, used_s = time.perf_counter() - begun, _processor_s() - used
    stored = folder.measurements()
    if not progressed.complete or {one.status for one in stored} != {"ok"} or len(stored) != trials * len(injectors):
        raise SystemExit(f"not all trials were measured: {next((m.reason for m in stored if m.reason), 'no reason')}")
    return wall_s, statistics.median(one.wall_s for one in stored), used_s


def _processor_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=20, help="on each phone")
    parser.add_argument("--seconds", type=float, default=1.0, help="that a trial sleeps")
    given = parser.parse_args()
    rows, alone_s = [], 0.0
    with tempfile.TemporaryDirectory() as made, shelf(max(PHONES), Path(made)) as injectors:
        measured(injectors[:1], 2, given.seconds, Path(made))  # imports, and the first connection
        for count in PHONES:
            wall_s, trial_s, used_s = measured(injectors[:count], given.trials, given.seconds, Path(made))
            alone_s = alone_s or wall_s
            cost_s = wall_s / given.trials - given.seconds
            rows.append(
                (
                    str(count), str(count * given.trials), f"{wall_s:.1f} s", f"{1000 * cost_s:.0f} ms",
                    f"{1000 * (trial_s - given.seconds):.0f} ms", f"{1000 * used_s / count / given.trials:.0f} ms",
                    f"{alone_s / wall_s:.1%}".replace("%", " %"),
                )
            )  # fmt: skip
    header = ("phones", "trials", "wall", "cost of a trial", "of it the launch", "processor of bench", "efficiency")
    terminal.table(header, rows, notes=[f"A trial sleeps {given.seconds:g} s; its cost is what it takes beyond that."])


if __name__ == "__main__":
    main()
