"""`make matrix`: every network that comes with bench in every runtime, and the table of it in docs/runtimes.md.

With `--families` also the classifiers of 25 families, of those packages that are installed. `--kept DIR` tries nothing
and writes what `bench convert --history DIR` found last of each.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from bench import networks
from bench.campaign.cell import Asked
from bench.campaign.converting import exporting, matrix
from bench.cli import terminal
from bench.conversion import Cell
from bench.files import replace
from bench.networks.families import FAMILIES, REFERENCE
from bench.report.conversion import sentences, short
from bench.results.conversions import Conversions

PAGE = Path(__file__).parents[1] / "docs" / "runtimes.md"
BEGIN, END = "<!-- matrix: written by python -m benchmarks.matrix -->", "<!-- matrix ends -->"
_NAMED = ("torch", "pnnx", "onnx", "onnxscript")


def main() -> int:
    """The exit status: 1 where the page has no place for the matrix."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.matrix", description=__doc__)
    parser.add_argument("--families", action="store_true")
    parser.add_argument("--kept", type=Path, action="append", help="a folder with conversions.jsonl; may be repeated")
    asked = parser.parse_args()
    if asked.kept:
        cells = [cell for folder in asked.kept for cell in Conversions(folder).cells()]
    else:
        cells = list(_tried(families=asked.families))
    text = PAGE.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        print(f"{PAGE} has no {BEGIN} … {END}", file=sys.stderr)
        return 1
    replace(PAGE, f"{before}{BEGIN}\n{written(cells)}{END}{after}".encode())
    print(PAGE)
    return 0


def _tried(*, families: bool) -> Sequence[Cell]:
    asked = [Asked(name, name, "") for name in networks.names()]
    if families:
        asked += [
            Asked(one.name, REFERENCE, "", {"family": one.name}, inputs="x".join(map(str, one.shape)))
            for one in FAMILIES
            if one.installed
        ]
    with tempfile.TemporaryDirectory() as folder, terminal.watcher(quiet=False) as watcher:
        return matrix(asked, exporting(), Conversions(Path(folder)), watcher.stage)


def written(cells: Sequence[Cell]) -> str:
    """The tables in Markdown: of the networks that come with bench, and of families."""
    latest = {(cell.network, cell.runtime): cell for cell in cells}
    own = [cell for cell in latest.values() if cell.network in networks.names()]
    others = [cell for cell in latest.values() if cell.network in {one.name for one in FAMILIES}]
    found = ""
    for title, part in (("network", own), ("family", others)):
        if part:
            found += f"\n{_table(title, part)}\n{_under(part)}\n"
    return f"{found}\n"


def _table(title: str, cells: Sequence[Cell]) -> str:
    by_place = {(cell.network, cell.runtime): cell for cell in cells}
    runtimes = [name for name in exporting() if any(cell.runtime == name for cell in cells)]
    lines = [f"| {title} | {' | '.join(runtimes)} |", f"|---{'|---' * len(runtimes)}|"]
    for name in sorted({cell.network for cell in cells}, key=str.lower):
        found = (by_place.get((name, runtime)) for runtime in runtimes)
        words = (short(cell) if cell else "–" for cell in found)
        lines.append(f"| {name} | {' | '.join(word.replace('|', '/') for word in words)} |")
    return "\n".join(lines) + "\n"


def _under(cells: Sequence[Cell]) -> str:
    day = max(cell.at for cell in cells)[:10]
    there = [(name, list(metadata.distributions(name=name))) for name in _NAMED]
    versions = ", ".join(f"{name} {found[0].version}" for name, found in there if found)
    return f"{' '.join(sentences(cells))} ({day}; {versions})\n"


if __name__ == "__main__":
    sys.exit(main())
