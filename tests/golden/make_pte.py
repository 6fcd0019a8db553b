"""python -m tests.golden.make_pte: write the ExecuTorch files that tests load (needs fr-bench[executorch])."""

from __future__ import annotations

from pathlib import Path

from bench.export import pte_file
from tests.exported import example

FOLDER = Path(__file__).parent / "executorch"

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in ("pictures", "ranks", "words"):
        one = example(name)
        pte_file.export(one.network, one.samples, FOLDER / f"{name}.pte")
