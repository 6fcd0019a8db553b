"""A network's operators as tables: what each costs, and what all of them together do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.report.table import Cell, Table
from bench.units import number, percent, size

if TYPE_CHECKING:
    from bench.export.layout import Layout, Operation

HEADER = ("layer", "operator", "line", "output", "parameters", "multiply-adds", "share", "writes", "in memory")
WORDS = 4


def table(layout: Layout, title: str, most: int | None = None) -> Table:
    """Every operator in the order of execution, or the `most` that cost most. `in memory` are all activations that are
    there while it runs."""
    rows = list(layout.operations)
    notes = [
        f"{number(layout.parameters)} parameters, {number(layout.macs)} multiply-adds of convolutions and matrix "
        f"products, {size(layout.activations)} of activations written, in float32."
    ]
    if most is not None and most < len(rows):
        kept = set(sorted(range(len(rows)), key=lambda at: -rows[at].macs)[:most])
        notes.append(f"The {most} operators with the most multiply-adds, of {len(rows)}.")
        rows = [row for at, row in enumerate(rows) if at in kept]
    return Table(title, HEADER, tuple(_row(row, layout.macs) for row in rows), tuple(notes), words=WORDS)


def _row(row: Operation, macs: int) -> tuple[Cell, ...]:
    return (
        Cell(row.module or "(network)", tone="strong"),
        Cell(row.name),
        Cell(row.line.partition(": ")[0]),
        Cell(", ".join(shape(one) for one in row.shapes)),
        Cell(number(row.parameters) if row.parameters else "", value=row.parameters),
        Cell(number(row.macs) if row.macs else "", value=row.macs),
        Cell(percent(row.macs / macs) if row.macs else "", value=row.macs),
        Cell(size(row.bytes) if row.bytes else "", value=row.bytes),
        Cell(size(row.live), value=row.live),
    )


def shape(sides: Sequence[int]) -> str:
    return "×".join(map(str, sides))
