"""docs/width.svg: Dice by the width that a network is computed at, for each way to choose the points."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

INK, GREY, RULE = "#16181c", "#5b6b8c", "#d9dce3"
COLOURS = {"equal parts": "#1f5fbf", "fitted weights": "#c2571a", "Gauss–Legendre": "#7a7f8a"}
TITLES = {
    "unet": "unet.frq, 1,570 B", "unet-8k": "unet-8k.frq, 7,966 B", "unet-16k": "unet-16k.frq, 15,850 B",
    "authors": "FR authors' UNet, 640×959",
}  # fmt: skip
WIDE, HIGH, TOP, GAP, LEFT = 230, 230, 84, 174, 64
RANGE = 2.0
"""Points of Dice in each panel; a line that goes beyond them ends there with an arrow and its figure."""

Row = Mapping[str, Any]


def drawn(rows: Sequence[Row]) -> str:
    """The figure as SVG. Each row has network, width, scheme, dice and lost."""
    names = [name for name in TITLES if any(row["network"] == name for row in rows)]
    across = LEFT + len(names) * (WIDE + GAP) - 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {across} {TOP + HIGH + 64}" '
        'font-family="Helvetica, Arial, sans-serif" font-size="13">',
        f'<rect width="{across}" height="{TOP + HIGH + 64}" fill="#ffffff"/>',
        f'<text x="24" y="32" font-size="17" font-weight="bold" fill="{INK}">One package, computed at fewer channels: '
        "points of Dice lost against all of them</text>",
    ]
    for number, name in enumerate(names):
        parts += _panel(LEFT + number * (WIDE + GAP), name, [row for row in rows if row["network"] == name])
    return "\n".join([*parts, "</svg>", ""])


def _x(left: float, width: int) -> float:
    return left + WIDE * (6 - math.log2(width)) / 4


def _y(lost: float) -> float:
    return TOP + HIGH * (min(RANGE, max(-0.1, 100 * lost)) + 0.1) / (RANGE + 0.1)


def _panel(left: float, name: str, rows: Sequence[Row]) -> list[str]:
    whole = next(row for row in rows if row["scheme"] == "whole")
    parts = [
        f'<text x="{left}" y="{TOP - 22}" font-weight="bold" fill="{INK}">{TITLES[name]}</text>',
        f'<text x="{left}" y="{TOP - 6}" fill="{GREY}" font-size="12">Dice {100 * whole["dice"]:.2f} % at 64</text>',
    ]
    for lost in (0, 0.5, 1, 1.5):
        y = _y(lost / 100)
        parts.append(f'<path d="M{left} {y:.1f}H{left + WIDE}" stroke="{RULE}"/>')
        parts.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end" fill="{GREY}">{lost:g}</text>')
    for width in (64, 32, 16, 12, 8, 6, 4):
        x = _x(left, width)
        parts.append(f'<path d="M{x:.1f} {TOP + HIGH}v5" stroke="{GREY}"/>')
        parts.append(f'<text x="{x:.1f}" y="{TOP + HIGH + 20}" text-anchor="middle" fill="{GREY}">{width}</text>')
    parts.append(
        f'<text x="{left + WIDE / 2}" y="{TOP + HIGH + 42}" text-anchor="middle" fill="{INK}">'
        "channels of the first level</text>"
    )
    ends: list[tuple[float, str, str]] = []
    for scheme, colour in reversed(COLOURS.items()):
        found = sorted((r for r in rows if r["scheme"] in (scheme, "whole")), key=lambda row: -row["width"])
        points = [(_x(left, row["width"]), _y(row["lost"])) for row in found]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        for (x, y), row in zip(points[1:], found[1:], strict=True):
            if 100 * row["lost"] > RANGE:
                parts.append(
                    f'<path d="M{x - 5:.1f} {y - 6:.1f}L{x:.1f} {y + 4:.1f}L{x + 5:.1f} {y - 6:.1f}Z" fill="{colour}"/>'
                )
            else:
                parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.2" fill="{colour}"/>')
        lost = 100 * found[-1]["lost"]
        ends.append((points[-1][1], f"{scheme}, {lost:.2f}" if lost > RANGE else scheme, colour))
    return parts + _names(left + WIDE + 10, ends)


def _names(left: float, ends: list[tuple[float, str, str]]) -> list[str]:
    """The name of each line beside its end, apart from each other."""
    parts, free = [], 0.0
    for y, name, colour in sorted(ends):
        free = max(y + 4, free)
        parts.append(f'<text x="{left}" y="{free:.1f}" fill="{colour}" font-weight="bold">{name}</text>')
        free += 16
    return parts
