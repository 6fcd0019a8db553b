"""Names beside points of a plot, where they cover neither each other nor a point."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from bench.report.plots import style

LABEL_IN = 0.14
Box = tuple[float, float, float, float]
"""Left, bottom, right and top, in inches."""
Stroke = tuple[list[float], list[float]]
"""A line by its corners, x and y, in the units of the axes."""


class Spot(NamedTuple):
    """A name and the point that it is of."""

    text: str
    x: float
    y: float
    bold: bool = False


def label(axes: Axes, spots: Sequence[Spot], points: Sequence[tuple[float, float]], strokes: Sequence[Stroke]) -> None:
    """Write the names beside their points, clear of all `points`; a line leads to those farther off.

    Greedy: bold ones go first, and each takes the nearest free place around its point. The limits of the axes must be
    set.
    """
    frame = axes.get_window_extent()
    dpi = axes.get_figure(root=True).dpi  # type: ignore[union-attr]
    wide, high = frame.width / dpi, frame.height / dpi
    corner = (frame.x0, frame.y0)

    def inches(x: float, y: float) -> tuple[float, float]:
        at = (axes.transData.transform((x, y)) - corner) / dpi
        return float(at[0]), float(at[1])

    lines = [spot for stroke in strokes for spot in _along(axes, stroke, corner, dpi)]
    dots = [(x - 0.06, y - 0.06, x + 0.06, y + 0.06) for x, y in (inches(*point) for point in points)]
    taken: list[Box] = []
    for spot in sorted(spots, key=lambda one: (not one.bold, one.x)):
        x, y = inches(spot.x, spot.y)
        text = style.cut(spot.text, wide, style.SMALL)
        width = style.width(text, style.SMALL) * (1.12 if spot.bold else 1.0)
        box = min(_places(x, y, width, wide), key=lambda one: _cost(one[0], taken, dots, lines, high) + 0.05 * one[1])[
            0
        ]
        taken.append(box)
        middle = (box[1] + box[3]) / 2
        nearest = (min(max(x, box[0]), box[2]), min(max(y, box[1]), box[3]))
        if math.dist(nearest, (x, y)) > 0.14:
            ends = ([nearest[0] / wide, x / wide], [nearest[1] / high, y / high])
            axes.plot(*ends, color=style.INK, linewidth=0.5, alpha=0.6, transform=axes.transAxes, zorder=1)
        axes.text(
            box[0] / wide, middle / high, text, transform=axes.transAxes, va="center", fontsize=style.SMALL,
            fontweight="bold" if spot.bold else "normal", clip_on=False, zorder=4,
        )  # fmt: skip


def _places(x: float, y: float, width: float, wide: float) -> list[tuple[Box, float]]:
    """Where a name of that width may stand around its point, within the panel, and how far off."""
    found = []
    for distance in (0.09, 0.16, 0.26, 0.4, 0.56, 0.75, 1.0, 1.3):
        for angle in (0, 180, 60, 300, 120, 240, 90, 270, 30, 330, 150, 210):
            dx, dy = distance * math.cos(math.radians(angle)), distance * math.sin(math.radians(angle))
            start = x + dx - width * (0.5 - 0.5 * math.cos(math.radians(angle)))
            start = min(max(start, 0.0), wide - width)
            found.append(((start, y + dy - LABEL_IN / 2, start + width, y + dy + LABEL_IN / 2), distance))
    return found


def _cost(
    box: Box, taken: Sequence[Box], dots: Sequence[Box], lines: Sequence[tuple[float, float]], high: float
) -> float:
    cost = 40 * sum(overlap(box, other) for other in taken) + 25 * sum(overlap(box, dot) for dot in dots)
    cost += 0.02 * sum(box[0] < a < box[2] and box[1] < b < box[3] for a, b in lines)
    return cost + 60 * (max(0.0, -box[1]) + max(0.0, box[3] - high))


def _along(axes: Axes, stroke: Stroke, corner: tuple[float, float], dpi: float) -> list[tuple[float, float]]:
    """Spots on a line, 0.05 inches apart."""
    found = []
    corners = (axes.transData.transform(np.column_stack(stroke)) - corner) / dpi
    for start, end in pairwise(corners):
        steps = np.linspace(0, 1, 2 + int(math.dist(start, end) / 0.05))
        found += [(float(x), float(y)) for x, y in start + steps[:, None] * (end - start)]
    return found


def overlap(a: Box, b: Box) -> float:
    """The area that two boxes have in common."""
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
