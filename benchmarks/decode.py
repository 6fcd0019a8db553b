"""`python -m benchmarks.decode [FILE]`: how fast the native runner's decoder makes dense float32 weights.

One thread of this machine. Beside it, in the same process and round by round, a memset and a memcpy of as many bytes.
Both in fresh memory, as when a network is loaded, where most of the time is the kernel's, handing out pages; and in
memory touched before. Without a package: one like the FR authors' UNet, 23 tensors of 33 coefficients.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from bench.cache import Cache
from bench.cli import terminal
from bench.compress.frequency import layers, package
from bench.networks import resolve
from bench.runtimes.ncnn.build import build, host_abi
from benchmarks import spread

ROUNDS = 31
KEPT = 33


def unet() -> bytes:
    """A package with the shapes of the UNet and seeded coefficients."""
    random = np.random.default_rng(0)
    sites = layers.sites(resolve("unet").learner()).values()
    tensors = (
        package.Tensor(site.shape, random.normal(size=KEPT).astype(np.float16), "prefix", transposed=site.transposed)
        for site in sites
    )
    return package.write(package.Package("unet", tuple(tensors)))


def rounds(path: Path) -> list[dict[str, int]]:
    """What `bench-frq time` prints: nanoseconds of each round."""
    tool = build(host_abi(), Cache()).frq
    done = subprocess.run([tool, "time", path, str(ROUNDS)], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decode", description=__doc__)
    parser.add_argument("package", nargs="?", type=Path, metavar="FILE", help="a .frq package")
    given = parser.parse_args().package
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "unet.frq")
        path.write_bytes(given.read_bytes() if given else unet())
        found = rounds(path)
    rows = []
    for kind, where in (("fresh", "fresh memory"), ("touched", "memory touched before")):
        decode, copy = ([r[f"{kind}_{what}"] / 1e6 for r in found] for what in ("decode", "copy"))
        rows += [
            spread.row(f"decode, {where}", decode, "ms"),
            spread.row(f"memset + memcpy, {where}", copy, "ms"),
            spread.row("… decode as a multiple of it", [a / b for a, b in zip(decode, copy, strict=True)], "×"),
        ]
    size = found[0]["bytes"] / 1e6
    title = f"{size:.0f} MB of weights from {'the given' if given else KEPT * 23} coefficients, one thread"
    terminal.table(spread.HEADER, rows, title=title)


if __name__ == "__main__":
    main()
