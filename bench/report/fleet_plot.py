"""Latency of the same networks in several runs and on several phones: a panel for each network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.fleet import Standing
from bench.records import METRICS
from bench.report.labels import interval
from bench.report.plots import style
from bench.report.section import Picture
from bench.units import quantity, ratio

MOST = 40
"""Rows of one panel: the eye takes in no more, and a run more is a row more in the table."""
ROW_IN = 0.24
GAP_IN = 0.3
TITLE = "Latency: median of one inference, with its 95 % interval"


def draw(mine: Mapping[str, Sequence[Standing]]) -> tuple[Picture, ...]:
    """The plot `latency`: run by run and place by place, each variant a row, with its ratio to the ordinary network.
    Hollow marks are virtual, crosses not usable; what is marked * in the table is marked here. None for no times."""
    panels = {model: [one for one in found if _timed(one)] for model, found in mine.items()}
    panels = {model: found for model, found in panels.items() if found}
    if not panels:
        return ()
    heights = [style.TITLE_IN + ROW_IN * min(len(found), MOST) + style.AXIS_IN + GAP_IN for found in panels.values()]
    with style.styled("fleet-latency"):
        sheet = style.Sheet(sum(heights) + 0.05)
        top = 0.05
        for (model, found), height in zip(panels.items(), heights, strict=True):
            _panel(sheet, top + style.TITLE_IN, model, found)
            top += height
        return (style.finished(sheet, "fleet-latency", TITLE, _alt(panels)),)


def _timed(one: Standing) -> bool:
    return "latency" in one.figures and not one.translated


def _panel(sheet: style.Sheet, top: float, model: str, found: Sequence[Standing]) -> None:
    shown = found[:MOST]
    several = len({one.run for one in found}) > 1
    names = [_names(one, several=several) for one in shown]
    left = style.columns(sheet, top, ROW_IN, names)
    right = style.said(sheet, top, ROW_IN, [(_words(one), True) for one in shown])
    title = model if len(shown) == len(found) else f"{model}: the first {MOST} of {len(found)} rows"
    axes = sheet.axes(left, top, right - left, ROW_IN * len(shown), title)
    style.bare(axes, len(shown))
    figures = [one.figures["latency"] for one in shown]
    ends = [v for f in figures for v in (f.value, *((f.interval.low, f.interval.high) if f.interval else ()))]
    style.scale(axes, METRICS["latency"].unit, ends, logarithmic=style.spans(ends), edge=0.04)
    runs = list(dict.fromkeys((one.run, one.subject.device) for one in shown))
    for y, (one, figure) in enumerate(zip(shown, figures, strict=True)):
        colour = style.PHONES[runs.index((one.run, one.subject.device)) % len(style.PHONES)]
        style.guide(axes, y)
        if figure.interval:
            axes.plot([figure.interval.low, figure.interval.high], [y, y], color=style.INK, linewidth=1.4)
        sign = "X" if figure.doubt else "s" if one.ordinary else "o"
        axes.plot(
            figure.value, y, sign, color=colour, markersize=7, markeredgewidth=1.4,
            markerfacecolor="white" if one.virtual else colour,
        )  # fmt: skip


def _names(one: Standing, *, several: bool) -> tuple[str, str]:
    """What rows have in common, and what tells them apart."""
    s = one.subject
    return (one.run, f"{s.variant}, {s.device}") if several else (s.device, s.variant)


def _words(one: Standing) -> str:
    figure = one.figures["latency"]
    text = f"{quantity(figure.value, 'ns')}{' *' * bool(figure.apart)}{' (virtual)' * one.virtual}"
    if figure.doubt:
        return f"{text}, not usable"
    if figure.ratio and figure.called:
        times = f"{ratio(figure.ratio)} faster" if figure.ratio > 1 else f"{ratio(1 / figure.ratio)} slower"
        return f"{text}, {times}"
    return f"{text}, no difference called" if figure.ratio else text


def _alt(panels: Mapping[str, Sequence[Standing]]) -> str:
    parts = []
    for model, found in panels.items():
        items = []
        for one in found[:MOST]:
            figure = one.figures["latency"]
            within = f" ({interval(figure.interval, 'ns')})" if figure.interval else ""
            items.append(f"{', '.join(_names(one, several=True))}: {_words(one)}{within}")
        parts.append(f"{model}: {'; '.join(items)}")
    return f"{TITLE}. {'. '.join(parts)}."
