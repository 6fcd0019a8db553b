"""Drift: the score over the severity of each corruption, a line a variant; and what corruptions make of a sample."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator
from numpy.typing import NDArray
from PIL import Image

from bench.corrupted import SEVERITIES
from bench.drifted import Bounds, Drift, Kind, Strip
from bench.report import drift as words
from bench.report.labels import listed
from bench.report.plots import style
from bench.report.plots.sustained import COLOURS, DASHES, MARKS, MOST_VARIANTS
from bench.report.section import Context, Picture
from bench.units import percent

ACROSS = 3
PANEL_IN, PANEL_GAP_IN, NAME_IN, KEY_IN = 1.25, 0.28, 0.26, 0.2
LEFT_IN, BETWEEN_IN = 0.5, 0.22
APART = 0.07
"""By how much lines of one severity stand beside each other, so that their intervals are told apart."""
TILE_IN, TILE_GAP_IN, TEXT_IN = 0.7, 0.05, 0.95
SHOWN = (0, 1, 3, 5)
"""Severities of the strip, where all five were asked for: four are seen, and are fewer bytes."""
MOST_PICTURES = 12


def draw(context: Context) -> tuple[Picture, ...]:
    """A plot `drift-N` for each network in each place, then `drift-samples-N` for each set of samples."""
    groups = list(words.grouped(context.findings.drift))[:MOST_PICTURES]
    lines = [_lines(f"drift-{n}", mine[:MOST_VARIANTS], len(mine), context) for n, mine in enumerate(groups)]
    return (*lines, *_strips(context))


def _lines(name: str, mine: Sequence[Drift], count: int, context: Context) -> Picture:
    kinds = list(dict.fromkeys((kind.name, kind.text) for one in mine for kind in one.kinds))
    model = context.labels.model(mine[0].subject.model)
    title = f"{model} on {words.where(mine, context)}: {words.score(mine[0])} under drift"
    down = -(-len(kinds) // ACROSS)
    top = style.TITLE_IN + KEY_IN * _key_rows(mine)
    row = NAME_IN + PANEL_IN + PANEL_GAP_IN
    sheet = style.Sheet(top + down * row + 0.22)
    wide = (style.WIDTH_IN - LEFT_IN - 0.06 - BETWEEN_IN * (ACROSS - 1)) / ACROSS
    low = min(_lowest(kind) for one in mine for kind in one.kinds)
    with style.styled(name):
        sheet.text(0.06, style.TITLE_IN - 0.13, style.cut(title, style.WIDTH_IN - 0.6, 10.5), weight="bold", size=10.5)
        _key(sheet, mine)
        for n, (kind, text) in enumerate(kinds):
            left, y = LEFT_IN + (n % ACROSS) * (wide + BETWEEN_IN), top + (n // ACROSS) * row + NAME_IN
            axes = sheet.axes(left, y, wide, PANEL_IN)
            sheet.text(left, y - 0.07, text, size=style.SMALL, weight="bold")
            _panel(axes, mine, kind, low, first=n % ACROSS == 0)
        left_out = style.drawn(range(count), MOST_VARIANTS, "variant")
        said = "Lines: 0 is the samples as they are, 1 to 5 are severities; bars: 95 % intervals over samples, "
        sheet.text(0.06, sheet.height - 0.08, f"{said}n = {mine[0].n:,}.{left_out}", size=style.SMALL)
        return style.finished(sheet, name, title, _alt(title, mine))


def _lowest(kind: Kind) -> float:
    return min((cell.bounds[0] if cell.bounds else cell.value) for cell in kind.cells)


def _key_rows(mine: Sequence[Drift]) -> int:
    return -(-len(mine) // ACROSS)


def _key(sheet: style.Sheet, mine: Sequence[Drift]) -> None:
    wide = (style.WIDTH_IN - 0.12) / ACROSS
    for n, one in enumerate(mine):
        left, y = 0.06 + (n % ACROSS) * wide, style.TITLE_IN + KEY_IN * (n // ACROSS)
        axes = sheet.axes(left, y, 0.45, KEY_IN)
        axes.set_axis_off()
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.plot([0, 0.5, 1], [0.5] * 3, MARKS[n], color=COLOURS[n], linestyle=DASHES[n], markevery=[1], markersize=4)
        sheet.text(left + 0.52, y + 0.14, style.cut(one.subject.variant, wide - 0.6), color=COLOURS[n], weight="bold")


def _panel(axes: Axes, mine: Sequence[Drift], name: str, low: float, *, first: bool) -> None:
    for n, one in enumerate(mine):
        kind = one.kind(name)
        if kind is None:
            continue
        points: list[tuple[int, float, Bounds | None]] = [(0, one.clean, one.clean_bounds)]
        points += [(cell.severity, cell.value, cell.bounds) for cell in kind.cells]
        x = [severity + APART * (n - (len(mine) - 1) / 2) for severity, _, _ in points]
        how: Any = {"color": COLOURS[n], "linestyle": DASHES[n]}
        axes.plot(x, [v for _, v, _ in points], marker=MARKS[n], markersize=3.5, linewidth=1.2, zorder=3, **how)
        known = [(at, bounds) for at, (_, _, bounds) in zip(x, points, strict=True) if bounds]
        axes.vlines([at for at, _ in known], [b[0] for _, b in known], [b[1] for _, b in known],
                    color=COLOURS[n], linewidth=0.9, alpha=0.6)  # fmt: skip
    axes.set_xlim(-0.35, SEVERITIES + 0.35)
    axes.set_ylim(max(0.0, low - 0.04), 1.02)
    axes.xaxis.set_major_locator(FixedLocator(range(SEVERITIES + 1)))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
    axes.tick_params(axis="both", length=0, labelsize=style.SMALL, pad=3, labelleft=first)
    axes.grid(axis="y", color=style.GRID, alpha=0.3, linewidth=0.6)
    axes.spines["left"].set_visible(False)
    axes.set_axisbelow(True)


def _alt(title: str, mine: Sequence[Drift]) -> str:
    parts = []
    for one in mine:
        said = [
            f"{kind.text} {percent(kind.cells[0].value)} to {percent(kind.cells[-1].value)}"
            for kind in one.kinds
            if kind.cells
        ]
        parts.append(f"{one.subject.variant}, {percent(one.clean)} as they are: {', '.join(said)}")
    return f"{title}, from the first to the last severity. {'; '.join(parts)}."


def _strips(context: Context) -> list[Picture]:
    """Networks that were shown the very same samples share a picture."""
    sets: dict[tuple[bytes, ...], tuple[list[str], list[Strip]]] = {}
    for model in dict.fromkeys(one.model for one in context.findings.strips):
        mine = [one for one in context.findings.strips if one.model == model]
        key = tuple(tile.png for one in mine for tile in one.tiles)
        sets.setdefault(key, ([], mine))[0].append(model)
    return [
        _strip(f"drift-samples-{n}", models, mine)
        for n, (models, mine) in enumerate(list(sets.values())[:MOST_PICTURES])
    ]


def _strip(name: str, models: Sequence[str], mine: Sequence[Strip]) -> Picture:
    title = f"What corruptions make of one sample of {listed(models)}"
    down = -(-len(mine) // 2)
    first = _decoded(mine[0].tiles[0].png)
    wide = TILE_IN * min(1.0, first.shape[1] / first.shape[0])
    high = TILE_IN * min(1.0, first.shape[0] / first.shape[1])
    top = style.TITLE_IN + 0.2
    sheet = style.Sheet(top + down * (high + TILE_GAP_IN))
    half = style.WIDTH_IN / 2
    with style.styled(name):
        sheet.text(0.06, style.TITLE_IN - 0.13, style.cut(title, style.WIDTH_IN - 0.6, 10.5), weight="bold", size=10.5)
        for n, one in enumerate(mine):
            left, y = 0.06 + (n // down) * half, top + (n % down) * (high + TILE_GAP_IN)
            sheet.text(left, y + high / 2 + 0.04, style.cut(one.text, TEXT_IN - 0.05, style.SMALL), size=style.SMALL)
            tiles = [t for t in one.tiles if t.severity in SHOWN] if len(one.tiles) > len(SHOWN) else one.tiles
            for column, tile in enumerate(tiles):
                x = left + TEXT_IN + column * (wide + TILE_GAP_IN)
                if n % down == 0:
                    sheet.text(x, top - 0.06, str(tile.severity) if tile.severity else "as it is", size=style.SMALL)
                _show(sheet.axes(x, y, wide, high), _decoded(tile.png))
        return style.finished(sheet, name, title, f"{title}: {', '.join(one.text for one in mine)}.")


def _decoded(png: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(png), formats=["PNG"]) as picture:
        return np.asarray(picture.convert("RGB")) & np.uint8(0xF8)  # what nobody sees is a third of its bytes


def _show(axes: Axes, pixels: NDArray[np.uint8]) -> None:
    axes.imshow(pixels, aspect="auto", interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(visible=True, linewidth=0.4, color=style.GRID)
