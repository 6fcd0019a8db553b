"""What machines learnt by themselves: right answers over neurons, with intervals, beside float64 and the network."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from bench.learnt import Bounds, Lessons, TrainingRecord
from bench.report import learning
from bench.report.plots import style
from bench.report.section import Picture
from bench.units import percent, size

MOST_PICTURES = 6
PANEL_IN, LEFT_IN, RIGHT_IN, TOP_IN = 2.2, 0.62, 0.2, 0.58
LEAST = 2
"""Sizes, for a plot."""

_Point = tuple[TrainingRecord, tuple[Bounds | None, Bounds | None]]


def draw(found: Sequence[Lessons]) -> tuple[Picture, ...]:
    """A plot `learning-N` for each network and machine with at least two sizes that were scored."""
    shown = [one for one in found if len({point[0].neurons for point in _points(one)}) >= LEAST]
    return tuple(_picture(f"learning-{n}", one) for n, one in enumerate(shown[:MOST_PICTURES]))


def _points(found: Lessons) -> list[_Point]:
    return [
        (one, bounds)
        for one, bounds in zip(found.trainings, found.bounds, strict=True)
        if one.trained and one.trained.accuracy is not None
    ]


def _picture(name: str, found: Lessons) -> Picture:
    title = f"{found.model}: learnt on {learning.where(found)}"
    points = _points(found)
    memory = found.memory_counts and all(one.trained and one.trained.peak_rss >= 0 for one, _ in points)
    wide = style.WIDTH_IN - LEFT_IN - RIGHT_IN
    wide = (wide - LEFT_IN) / 2 if memory else wide
    sheet = style.Sheet(TOP_IN + PANEL_IN + 0.5)
    with style.styled(name):
        sheet.text(0.06, style.TITLE_IN - 0.13, style.cut(title, style.WIDTH_IN - 0.2, 10.5), weight="bold", size=10.5)
        sheet.text(LEFT_IN, TOP_IN - 0.1, "right answers, 95 % intervals over samples", size=style.SMALL)
        _answers(sheet.axes(LEFT_IN, TOP_IN, wide, PANEL_IN), found, points)
        if memory:
            left = 2 * LEFT_IN + wide
            sheet.text(left, TOP_IN - 0.1, "peak RSS", size=style.SMALL)
            _memory(sheet.axes(left, TOP_IN, wide, PANEL_IN), points)
        return style.finished(sheet, name, title, _alt(title, found, points))


def _answers(axes: Axes, found: Lessons, points: Sequence[_Point]) -> None:
    if found.ordinary:
        low, high = found.ordinary_bounds or (found.ordinary.accuracy, found.ordinary.accuracy)
        axes.axhspan(low, high, color=style.REFERENCE, alpha=0.25, linewidth=0)
        axes.axhline(
            found.ordinary.accuracy, color=style.REFERENCE, linewidth=1, linestyle=(0, (4, 3)),
            label=f"ordinary {found.model}",
        )  # fmt: skip
    desktop = [(one.neurons, one.desktop.accuracy) for one, _ in points if one.desktop]
    if desktop:
        axes.plot(
            [n for n, _ in desktop], [value for _, value in desktop], "D", color=style.DESKTOP[0], markersize=8,
            markerfacecolor="none", label="float64 on this computer", linestyle="none",
        )  # fmt: skip
    right = [
        (one.neurons, one.trained.accuracy, bounds[0])
        for one, bounds in points
        if one.trained and one.trained.accuracy is not None
    ]
    axes.vlines([n for n, _, b in right if b], [b[0] for *_, b in right if b], [b[1] for *_, b in right if b],
                color=style.PHONES[0], linewidth=1)  # fmt: skip
    axes.plot([n for n, *_ in right], [value for _, value, _ in right], "o-", color=style.PHONES[0], markersize=4,
              linewidth=1.2, label=f"on {learning.where(found)}")  # fmt: skip
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    axes.legend(loc="lower right", fontsize=style.SMALL, frameon=False)
    _neurons(axes, points)


def _memory(axes: Axes, points: Sequence[_Point]) -> None:
    places = [(one.neurons, one.trained.peak_rss) for one, _ in points if one.trained]
    axes.plot([n for n, _ in places], [rss for _, rss in places], "s-", color=style.PHONES[1], markersize=4,
              linewidth=1.2)  # fmt: skip
    axes.set_ylim(0, 1.1 * max(rss for _, rss in places))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: size(value)))
    _neurons(axes, points)


def _neurons(axes: Axes, points: Sequence[_Point]) -> None:
    sizes = sorted({one.neurons for one, _ in points})
    axes.set_xscale("log", base=2)
    marks = [n for n, after in zip(sizes, [*sizes[1:], 4 * sizes[-1]], strict=True) if after / n > 1.3]
    axes.xaxis.set_major_locator(FixedLocator(marks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_xlabel("neurons", fontsize=style.SMALL)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.tick_params(length=2, labelsize=style.SMALL)
    axes.grid(axis="y", color=style.GRID, alpha=0.3, linewidth=0.6)
    axes.set_axisbelow(True)


def _alt(title: str, found: Lessons, points: Sequence[_Point]) -> str:
    told = [
        f"{one.neurons:,} neurons {percent(one.trained.accuracy)}"
        for one, _ in points
        if one.trained and one.trained.accuracy is not None
    ]
    beside = f" The ordinary {found.model}: {percent(found.ordinary.accuracy)}." if found.ordinary else ""
    return f"{title}, right answers: {', '.join(told)}.{beside}"
