"""`python -m benchmarks.history`: how long `bench trend` and the noise of a device take over years of nights.

Histories of made-up launches: one phone with eight variants over 1,000 nights; and a million measurements.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from bench.cli import terminal
from bench.results.history import LAUNCHES, History, key_of
from benchmarks import spread

METRICS = {"latency": 5, "load": 5, "first_inference": 5, "decode": 5, "vm_hwm": 3, "pss": 3, "anonymous": 3}
"""And how many launches have each."""
ROUNDS = 3


def night(number: int, variants: int, dice: np.random.Generator) -> pa.Table:
    """What a night of that number keeps: a phone, one network, some variants. It is 10 % slower from night 700 on."""
    run = f"night-{number}"
    same = {
        "key": key_of({"n": number}, run), "run": run, "name": "nightly",
        "started": datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=number), "folder": f"/runs/{run}",
        "bench_version": "0", "commit": f"{number:040x}", "device": "R58M123ABC", "device_name": "a phone",
        "os": "Android 14", "virtual": False, "translated": False, "model": "unet", "ordinary": False,
        "runtime": "ncnn", "threads": 1, "precision": "fp32", "inputs": "3x96x144", "artifact": "a", "program": "p",
        "samples": "s", "protocol": "w", "cores": "any", "iterations": 100, "status": "ok", "reason": "",
        "unusable": "", "low": None, "high": None,
    }  # fmt: skip
    which = [
        (f"v{v}", metric, launch)
        for v in range(variants)
        for metric, count in METRICS.items()
        for launch in range(count)
    ]
    variant, metric, launch = zip(*which, strict=True)
    own = {
        "variant": variant, "metric": metric, "launch": launch,
        "value": 1e7 * (1.1 if number >= 700 else 1) * dice.lognormal(dice.normal(0, 0.01), 0.01, len(which)),
    }  # fmt: skip
    columns = [
        pa.array(own[f.name], f.type) if f.name in own else pa.repeat(pa.scalar(same[f.name], f.type), len(which))
        for f in LAUNCHES
    ]
    return pa.Table.from_arrays(columns, schema=LAUNCHES)


def rows(what: str, *arguments: str) -> list[tuple[str, ...]]:
    """What the command takes, the start of Python included: seconds by the clock, and of the processor, which other
    programs change less."""
    clock, processor = [], []
    for _ in range(ROUNDS):
        before, used = time.perf_counter(), os.times()
        command = [sys.executable, "-m", "bench.cli", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"})
        clock.append(time.perf_counter() - before)
        now = os.times()
        processor.append(now.children_user + now.children_system - used.children_user - used.children_system)
        if done.returncode:
            sys.exit(done.stderr)
    return [spread.row(what, clock, "s"), spread.row("… of the processor", processor, "s")]


def main() -> None:
    found = []
    dice = np.random.default_rng(1)
    for nights, variants in ((1000, 8), (1000, 35)):
        with tempfile.TemporaryDirectory() as folder:
            history, count = History(Path(folder)), 0
            for number in range(nights):
                table = night(number, variants, dice)
                history.add(table)
                count += table.num_rows
            what = f"{nights:,} nights, {count:,} measurements"
            plot = str(Path(folder, "trend.svg"))
            one = ("trend", "--history", folder, "--variant", "v0", "--plot", plot)
            found += rows(f"bench trend with a plot, {what}", *one)
            found += rows(f"bench trend of {variants} variants", "trend", "--history", folder)
            found += rows("bench calibrate --show", "calibrate", "--show", "--history", folder)
    terminal.table(spread.HEADER, found, title="The history")


if __name__ == "__main__":
    main()
