"""Latency while load goes on: a dot for each second, a line of medians, and below it the clock and the heat."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from bench.endurance import SLOWER, Moment, Sustained
from bench.findings import Interval
from bench.report.labels import interval, listed
from bench.report.plots import style
from bench.report.section import Context, Picture
from bench.units import duration, quantity, ratio, span

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7f7f7f")
MARKS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", (0, (5, 2)), (0, (2, 1.5)), (0, (1, 1)), (0, (6, 2, 1, 2)), (0, (3, 3)), (0, (1, 3)))
"""Beside the colours, for print in grey; dashes also show curves that lie on each other."""
MOST_VARIANTS = len(COLOURS)
MOST_PICTURES = 12
MAIN_IN, TRACE_IN, GAP_IN = 2.5, 0.75, 0.3
MOST_DOTS = 300
"""Of a curve: more cannot be told apart, and would make the page heavy."""
DOT_IN = 0.006
"""How long a dot is: nothing is drawn of lines without a length."""
LEAST_SPAN = 0.2
"""Of an axis, as a part of its highest figure: noise of a few parts in a thousand shall not look like mountains."""
LABEL_IN = 0.3
"""Of two lines of a label at the end of a curve."""


def draw(context: Context) -> tuple[Picture, ...]:
    """A plot `sustained-N` for each network in each place."""
    places: dict[tuple[object, ...], list[Sustained]] = {}
    for one in context.findings.sustained:
        s = one.subject
        if not one.translated:
            places.setdefault((s.model, s.device, s.runtime, s.threads, s.precision), []).append(one)
    return tuple(
        _picture(f"sustained-{n}", mine[:MOST_VARIANTS], context)
        for n, mine in enumerate(list(places.values())[:MOST_PICTURES])
    )


def _picture(name: str, mine: Sequence[Sustained], context: Context) -> Picture:
    first = mine[0]
    where, model = context.labels.where(first.subject), context.labels.model(first.subject.model)
    title = f"{model} on {where}: one inference under {span(first.seconds)} of load"
    traces = [
        (label, unit, of)
        for label, unit, of in (("clock", "Hz", _clock), ("skin", "°C", _skin))
        if any(len(of(one)) > 1 for one in mine)
    ]
    height = style.TITLE_IN + MAIN_IN + len(traces) * (TRACE_IN + GAP_IN) + style.AXIS_IN + 0.45
    sheet = style.Sheet(height)
    with style.styled(name):
        labels = [_label(one) for one in mine]
        right = style.WIDTH_IN - max(style.width(line, style.SMALL) * 1.1 for pair in labels for line in pair) - 0.3
        left = 0.78
        axes = sheet.axes(left, style.TITLE_IN, right - left, MAIN_IN, title)
        values = [w.value for one in mine for w in one.windows]
        _upright(axes, "ns", values, logarithmic=style.spans(values))
        for n, one in enumerate(mine):
            _curve(axes, one, n)
        _name_ends(sheet, axes, right, mine, labels)
        top = style.TITLE_IN + MAIN_IN
        panels = [axes]
        for label, unit, of in traces:
            panel = sheet.axes(left, top + GAP_IN, right - left, TRACE_IN)
            panels.append(panel)
            _upright(panel, unit, [m.value for one in mine for m in of(one)], logarithmic=False, most=3)
            sheet.text(0.06, top + GAP_IN - 0.07, label, size=style.SMALL, weight="bold")
            for n, one in enumerate(mine):
                panel.plot(*_minutes(one, _some(of(one))), color=COLOURS[n], linewidth=1.3, linestyle=DASHES[n])
            top += GAP_IN + TRACE_IN
        _times(panels, first)
        for line, words in enumerate(_conditions(mine)):
            sheet.text(0.06, height - 0.22 + 0.15 * line, words, size=style.SMALL)
        return style.finished(sheet, name, title, _alt(title, mine))


def _clock(one: Sustained) -> Sequence[Moment]:
    return one.clock


def _skin(one: Sustained) -> Sequence[Moment]:
    return one.skin


def _minutes(one: Sustained, moments: Sequence[Moment], shift: float = 0.0) -> tuple[list[float], list[float]]:
    """Times in the unit of the axis, and values."""
    return [(m.second + shift) / one.unit_s for m in moments], [m.value for m in moments]


def _curve(axes: Axes, one: Sustained, n: int) -> None:
    """Dots in the middle of their seconds, and each minute's median as long as the minute: a line from one to the next
    would go where nothing was."""
    axes.add_patch(_dots(axes, *_minutes(one, _some(one.windows), 0.5), COLOURS[n]))
    how: Any = {"color": COLOURS[n], "zorder": 3.0}
    if one.unit_s == 1:
        axes.plot(*_minutes(one, one.medians, 0.5), linewidth=1.2, **how)
        return
    times, values = _minutes(one, one.medians)
    end = (one.windows[-1].second + 1) / one.unit_s
    axes.hlines(values, times, [min(time + 1, end) for time in times], linewidth=2.2, **how)
    axes.plot([min(time + 0.5, (time + end) / 2) for time in times], values, MARKS[n], markersize=5, **how)
    axes.vlines(times[1:], values[:-1], values[1:], linewidth=0.8, alpha=0.6, **how)
    if one.throttled is not None:
        x, y = times[one.throttled], values[one.throttled]
        axes.plot([x], [y], "o", markersize=10, markerfacecolor="none", markeredgecolor=COLOURS[n], zorder=4)


def _some(windows: Sequence[Moment]) -> Sequence[Moment]:
    """As many as can be told apart, evenly spread."""
    return windows[:: -(-len(windows) // MOST_DOTS)]


def _dots(axes: Axes, times: Sequence[float], values: Sequence[float], colour: str) -> PathPatch:
    """All dots as one path of strokes that are hardly longer than wide: as marks they would be a page of their own."""
    length = DOT_IN / (axes.get_position().width * style.WIDTH_IN) * (max(times) + 1)
    ends = [end for x, y in zip(times, values, strict=True) for end in ((x, y), (x + length, y))]
    path = Path(ends, [Path.MOVETO, Path.LINETO] * len(times))
    return PathPatch(path, fill=False, edgecolor=colour, linewidth=2.6, capstyle="round", alpha=0.4, zorder=2)


def _label(one: Sustained) -> tuple[str, str]:
    """A variant, and what the load did to it."""
    bounds = f" [{interval(Interval(*one.bounds, 'bootstrap'), 'ratio')}]" if one.bounds else ""
    doubt = ", tagged" if one.doubts else ""
    return style.short(one.subject.variant, 22), f"{duration(one.steady)}, {ratio(one.ratio)}{bounds}{doubt}"


def _name_ends(
    sheet: style.Sheet, axes: Axes, right: float, mine: Sequence[Sustained], labels: Sequence[tuple[str, str]]
) -> None:
    """Each curve's name beside its end; those that would overlap are moved apart, in their order."""
    scaled: Callable[[float], float] = math.log if axes.get_yscale() == "log" else float
    low, high = map(scaled, axes.get_ylim())
    shares = [(scaled(one.medians[-1].value) - low) / (high - low) for one in mine]
    places = [style.TITLE_IN + MAIN_IN * (1 - share) for share in shares]
    order = sorted(range(len(mine)), key=lambda n: places[n])
    moved: dict[int, float] = {}
    below = style.TITLE_IN - LABEL_IN / 2
    for n in order:
        moved[n] = below = max(places[n], below + LABEL_IN + 0.04)
    excess = max(0.0, below - (style.TITLE_IN + MAIN_IN))
    for n, (name, words) in enumerate(labels):
        y = moved[n] - excess
        sheet.text(right + 0.14, y, name, size=style.SMALL, weight="bold", color=COLOURS[n])
        sheet.text(right + 0.14, y + 0.14, words, size=style.SMALL)


def _upright(axes: Axes, unit: str, values: Sequence[float], *, logarithmic: bool, most: int = 5) -> None:
    """A y axis over these figures. It need not begin at 0: what counts is how a curve bends."""
    low, high = min(values), max(values)
    if logarithmic:
        axes.set_yscale("log")
        axes.set_ylim(low / 1.15, high * 1.15)
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_yticks(style.log_ticks(*axes.get_ylim(), most))
    else:
        room = max(0.08 * (high - low), (LEAST_SPAN * abs(high) - (high - low)) / 2)
        axes.set_ylim(low - room, high + room)
        axes.yaxis.set_major_locator(MaxNLocator(most, min_n_ticks=2))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: style.tick(value, unit)))
    axes.tick_params(axis="y", length=0, labelsize=style.SMALL, pad=3)
    axes.grid(axis="y", color=style.GRID, alpha=0.3, linewidth=0.6)
    axes.spines["left"].set_visible(False)
    axes.set_axisbelow(True)


def _times(panels: Sequence[Axes], first: Sustained) -> None:
    """The same time below all panels, named at the lowest."""
    end = max(first.seconds, first.windows[-1].second + 1) / first.unit_s
    for panel in panels:
        panel.set_xlim(0, end)
        panel.xaxis.set_major_locator(MaxNLocator(10, integer=True))
        panel.tick_params(axis="x", length=2, labelsize=style.SMALL, labelbottom=panel is panels[-1])
    words = "minutes of load" if first.unit_s > 1 else "seconds of load"
    panels[-1].set_xlabel(words, fontsize=style.SMALL, labelpad=1)


def _conditions(mine: Sequence[Sustained]) -> tuple[str, str]:
    """What the figures and marks are, how many, and what they were taken under."""
    counts = sorted({len(one.windows) for one in mine})
    n = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    every = -(-max(counts) // MOST_DOTS)
    shown = "" if every == 1 else f", one of {every} shown"
    parts = [f"Dots: medians of seconds, n = {n} in one launch each{shown}"]
    parts += ["lines: of minutes"] if mine[0].unit_s > 1 else ["less than a minute, so the line is theirs too"]
    if mine[0].unit_s > 1 and any(one.throttled is not None for one in mine):
        parts.append(f"ring: throttled from there on, by more than {100 * SLOWER:g} %")
    known = "with its 95 % interval" if any(one.bounds for one in mine) else "too short for an interval"
    heat = " Virtual: this computer's processor, without the heat of a phone." if mine[0].virtual else ""
    return f"{'; '.join(parts)}.", f"Right: the last third, and that ÷ the first tenth or minute, {known}.{heat}"


def _alt(title: str, mine: Sequence[Sustained]) -> str:
    parts = []
    for one in mine:
        unit = "minute" if one.unit_s > 1 else "second"
        throttles = (
            f"throttled from {unit} {one.throttled + 1} on" if one.throttled is not None else "not shown to throttle"
        )
        words = [f"{duration(one.cold)} cold, {duration(one.steady)} steady ({ratio(one.ratio)})", throttles]
        for trace, kind in ((one.clock, "Hz"), (one.skin, "°C")):
            if len(trace) > 1:
                words.append(f"{quantity(trace[0].value, kind)} to {quantity(trace[-1].value, kind)}")
        parts.append(f"{one.subject.variant}: {listed(words)}")
    return f"{title}. {'; '.join(parts)}."
