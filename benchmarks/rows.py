"""`make bench-fr`: LeNet-5 by Frequency Regularization beside the publication's figures, over several seeds.

Writes results/fr/<date>/rows.{json,csv,md}. What was trained before is found again.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.cache import Cache
from bench.cli import terminal
from bench.compress.frequency.method import BUDGETS
from bench.compress.method import Request
from bench.compress.result import Compressed
from bench.networks import resolve
from bench.plan import Data
from bench.prepare.compression import compression

ORDINARY = 98.78
"""Top-1 of the uncompressed LeNet-5 in the publication (all 60,000 digits), in percent."""
PUBLISHED = {7_668: (112, 98.35), 776: (1110, 97.52)}
"""Coefficients: the ratio and the top-1 in percent that the publication gives for them."""


@dataclass(frozen=True)
class Row:
    """One network of one seed; accuracies in percent, `lost` in points, bytes of whole `.frq` files."""

    coefficients: int
    budget: str
    seed: int
    before: float
    accuracy: float
    lost: float
    published_ratio: float
    coefficient_ratio: float
    bytes: int
    float32_bytes: int
    float16_bytes: int
    byte_ratio: float


def measured(found: Compressed, budget: str, seed: int) -> Row:
    assert found.accuracy is not None
    assert found.accuracy_before is not None
    before, accuracy = 100 * found.accuracy_before, 100 * found.accuracy
    return Row(
        found.coefficients, budget, seed, round(before, 2), round(accuracy, 2), round(before - accuracy, 2),
        round(found.published_ratio, 1), round(found.parameter_ratio, 1), len(found.package), found.float32_bytes,
        found.float16_bytes, round(found.byte_ratio, 1),
    )  # fmt: skip


def spread(values: Sequence[float]) -> str:
    return f"{statistics.mean(values):.2f} ({min(values):.1f} … {max(values):.1f})"


HEADER = (
    "LeNet-5", "top-1, mean (range)", "points lost", "published top-1", "published loss",
    "ratio as published", "weights per coefficient", "file", "bytes to bytes",
)  # fmt: skip


def summary(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """A line for the ordinary network and one for each number of coefficients."""
    ordinary = {row.seed: row.before for row in rows}
    size = f"{rows[0].float32_bytes:,} B"
    lines = [("ordinary, float32", spread(list(ordinary.values())), "", f"{ORDINARY}", "", "", "", size, "1×")]
    for coefficients, (ratio, top1) in PUBLISHED.items():
        ours = [row for row in rows if row.coefficients == coefficients]
        one = ours[0]
        accuracy, lost = (spread(values) for values in ([row.accuracy for row in ours], [row.lost for row in ours]))
        published = (f"{top1}", f"{ORDINARY - top1:.2f}", f"{one.published_ratio:,.0f}× ({ratio}×)")
        size, ratios = f"{one.bytes:,} B", (f"{one.coefficient_ratio:,.1f}", f"{one.byte_ratio:,.1f}×")
        lines.append(
            (f"{coefficients:,} coefficients, {one.budget}", accuracy, lost, *published, ratios[0], size, ratios[1])
        )
    return lines


def write(folder: Path, rows: Sequence[Row], source: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    told = {"source": source, "published": {"ordinary": ORDINARY, "rows": PUBLISHED}, "rows": [asdict(r) for r in rows]}
    (folder / "rows.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    with (folder / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(asdict(rows[0])))
        table.writeheader()
        table.writerows(asdict(row) for row in rows)
    lines = [HEADER, tuple("---" for _ in HEADER), *summary(rows)]
    text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    (folder / "rows.md").write_text(f"{text}\n{source}\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rows", description=__doc__)
    parser.add_argument("--data", type=Path, help="a folder with the MNIST idx files: the publication's setting")
    parser.add_argument("--budget", choices=BUDGETS, default="uniform", help="uniform, as published, when left out")
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 1")
    parser.add_argument("--epochs", type=int, help="of each training; as long as it takes when left out")
    parser.add_argument("--results", type=Path, default=Path("results"))
    given = parser.parse_args()
    rows, source = [], ""
    with terminal.watcher(quiet=False) as watcher:
        for seed in range(1, given.seeds + 1):
            for coefficients in PUBLISHED:
                request = Request(str(coefficients), seed, given.epochs, given.budget)
                found = compression(resolve("lenet5"), Data(path=given.data), "fr", request, Cache(), watcher.stage)
                rows.append(measured(found, given.budget, seed))
                source = found.source
    folder = given.results / "fr" / datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    write(folder, rows, f"{given.seeds} seeds, {given.budget} budget. {source}")
    terminal.table(
        HEADER, summary(rows), title=f"LeNet-5 by Frequency Regularization, {given.seeds} seeds", notes=[source]
    )
    print(f"Written to {folder}.")


if __name__ == "__main__":
    main()
