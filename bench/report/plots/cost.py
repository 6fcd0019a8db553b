"""What each layer of a network costs: multiply-adds, weights, and activations in memory, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from bench.report.html import alone
from bench.report.layers import shape
from bench.report.plots import style
from bench.units import number, size

if TYPE_CHECKING:
    from bench.export.layout import Layout, Operation

MOST_ROWS = 36
"""Rows that can be read on one page; a network of more layers is drawn block by block."""
_ROW_IN = 0.21
_TOP_IN = 1.12
_GAP_IN = 0.16
_FLOAT = 4
_FAINT = 0.5
"""Of a bar's colour, but for the longest of its column."""


class Block(NamedTuple):
    """Operations that follow each other in one part of a network. `live` are the most bytes in memory in it."""

    name: str
    output: str
    macs: int
    weights: int
    live: int


class _Column(NamedTuple):
    title: str
    total: str
    colour: str
    value: Callable[[Block], int]
    words: Callable[[float], str]


def draw(layout: Layout, title: str, given: str, form: str) -> bytes:
    """The picture as `png` or `svg`; `given` says what goes into the network."""
    found = blocks(layout.operations)
    columns = (
        _Column("Multiply-adds", number(layout.macs), style.DESKTOP[0], lambda one: one.macs, number),
        _Column("Weights", size(_FLOAT * layout.parameters), style.PHONES[0], lambda one: one.weights, size),
        _Column("Activations in memory", f"at most {size(layout.peak)}", style.PHONES[1], lambda b: b.live, size),
    )
    with style.styled("layers"):
        sheet = style.Sheet(_TOP_IN + _ROW_IN * len(found) + 0.15)
        left = _named(sheet, title, given, found)
        each = (style.WIDTH_IN - left - 0.06) / len(columns)
        for place, column in enumerate(columns):
            _bars(sheet, left + place * each, each - _GAP_IN, column, found)
        alt = f"Cost by layer of {title}: {', '.join(f'{c.title.lower()} {c.total}' for c in columns)}"
        picture = style.finished(sheet, "layers", title, alt)
    return picture.png if form == "png" else alone(picture.svg).encode()


def _named(sheet: style.Sheet, title: str, given: str, found: Sequence[Block]) -> float:
    """The title and the names of rows; returns where the columns begin, in inches."""
    sheet.text(0.06, 0.28, style.cut(title, style.WIDTH_IN - 0.2, 12), weight="bold", size=12)
    words = f"for one input {given}, in float32; norms and activations count with the layer before them"
    sheet.text(0.06, 0.48, style.cut(words, style.WIDTH_IN - 0.2, style.SMALL), size=style.SMALL, alpha=0.7)
    names = [style.cut(one.name, 1.9) for one in found]
    first = max((style.width(text) for text in [*names, "layer"]), default=0) + 0.2
    outputs = [style.cut(one.output, 1.2, style.SMALL) for one in found]
    second = max((style.width(text, style.SMALL) for text in [*outputs, "output"]), default=0)
    sheet.text(0.06, _TOP_IN - 0.13, "layer", size=style.SMALL, alpha=0.7)
    sheet.text(first, _TOP_IN - 0.13, "output", size=style.SMALL, alpha=0.7)
    for row, (name, output) in enumerate(zip(names, outputs, strict=True)):
        base = _TOP_IN + (row + 0.5) * _ROW_IN + 0.045
        sheet.text(0.06, base, name)
        sheet.text(first, base, output, size=style.SMALL, alpha=0.7)
    return first + second + 0.2


def _bars(sheet: style.Sheet, left: float, width: float, column: _Column, found: Sequence[Block]) -> None:
    sheet.text(left, _TOP_IN - 0.33, column.title, weight="bold")
    sheet.text(left, _TOP_IN - 0.13, column.total, size=style.SMALL, alpha=0.7)
    axes = sheet.axes(left, _TOP_IN, width, _ROW_IN * len(found))
    style.bare(axes, len(found))
    axes.xaxis.set_visible(False)
    values = [column.value(one) for one in found]
    most = max(values) or 1
    room = max(style.width(column.words(value), style.SMALL) for value in values) + 0.1
    axes.set_xlim(0, most * width / max(width - room, 0.2 * width))
    for row, value in enumerate(values):
        if not value:
            continue
        strong = value == most and values.count(most) <= max(1, len(values) // 4)
        colour = column.colour if strong else style.tint(column.colour, _FAINT)
        axes.barh(row, value, height=0.68, color=colour, linewidth=0)
        axes.annotate(
            column.words(value), (value, row), xytext=(3, 0), textcoords="offset points", va="center",
            fontsize=style.SMALL, weight="bold" if strong else "normal",
        )  # fmt: skip
    axes.axvline(0, color=style.GRID, linewidth=0.7)


def blocks(operations: Sequence[Operation], most: int = MOST_ROWS) -> tuple[Block, ...]:
    """The operations, those of one part together: as finely as `most` rows allow."""
    depths = range(max((one.module.count(".") + 1 for one in operations), default=1), 0, -1)
    found: list[list[Operation]] = []
    for depth in depths:
        found = _grouped(operations, depth)
        if len(found) <= most:
            break
    while len(found) > most:  # not even the topmost parts are few: two and two of them
        found = [[*one, *(found[at + 1] if at + 1 < len(found) else ())] for at, one in enumerate(found) if at % 2 == 0]
        depth = 1
    return tuple(_block(group, depth) for group in found)


def _grouped(operations: Sequence[Operation], depth: int) -> list[list[Operation]]:
    """What is computed between two parts belongs to the one before."""
    found: list[list[Operation]] = []
    part = None
    for one in operations:
        path = _part(one, depth)
        costs = one.macs or (one.parameters and "norm" not in one.name)
        if not found or (path != part and costs):
            found.append([])
            part = path
        found[-1].append(one)
    return found


def _part(one: Operation, depth: int) -> str:
    return ".".join(one.module.split(".")[:depth])


def _block(group: Sequence[Operation], depth: int) -> Block:
    first = next((one for one in group if one.macs), group[0])
    return Block(
        _part(first, depth) or first.name,
        shape(group[-1].shapes[0]),
        sum(one.macs for one in group),
        _FLOAT * sum(one.parameters for one in group),
        max(one.live for one in group),
    )
