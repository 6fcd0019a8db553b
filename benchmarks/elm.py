"""Extreme learning machines trained by the runner: right answers against float64's, time and peak of memory.

    python -m benchmarks.elm digits --sizes 1024,2048,4096 --repeats 3
    python -m benchmarks.elm fashion --sizes 1024,2048 --alphas 50
    python -m benchmarks.elm digits --sizes 19456 --alphas 50 --device emulator-5554 --matrices float32,float16,file

One JSON line a training on stdout; figures of a virtual phone say so. Fashion-MNIST is fetched as Debian packages it.
Without --device the runner works on this computer. `docs/elm.md` has the results.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.debian import Packages

_FOLDER = "usr/share/dataset-fashion-mnist"


def fashion(folder: Path) -> Path:
    """Debian's dataset-fashion-mnist, unpacked and not installed; the folder of its four files."""
    found = next(folder.rglob("train-images-idx3-ubyte*"), None)
    if found is None:
        with tempfile.TemporaryDirectory() as work:
            Packages(Path(work, "apt"), "Fashion-MNIST", "amd64").unpack(["dataset-fashion-mnist"], folder)
        found = next(folder.rglob("train-images-idx3-ubyte*"))
    return found.parent


def trained(arguments: Sequence[str]) -> dict[str, Any]:
    """What `bench train --json` says."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.cli", "train", "lenet5", "--json", *arguments],
        stdout=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=("digits", "fashion"))
    parser.add_argument("--sizes", default="1024,2048,4096")
    parser.add_argument("--matrices", default="float32")
    parser.add_argument("--alphas", default="0.5,5,50,500")
    parser.add_argument("--repeats", type=int, default=1, help="by other seeds")
    parser.add_argument("--threads", default="1")
    parser.add_argument("--device", help="serial of a phone (default: this computer)")
    parser.add_argument("--compare", action="store_true", help="solve each in float64 here, too")
    parser.add_argument("--folder", type=Path, default=Path("fashion-mnist"), help="where Fashion-MNIST is kept")
    given = parser.parse_args()
    where = ["--device", given.device] if given.device else ["--here"]
    data = ["--data", str(fashion(given.folder))] if given.data == "fashion" else []
    for matrix in given.matrices.split(","):
        for size in given.sizes.split(","):
            rows = []
            for seed in range(1, given.repeats + 1):
                with tempfile.TemporaryDirectory() as folder:
                    output = str(Path(folder, "made.elm"))
                    told = trained(
                        [
                            *where, *data, "--neurons", size, "--matrix", matrix, "--alphas", given.alphas, "--seed",
                            str(seed), "--threads", given.threads, "--deadline", "20000", "-o", output,
                            *(["--compare"] if given.compare else []),
                        ]
                    )  # fmt: skip
                if "error" in told:
                    print(json.dumps({"data": given.data, "neurons": int(size), "matrix": matrix, **told}), flush=True)
                    continue
                rows.append(told["trainings"][0])
                line = {"data": given.data, "seed": seed, "device": told["device"], **rows[-1]}
                print(json.dumps(line), flush=True)
            if len(rows) > 1:
                right = [100 * row["accuracy"] for row in rows]
                middle, spread = statistics.mean(right), statistics.stdev(right)
                print(f"{size} neurons, {matrix}: {middle:.2f} ± {spread:.2f} % (n = {len(rows)})", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
