"""Make `launches/NETWORK.parquet`, the recorded launches that tests of verdicts draw from: real measurements.

    bench phone start
    python -m tests.golden.record_launches emulator-5554

Each network is measured against itself under two labels, `a` and `b`, in random blocks on a virtual phone: whatever
differs between them is noise. What is in the repository was recorded on 2026-11-26 on a virtual Pixel 8 on a host of
two cores that trained a network and ran other tests at the time (load average 6 to 11). Half of the launches of lenet5
are within 0.3 % of their median, 10 of 400 took 10 to 25 % longer, most of them one after another; the inferences of
unet-small are longer than a slice of the scheduler, and its launches differ by tens of percent. The tables are rows of
the history (docs/history.md).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pyarrow.parquet as pq

from bench import plan
from bench.cache import Cache
from bench.campaign import asked, past, phones, session
from bench.cli import terminal
from bench.devices.adb import AdbServer

HERE = Path(__file__).parent / "launches"
CASES = {
    "lenet5": ("model = 'lenet5'", 200),
    "unet-small": ("model = 'unet-small'\ninput_size = [96, 144]\ndata = { samples = 4 }", 100),
}
PLAN = """
name = "recorded"
desktop = []
[protocol]
launches = {launches}
memory_launches = 40
[[cases]]
{case}
variants = [{{ name = "baseline", label = "a" }}, {{ name = "baseline", label = "b" }}]
"""


def main(serial: str) -> None:
    (phone,) = phones.chosen(AdbServer.from_address(None), [serial], terminal.Quiet())
    for name, (case, launches) in CASES.items():
        wanted = asked.checked(plan.parse(PLAN.format(case=case, launches=launches), name))
        with tempfile.TemporaryDirectory() as results, terminal.watcher(quiet=False) as watcher:
            folder, _ = session.run(wanted, [phone], Path(results), Cache(), watcher)
            pq.write_table(past.rows(folder), HERE / f"{name}.parquet", compression="zstd")


if __name__ == "__main__":
    main(*sys.argv[1:])
