"""What became of networks in runtimes: as sections of a page, for a terminal, and the counts of what went wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import bench
from bench.conversion import KINDS, Cell, by_kind
from bench.files import replace
from bench.report.page import Page, render
from bench.report.section import Section
from bench.report.table import Cell as Shown
from bench.report.table import Table
from bench.units import size

EXACT = "0"
_HEADER = ("Network", "Runtime", "Kind", "Operator", "Where", "What was said", "What to do")


def word(cell: Cell) -> str:
    """A cell in a few words: `equal`, `converts`, or the kind of trouble."""
    if cell.trouble is not None:
        return cell.trouble.kind
    if cell.equal:
        return "equal"
    return "runs" if cell.runs else "converts"


def sections(cells: Sequence[Cell]) -> tuple[Section, ...]:
    """The matrix, then every trouble with its operator, line and fix, then how many there are of each kind."""
    bad = [cell for cell in cells if cell.trouble]
    return (
        Section("matrix", "Networks and runtimes", sentences=tuple(sentences(cells)), tables=(matrix(cells),)),
        *((Section("troubles", "What went wrong", tables=(troubles(bad),)),) if bad else ()),
        *((Section("kinds", "Kinds of trouble", tables=(kinds(bad),)),) if len(bad) > 1 else ()),
    )


def sentences(cells: Sequence[Cell]) -> list[str]:
    """One for each runtime."""
    found = []
    for runtime in dict.fromkeys(cell.runtime for cell in cells):
        own = [cell for cell in cells if cell.runtime == runtime]
        equal = [cell for cell in own if cell.equal]
        worst = max((cell.apart for cell in equal if cell.apart is not None), default=None)
        apart = f", at most {worst:.1e} of the largest answer apart" if worst else ""
        found.append(f"{runtime}: {len(equal)} of {len(own)} convert, run here and are equal{apart}.")
    return found


def matrix(cells: Sequence[Cell]) -> Table:
    """A row for each network, a column for each runtime."""
    runtimes = tuple(dict.fromkeys(cell.runtime for cell in cells))
    by_place = {(cell.network, cell.runtime): cell for cell in cells}
    rows = tuple(
        (Shown(network, tone="strong"), *(_shown(by_place.get((network, runtime))) for runtime in runtimes))
        for network in dict.fromkeys(cell.network for cell in cells)
    )
    notes = (
        "equal: converted, run here by the runtime's own program, and as the eager network answers; in brackets the "
        "largest difference as a part of the largest answer, on samples that the proof had not seen.",
    )
    return Table("Network and runtime", ("Network", *runtimes), rows, notes, words=1 + len(runtimes))


def _shown(cell: Cell | None) -> Shown:
    if cell is None:
        return Shown("–", tone="muted")
    if cell.trouble is not None:
        return Shown(cell.trouble.kind, cell.trouble.operator, tone="bad")
    apart = "" if cell.apart is None or not cell.equal else EXACT if cell.apart == 0 else f"{cell.apart:.0e}"
    return Shown(word(cell), apart)


def troubles(cells: Sequence[Cell]) -> Table:
    """A row for each cell that has any."""
    rows = tuple(
        (
            Shown(cell.network),
            Shown(cell.runtime),
            Shown(cell.trouble.kind, tone="bad"),
            Shown(cell.trouble.operator),
            Shown("; ".join(cell.trouble.places)),
            Shown(" ".join(cell.trouble.said.split())),
            Shown(cell.trouble.fix),
        )
        for cell in cells
        if cell.trouble is not None
    )
    return Table("What went wrong", _HEADER, rows, words=len(_HEADER))


def kinds(cells: Sequence[Cell]) -> Table:
    """How often each kind came up, on what, with an example."""
    rows = []
    for kind, found in by_kind(cells).items():
        operators = Counter(cell.trouble.operator for cell in found if cell.trouble and cell.trouble.operator)
        networks = tuple(dict.fromkeys(f"{cell.network} in {cell.runtime}" for cell in found))
        latest = found[-1].trouble
        assert latest is not None
        rows.append(
            (
                Shown(kind, KINDS.get(kind, ""), tone="strong"),
                Shown(str(len(found)), value=len(found)),
                Shown(", ".join(f"{name} {count}×" for name, count in operators.most_common(4))),
                Shown(_few(networks)),
                Shown(" ".join(latest.said.split())[:200]),
            )
        )
    return Table("Kinds of trouble", ("Kind", "Count", "Operators", "Where", "The latest"), tuple(rows), words=5)


def _few(words: Sequence[str], most: int = 3) -> str:
    return ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")


def details(cell: Cell) -> list[str]:
    """A trouble in lines, for a terminal."""
    trouble = cell.trouble
    if trouble is None:
        return []
    head = f"{cell.network} in {cell.runtime}: {trouble.kind}{f', {trouble.operator}' if trouble.operator else ''}"
    said = trouble.said.splitlines()[0] if trouble.said else ""
    return [
        head,
        f"  said: {said}",
        *(f"  at {place}" for place in trouble.places),
        *([f"  → {trouble.fix}"] * bool(trouble.fix)),
    ]


def write(path: Path, cells: Sequence[Cell]) -> None:
    """A page that fetches nothing. Raises OSError."""
    networks = tuple(dict.fromkeys(cell.network for cell in cells))
    facts = [
        ("Networks", _few(networks, 8)),
        ("Runtimes", ", ".join(dict.fromkeys(cell.runtime for cell in cells))),
        ("Tried", max((cell.at for cell in cells), default="").replace("T", " ").rstrip("Z")),
        ("Files", size(sum(cell.bytes or 0 for cell in cells))),
    ]
    page = Page(
        title="Networks and runtimes",
        description="Whether each network becomes what a runtime loads, runs here, and computes the same.",
        facts=facts,
        sections=sections(cells),
        generator=f"bench {bench.__version__}",
        footer=f"Written by bench {bench.__version__}: bench convert. What each kind means: docs/converting.md.",
    )
    replace(path, render(page).encode())
