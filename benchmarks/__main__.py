"""`make bench`: how fast bench itself is. Prints one table; every figure is a median with its spread and n.

What depends on another figure is measured side by side with it in the same run. All on a virtual phone of this machine.
"""

from __future__ import annotations

import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.phones import chosen

from bench import campaign, plan, terminal
from bench.cache import Cache
from bench.devices.adb import FOLDER, AdbServer

ROUNDS = 7
BLOB = 100_000_000


def seconds(work: Callable[[], object], rounds: int = ROUNDS) -> list[float]:
    """Wall time of each of `rounds` calls."""
    found = []
    for _ in range(rounds):
        before = time.perf_counter()
        work()
        found.append(time.perf_counter() - before)
    return found


def row(name: str, values: list[float], unit: str) -> tuple[str, ...]:
    """Median, smallest and largest."""
    return (name, f"{statistics.median(values):.3g} {unit}", f"{min(values):.3g} … {max(values):.3g}", str(len(values)))


def transport(server: AdbServer) -> list[tuple[str, ...]]:
    """Round trips and throughput through the real adb server, beside a plain copy of the same bytes."""
    (phone,) = chosen(server, (), terminal.Quiet())
    phone.run(["mkdir", "-p", FOLDER], deadline_s=30)
    with tempfile.TemporaryDirectory() as folder:
        local, back = Path(folder, "blob"), Path(folder, "back")
        local.write_bytes(os.urandom(BLOB))
        remote = f"{FOLDER}/benchmark"
        shells = seconds(lambda: phone.run(["true"], deadline_s=30), 50)
        pushes = seconds(lambda: phone.push(local, remote, deadline_s=120))
        pulls = seconds(lambda: phone.pull(remote, back, deadline_s=120))
        if hashlib.sha256(back.read_bytes()).digest() != hashlib.sha256(local.read_bytes()).digest():
            sys.exit("what came back is not what was pushed")
        phone.run(["rm", "-f", remote], deadline_s=30)
        copies = seconds(lambda: subprocess.run(["cp", str(local), str(back)], check=True))
    return [
        row("shell round trip", [1000 * s for s in shells], "ms"),
        row("push 100 MB", [BLOB / s / 1e6 for s in pushes], "MB/s"),
        row("pull 100 MB", [BLOB / s / 1e6 for s in pulls], "MB/s"),
        row("cp 100 MB, for scale", [BLOB / s / 1e6 for s in copies], "MB/s"),
    ]


def overhead(server: AdbServer) -> list[tuple[str, ...]]:
    """What a run costs beyond the time inside the measured processes, everything cached."""
    walls, shares = [], []
    with tempfile.TemporaryDirectory() as results:
        for index in range(4):
            before = time.perf_counter()
            folder, _ = campaign.run(
                plan.suite("quick"), chosen(server, (), terminal.Quiet()), Path(results), Cache(), terminal.Quiet()
            )
            wall, inside = time.perf_counter() - before, folder.record().runner_s
            if index:  # The first one builds and trains what is not cached.
                walls.append(wall - inside)
                shares.append(100 * (wall - inside) / wall)
    return [row("overhead of `bench run --suite quick`", walls, "s"), row("… as a share of its wall time", shares, "%")]


def main() -> None:
    server = AdbServer.from_address(None)
    server.ensure()
    rows = transport(server) + overhead(server)
    terminal.table(("what", "median", "smallest … largest", "n"), rows, title="bench itself (virtual phone)", words=1)


if __name__ == "__main__":
    main()
