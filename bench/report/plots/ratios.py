"""Ratios with their intervals, beside 1 and the noise floor: the ordinary network against its variants, and the desktop
against phones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes

from bench.findings import Comparison
from bench.records import Subject
from bench.report.labels import interval
from bench.report.plots import style
from bench.report.section import Context, Picture
from bench.units import ratio

ROW_IN = 0.27
GAP_IN = 0.22
HEAD_IN = 0.2
METRICS = {"latency": "latency", "vm_hwm": "peak RSS", "deployed": "bytes deployed"}

NOT_USABLE = frozenset({"unusable", "no-interval"})
"""Outcomes of which a ratio is drawn as a grey cross, with these words."""


class Row(NamedTuple):
    """One line: how it is named, and its comparisons by metric."""

    group: str
    label: str
    right: Subject
    found: dict[str, Comparison]


def draw(context: Context) -> tuple[Picture, ...]:
    """The plots `ratios` and `places`, as far as there is something to compare."""
    pictures = (
        _picture(
            "ratios", "Ordinary network ÷ variant: right of 1 the variant is faster, or takes less",
            _of_variants(context), tuple(METRICS), context,
        ),
        _picture(
            "places", "Desktop ÷ phone: right of 1 the phone is faster", _of_places(context), ("latency",), context
        ),
    )  # fmt: skip
    return tuple(picture for picture in pictures if picture)


def _of_variants(context: Context) -> dict[str, list[Row]]:
    panels: dict[str, dict[Subject, Row]] = {}
    for c in _with_ratio(context, "variant"):
        rows = panels.setdefault(c.right.model, {})
        row = rows.setdefault(c.right, Row(c.right.variant, context.labels.where(c.right), c.right, {}))
        row.found[c.metric] = c
    return {context.labels.model(model): list(rows.values()) for model, rows in panels.items()}


def _of_places(context: Context) -> dict[str, list[Row]]:
    panels: dict[str, list[Row]] = {}
    for c in _with_ratio(context, "device"):
        if c.metric == "latency":
            where = f"{context.labels.where(c.left)} ÷ {context.labels.where(c.right)}"
            title = f"{context.labels.model(c.right.model)}: {where}"
            panels.setdefault(title, []).append(Row(c.right.variant, "", c.right, {c.metric: c}))
    return panels


def _with_ratio(context: Context, kind: str) -> Iterator[Comparison]:
    for c in context.findings.comparisons:
        if c.kind == kind and c.metric in METRICS and c.ratio and c.outcome not in ("translated", "failed"):
            yield c


def _picture(
    name: str, title: str, panels: dict[str, list[Row]], metrics: Sequence[str], context: Context
) -> Picture | None:
    shown = tuple(m for m in metrics if any(m in row.found for rows in panels.values() for row in rows))
    if not shown:
        return None
    tall = {model: ROW_IN * len(rows) for model, rows in panels.items()}
    head = HEAD_IN if len(shown) > 1 else 0.0
    sheet = style.Sheet(sum(tall.values()) + len(panels) * (style.TITLE_IN + head + style.AXIS_IN))
    with style.styled(name):
        top = style.TITLE_IN + head
        for model, rows in panels.items():
            left = style.columns(sheet, top, ROW_IN, [(row.group, row.label) for row in rows])
            wide = (style.WIDTH_IN - left - GAP_IN * (len(shown) - 1)) / len(shown)
            for n, metric in enumerate(shown):
                axes = sheet.axes(left + n * (wide + GAP_IN), top, wide, tall[model], "" if n else model)
                if len(shown) > 1:
                    axes.set_title(METRICS[metric], loc="left", fontsize=style.FONT, pad=4)
                _panel(axes, [row.found.get(metric) for row in rows], wide)
            top += tall[model] + style.AXIS_IN + style.TITLE_IN + head
        return style.finished(sheet, name, title, _alt(title, panels, context))


def _panel(axes: Axes, found: Sequence[Comparison | None], wide: float) -> None:
    """One metric of one network: a mark a row, filled where the difference is called."""
    style.bare(axes, len(found))
    values = [0.9, 1 / 0.9]
    for known in filter(None, found):
        values += [known.ratio or 1.0, *((known.interval.low, known.interval.high) if known.interval else ())]
        if known.floor and known.floor.value < 1:
            values += [1 / (1 + known.floor.value), 1 + known.floor.value]
    style.scale(axes, "ratio", values, logarithmic=True, pad=0.2, most=min(max(2, int(wide / 0.5)), 8), edge=0.05)
    axes.axvline(1, color=style.INK, linewidth=1.1)
    middle = sum(axes.transAxes.inverted().transform(axes.transData.transform((1, 0)))[:1])
    for y, c in enumerate(found):
        if c is None or c.ratio is None:
            axes.text(middle, y, " –", transform=axes.get_yaxis_transform(), va="center_baseline", alpha=0.6)
            continue
        if c.floor:
            least, most = 1 / (1 + c.floor.value), 1 + c.floor.value
            axes.fill_betweenx([y - 0.5, y + 0.5], least, most, color=style.GRID, alpha=0.35, linewidth=0)
        usable = c.outcome not in NOT_USABLE
        colour = style.REFERENCE if not usable else style.PHONES[1] if c.ratio > 1 else style.PHONES[0]
        if c.interval and usable:
            axes.plot([c.interval.low, c.interval.high], [y, y], color=colour, linewidth=2.2, solid_capstyle="butt")
        shape = "x" if not usable else ">" if c.ratio > 1 else "<"
        fill = colour if c.called or c.metric == "deployed" else "none"
        axes.plot(c.ratio, y, shape, color=colour, markerfacecolor=fill, markersize=6.5, markeredgewidth=1.3)
        low, high = (c.interval.low, c.interval.high) if c.interval and usable else (c.ratio, c.ratio)
        text = ratio(c.ratio) if usable else f"{ratio(c.ratio)}, not usable"
        ends = [[min(low, c.ratio), 0], [max(high, c.ratio), 0]]
        start, end = wide * axes.transAxes.inverted().transform(axes.transData.transform(ends))[:, 0]
        words = style.width(text, style.SMALL) + 0.12
        if not usable and max(start, wide - end) < words:  # no room for the figure too, which the text alternative has
            text = "not usable"
            words = style.width(text, style.SMALL) + 0.12
        # Away from the line at 1, which would go through the words, where there is room.
        to_right = end + words < wide and (c.ratio > 1 or start < words)
        axes.annotate(
            text, (max(high, c.ratio) if to_right else min(low, c.ratio), y), (7 if to_right else -7, 0),
            textcoords="offset points", ha="left" if to_right else "right", va="center_baseline",
            fontsize=style.SMALL, fontweight="bold" if c.called else "normal",
            style="normal" if usable else "italic",
        )  # fmt: skip


def _alt(title: str, panels: dict[str, list[Row]], context: Context) -> str:
    parts = []
    for model, rows in panels.items():
        items = []
        for row in rows:
            figures = (_said(metric, c) for metric, c in row.found.items())
            items.append(f"{', '.join(filter(None, (row.group, row.label)))}: {', '.join(figures)}")
        parts.append(f"{model}: {'; '.join(items)}")
    return f"{title}. {'. '.join(parts)}."


def _said(metric: str, c: Comparison) -> str:
    between = f" ({interval(c.interval, 'ratio')})" if c.interval else ""
    if c.outcome in NOT_USABLE:
        return f"{METRICS[metric]} {ratio(c.ratio or 1.0)}, not usable: {c.verdict}"
    called = "" if c.called or metric == "deployed" else ", not called"
    return f"{METRICS[metric]} {ratio(c.ratio or 1.0)}{between}{called}"
