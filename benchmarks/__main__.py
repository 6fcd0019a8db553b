"""`make bench`: how fast bench itself is, on a virtual phone of this machine (or another, `--device`).

Transfers stand beside a plain copy of the same bytes, taken in the same run; the overhead of a suite is its wall time
less what was spent inside measured processes, everything cached.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import plan
from bench.cache import Cache
from bench.campaign import asked, phones, session
from bench.cli import terminal
from bench.devices.adb import FOLDER, AdbServer, AdbTransport
from benchmarks import spread

SHELLS = 50
BLOB = 100_000_000


def seconds(work: Callable[[], object], rounds: int) -> list[float]:
    """Wall time of each of `rounds` calls."""
    found = []
    for _ in range(rounds):
        before = time.perf_counter()
        work()
        found.append(time.perf_counter() - before)
    return found


def transport(phone: AdbTransport, rounds: int, count: int) -> list[tuple[str, ...]]:
    """Round trips, and the throughput of `count` bytes, through the real adb server."""
    phone.run(["mkdir", "-p", FOLDER], deadline_s=30)
    with tempfile.TemporaryDirectory() as folder:
        local, back = Path(folder, "blob"), Path(folder, "back")
        local.write_bytes(os.urandom(count))
        remote = f"{FOLDER}/benchmark"
        shells = seconds(lambda: phone.run(["true"], deadline_s=30), SHELLS)
        pushes = seconds(lambda: phone.push(local, remote, deadline_s=120), rounds)
        pulls = seconds(lambda: phone.pull(remote, back, deadline_s=120), rounds)
        if hashlib.sha256(back.read_bytes()).digest() != hashlib.sha256(local.read_bytes()).digest():
            sys.exit("what came back is not what was pushed")
        phone.run(["rm", "-f", remote], deadline_s=30)
        copies = seconds(lambda: subprocess.run(["cp", str(local), str(back)], check=True), rounds)
    size = f"{count / 1e6:g} MB"
    speeds = {f"push {size}": pushes, f"pull {size}": pulls, f"cp {size}, for scale": copies}
    return [
        spread.row("shell round trip", [1000 * s for s in shells], "ms"),
        *(spread.row(name, [count / s / 1e6 for s in taken], "MB/s") for name, taken in speeds.items()),
    ]


def overhead(suite: str, phone: AdbTransport, rounds: int, cache: Cache) -> list[tuple[str, ...]]:
    """What a run of a suite costs beyond the time inside the measured processes."""
    walls, outside = [], []
    with tempfile.TemporaryDirectory() as results:
        for number in range(rounds + 1):
            before = time.perf_counter()
            wanted = asked.checked(plan.suite(suite))
            folder, _ = session.run(wanted, [phone], Path(results), cache, terminal.Quiet())
            if number:  # the first one builds and trains what is not cached
                walls.append(time.perf_counter() - before)
                outside.append(walls[-1] - folder.record().runner_s)
    shares = [100 * spent / wall for spent, wall in zip(outside, walls, strict=True)]
    return [
        spread.row(f"`bench run --suite {suite}`", walls, "s"),
        spread.row("… outside the measured processes", outside, "s"),
        spread.row("… as a share", shares, "%"),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--device", action="append", help="serial of a phone")
    parser.add_argument("--adb-server", metavar="HOST:PORT")
    parser.add_argument("--suites", nargs="*", default=["quick", "demo"], choices=plan.suites())
    parser.add_argument("--rounds", type=int, default=5, help="at least 2")
    parser.add_argument("--bytes", type=int, default=BLOB, help="of a transfer")
    given = parser.parse_args(arguments)
    (phone,) = phones.chosen(AdbServer.from_address(given.adb_server), given.device or (), terminal.Quiet())
    rows = transport(phone, given.rounds, given.bytes)
    for suite in given.suites:
        rows += overhead(suite, phone, given.rounds, Cache())
    terminal.table(spread.HEADER, rows, title=f"bench itself, on {phone.serial}")


if __name__ == "__main__":
    main()
