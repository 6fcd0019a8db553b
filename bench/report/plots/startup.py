"""From the push to the steady state: what a variant's start is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes

from bench.records import Subject
from bench.report.plots import style
from bench.report.section import Context, Picture
from bench.units import quantity, size

ROW_IN = 0.27
TITLE = "Start-up: from the process to its first answer, and one inference after that"
PARTS = (
    ("decode", "decode", style.PHONES[3], "////"),
    ("load", "rest of load", style.DESKTOP[0], ""),
    ("first_inference", "first inference", style.DESKTOP[1], ""),
    ("latency", "one more, warm", "none", ""),
)
"""Metric, name, colour and hatching of the parts, in their order in time."""


class Row(NamedTuple):
    """What is known of a subject's start, by metric, in ns; `words` stand at the end of the row."""

    subject: Subject
    parts: dict[str, float]
    words: str


def draw(context: Context) -> tuple[Picture, ...]:
    """The plot `start-up`, of phones or, without one, of the desktop; none where nothing was loaded."""
    places: dict[tuple[str, str], list[Row]] = {}
    shown = [s for s in context.findings.subjects if context.labels.is_phone(s.device)]
    for subject in shown or [s for s in context.findings.subjects if not context.labels.is_reference(s)]:
        if row := _row(subject, context):
            places.setdefault((subject.model, context.labels.place(subject)), []).append(row)
    if not places:
        return ()
    panels = {
        f"{context.labels.model(model)} on {where}{words}": part
        for (model, where), rows in places.items()
        for words, part in _scales(rows)
    }
    heights = {title: ROW_IN * len(rows) for title, rows in panels.items()}
    sheet = style.Sheet(0.3 + sum(heights.values()) + len(panels) * (style.TITLE_IN + style.AXIS_IN))
    with style.styled("start-up"):
        _key(sheet)
        top = 0.3 + style.TITLE_IN
        for title, rows in panels.items():
            named = [(row.subject.variant, context.labels.setting(row.subject)) for row in rows]
            left = style.columns(sheet, top, ROW_IN, named)
            right = style.said(sheet, top, ROW_IN, [(row.words, bool(row.parts)) for row in rows])
            _panel(sheet.axes(left, top, right - left, heights[title], title), rows)
            top += heights[title] + style.AXIS_IN + style.TITLE_IN
        return (style.finished(sheet, "start-up", TITLE, _alt(panels)),)


def _scales(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """The rows, and apart from them those that would hardly be seen beside the longest."""
    totals = [sum(row.parts.values()) for row in rows]
    small = [0 < total < max(totals) / style.MOST_RATIO for total in totals]
    if not any(small):
        return [("", list(rows))]
    first = [row for row, is_small in zip(rows, small, strict=True) if not is_small]
    rest = [row for row, is_small in zip(rows, small, strict=True) if is_small]
    return [("", first), (", the rest on a finer scale", rest)]


def _row(subject: Subject, context: Context) -> Row | None:
    found = {metric: context.findings.summary(subject, metric) for metric, *_ in PARTS}
    known = {
        metric: s.statistics.median
        for metric, s in found.items()
        if s and s.metric == metric and s.statistics and not s.translated
    }
    files = context.findings.summary(subject, "deployed")
    push = f"push {size(files.statistics.median)}" if files and files.statistics else ""
    if "load" not in known or "first_inference" not in known:
        reasons = [s for s in found.values() if s]
        if not reasons:
            return None
        why = "meaningless under translation" if reasons[0].translated else "no launch reported its start"
        why = reasons[0].caveats[0].text if reasons[0].statistics is None else why
        return Row(subject, {}, style.short(why))
    parts = {"decode": known.get("decode", 0.0)} | known
    total = parts["load"] + parts["first_inference"]
    parts["load"] = max(parts["load"] - parts["decode"], 0.0)
    launches = found["load"].statistics.launches if found["load"] and found["load"].statistics else ()
    words = [push, f"start {quantity(total, 'ns')}", f"n = {len(launches)}"]
    doubtful = [name for metric, name, *_ in PARTS if metric in known and (s := found[metric]) and not s.usable]
    words += [f"not usable: {'all' if len(doubtful) == len(known) else ', '.join(doubtful)}"] if doubtful else []
    return Row(subject, parts, ", ".join(filter(None, words)))


def _panel(axes: Axes, rows: Sequence[Row]) -> None:
    style.bare(axes, len(rows))
    totals = [sum(row.parts.values()) for row in rows] or [1.0]
    longest = max(totals) or 1.0
    style.scale(axes, "ns", (0.0, longest), logarithmic=False, pad=0.02, most=5)
    axes.set_xlim(0, 1.02 * longest)
    inches = axes.get_position().width * style.WIDTH_IN
    for y, row in enumerate(rows):
        start = 0.0
        for metric, _, colour, hatch in PARTS:
            value = row.parts.get(metric, 0.0)
            if not value:
                continue
            fill = style.tint(colour, 0.45) if hatch else colour
            edge = style.INK if colour == "none" else colour
            axes.barh(y, value, left=start, height=0.62, facecolor=fill, hatch=hatch or None, edgecolor=edge, lw=0.8)
            text = quantity(value, "ns")
            if style.width(text, 7) + 0.06 < inches * value / (1.02 * longest):
                ink = "white" if metric == "load" else "black" if colour != "none" else style.INK
                back = {"facecolor": fill, "edgecolor": "none", "pad": 0.6} if hatch else None
                axes.text(
                    start + value / 2, y, text, ha="center", va="center_baseline", fontsize=7, color=ink, bbox=back
                )
            start += value


def _key(sheet: style.Sheet) -> None:
    axes = sheet.axes(0.06, 0.06, style.WIDTH_IN - 0.06, 0.2)
    axes.set_axis_off()
    axes.set_xlim(0, style.WIDTH_IN)
    axes.set_ylim(0, 1)
    x = 0.0
    for _, name, colour, hatch in PARTS:
        fill = style.tint(colour, 0.45) if hatch else colour
        edge = style.INK if colour == "none" else colour
        axes.barh(0.5, 0.2, left=x, height=0.62, facecolor=fill, hatch=hatch or None, edgecolor=edge, lw=0.8)
        axes.text(x + 0.27, 0.5, name, va="center_baseline")
        x += 0.55 + style.width(name)


def _alt(panels: dict[str, list[Row]]) -> str:
    said = []
    for title, rows in panels.items():
        items = []
        for row in rows:
            known = [f"{name} {quantity(row.parts[m], 'ns')}" for m, name, *_ in PARTS if row.parts.get(m)]
            items.append(f"{row.subject.variant}: {', '.join((*known, row.words))}")
        said.append(f"{title}: {'; '.join(items)}")
    return f"{TITLE}. {'. '.join(said)}."
