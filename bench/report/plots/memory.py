"""Peak, proportional and anonymous memory, beside each other on one row: three quantities that are never added up."""

from __future__ import annotations

from typing import NamedTuple

from matplotlib.axes import Axes

from bench.findings import Summary
from bench.records import Subject
from bench.report.plots import style
from bench.report.section import Context, Picture
from bench.units import size

ROW_IN = 0.25
KINDS = {
    "vm_hwm": ("peak RSS", "o", 8.5, False),
    "pss": ("PSS", "D", 5.0, False),
    "anonymous": ("anonymous", "^", 5.0, True),
}
"""By metric: its name, and the shape, size and filling of its mark: each can be seen through the one before."""
TITLE = "Memory: peak RSS, PSS and anonymous memory of the process"


class Row(NamedTuple):
    subject: Subject
    found: dict[str, Summary]
    text: str

    @property
    def values(self) -> dict[str, float]:
        return {m: s.statistics.median for m, s in self.found.items() if s.statistics and not s.translated}


def draw(context: Context) -> tuple[Picture, ...]:
    """The plot `memory`; none where no memory was measured."""
    panels = {model: rows for model in context.models if (rows := _rows(model, context))}
    if not panels:
        return ()
    colours = style.colours(context)
    heights = {model: ROW_IN * len(rows) for model, rows in panels.items()}
    sheet = style.Sheet(0.3 + sum(heights.values()) + len(panels) * (style.TITLE_IN + style.AXIS_IN))
    with style.styled("memory"):
        _key(sheet)
        top = 0.3 + style.TITLE_IN
        for model, rows in panels.items():
            named = [(row.subject.variant, context.labels.where(row.subject)) for row in rows]
            left = style.columns(sheet, top, ROW_IN, named)
            right = style.said(sheet, top, ROW_IN, [(row.text, bool(row.values)) for row in rows])
            axes = sheet.axes(left, top, right - left, heights[model], context.labels.model(model))
            style.bare(axes, len(rows))
            values = [value for row in rows for value in row.values.values() if value > 0] or [1.0]
            logarithmic = style.spans(values)
            style.scale(axes, "B", values if logarithmic else (0, *values), logarithmic=logarithmic, most=5)
            for y, row in enumerate(rows):
                _marks(axes, y, row, colours[row.subject.device, row.subject.runtime])
            top += heights[model] + style.AXIS_IN + style.TITLE_IN
        return (style.finished(sheet, "memory", TITLE, _alt(panels, context)),)


def _marks(axes: Axes, y: int, row: Row, colour: str) -> None:
    style.guide(axes, y)
    if row.values:
        axes.plot([min(row.values.values()), max(row.values.values())], [y, y], color=style.GRID, linewidth=0.9)
    for metric, value in row.values.items():
        _, shape, points, fill = KINDS[metric]
        face = colour if fill else "none"
        axes.plot(value, y, shape, color=colour, markerfacecolor=face, markersize=points, markeredgewidth=1.3)
        if (figures := row.found[metric].statistics) and figures.interval:
            ends = [figures.interval.low, figures.interval.high]
            axes.plot(ends, [y, y], color=style.INK, linewidth=1.2, solid_capstyle="butt")


def _rows(model: str, context: Context) -> list[Row]:
    found = []
    for subject in context.findings.subjects:
        if subject.model != model:
            continue
        mine = {m: s for m in KINDS if (s := context.findings.summary(subject, m)) is not None}
        if mine:
            found.append(Row(subject, mine, _text(mine)))
    return found


def _text(found: dict[str, Summary]) -> str:
    first = next(iter(found.values()))
    if all(s.statistics is None for s in found.values()):
        return style.short(first.caveats[0].text)
    if first.translated:
        return "not shown: it would include the translator"
    known = {m: s.statistics for m, s in found.items() if s.statistics}
    words = " · ".join(size(figures.median) for figures in known.values())
    if first.statistics is None:
        return words
    return style.short(f"{words}, n = {len(first.statistics.launches)}")


def _key(sheet: style.Sheet) -> None:
    """The three shapes and, in their order, the figures on each row."""
    axes = sheet.axes(0.06, 0.06, style.WIDTH_IN - 0.06, 0.2)
    axes.set_axis_off()
    axes.set_xlim(0, style.WIDTH_IN)
    axes.set_ylim(0, 1)
    x = 0.06
    for name, shape, points, fill in KINDS.values():
        axes.plot(x, 0.5, shape, color=style.INK, markersize=points, markerfacecolor=style.INK if fill else "none")
        axes.text(x + 0.12, 0.5, name, va="center_baseline")
        x += 0.4 + style.width(name)
    axes.text(x, 0.5, "figures in this order; n: launches; black: 95 % interval", va="center_baseline", alpha=0.75)


def _alt(panels: dict[str, list[Row]], context: Context) -> str:
    parts = []
    for model, rows in panels.items():
        items = (f"{row.subject.variant}, {context.labels.where(row.subject)} {row.text}" for row in rows)
        parts.append(f"{context.labels.model(model)}: {'; '.join(items)}")
    return f"{TITLE}, in this order. {'. '.join(parts)}."
