"""`python -m benchmarks.nightly [SERIAL]`: three nights on one phone, the third with a network that does 10 % more.

The network is ten equal blocks; on the third night it has eleven. The phone's noise from run to run is learnt first, by
calibrations: without that 15 % stand for it, and 10 % cannot be told. Prints what each night says, and the message of
the third. Without a SERIAL `bench` takes the phone that is there, or starts a virtual one.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

CALIBRATIONS = 5
NETWORK = """
from torch import nn

def build(blocks: int = 10) -> nn.Module:
    layers = [nn.Conv2d(1, 16, 3, padding=1), nn.ReLU()]
    for _ in range(blocks):
        layers += [nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4))
"""
PLAN = """
name = "night"
desktop = []
[protocol]
launches = 10
memory_launches = 5
[[cases]]
model = "NET:build"
label = "net"
arguments = { blocks = BLOCKS }
input = "1x64x64"
variants = ["baseline"]
"""


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "bench.cli", *arguments], stdout=subprocess.PIPE, text=True)


def night(folder: Path, blocks: int, where: list[str]) -> dict[str, Any]:
    plan = folder / "plan.toml"
    plan.write_text(PLAN.replace("NET", str(folder / "net.py")).replace("BLOCKS", str(blocks)))
    found: dict[str, Any] = json.loads(bench("nightly", "--plan", str(plan), *where, "--json", "-q").stdout)
    print(f"{blocks} blocks: exit {found['exit']}, {found['status']}", flush=True)
    for one in found["verdicts"]:
        floor = one["floor"]["value"] if one["floor"] else float("nan")
        first = f", at first ×{one['suspected']['ratio']:.3f}" if one["suspected"] else ""
        print(
            f"  {one['metric']}: {one['word']}, ×{one['ratio'] or 1:.3f}{first} (noise floor {floor:.1%})", flush=True
        )
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "net.py").write_text(NETWORK)
        where = ["--results", str(folder / "results"), *(part for serial in sys.argv[1:2] for part in ("-s", serial))]
        for _ in range(CALIBRATIONS):
            bench("calibrate", "--launches", "5", *where, "-q")
        print(bench("calibrate", "--show", "--results", str(folder / "results")).stdout, flush=True)
        for blocks in (10, 10, 11):
            found = night(folder, blocks, where)
        print(Path(found["files"]["markdown"]).read_text())


if __name__ == "__main__":
    main()
