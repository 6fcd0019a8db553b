"""Reliability diagrams: how many answers are right against how sure they are, before and after temperature scaling."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter

from bench.evidence import Bin, Reliability
from bench.report.plots import style
from bench.report.section import Context, Picture
from bench.units import percent

MOST_PICTURES = 12
SIDE_IN, COUNTS_IN, LEFT_IN, BETWEEN_IN = 2.3, 0.42, 0.72, 1.2
_TOP_IN = 0.62
_EDGES = (0.0, 0.25, 0.5, 0.75, 1.0)


def draw(found: Sequence[Reliability], context: Context) -> tuple[Picture, ...]:
    """A plot `reliability-N` for each of them, MOST_PICTURES at most."""
    colours = style.colours(context)
    return tuple(
        _picture(f"reliability-{n}", one, colours[one.subject.device, one.subject.runtime], context)
        for n, one in enumerate(found[:MOST_PICTURES])
    )


def error(bins: Sequence[Bin]) -> float:
    """The expected calibration error of these bins."""
    return sum(one.samples * abs(one.right - one.sure) for one in bins) / sum(one.samples for one in bins)


def _picture(name: str, one: Reliability, colour: str, context: Context) -> Picture:
    subject = one.subject
    title = f"{subject.model}, {subject.variant} on {context.labels.where(subject)}"
    panels = [("as it answers", one.plain), *([("at its temperature", one.scaled)] if one.scaled else [])]
    sheet = style.Sheet(_TOP_IN + SIDE_IN + COUNTS_IN + 0.75)
    with style.styled(name):
        sheet.text(0.06, 0.2, style.cut(title, style.WIDTH_IN - 0.2, 10.5), weight="bold", size=10.5)
        for number, (words, bins) in enumerate(panels):
            left = LEFT_IN + number * (SIDE_IN + BETWEEN_IN)
            sheet.text(left, _TOP_IN - 0.14, f"{words}: error {percent(error(bins))}")
            _diagram(sheet.axes(left, _TOP_IN, SIDE_IN, SIDE_IN), bins, colour)
            _counts(sheet.axes(left, _TOP_IN + SIDE_IN + 0.12, SIDE_IN, COUNTS_IN), bins, colour)
        return style.finished(sheet, name, title, _alt(title, panels))


def _diagram(axes: Axes, bins: Sequence[Bin], colour: str) -> None:
    wide = 1 / len(bins)
    for number, one in enumerate(bins):
        if not one.samples:
            continue
        middle = (number + 0.5) * wide
        axes.bar(middle, one.right, 0.88 * wide, color=style.tint(colour, 0.75), edgecolor=colour, linewidth=0.8)
        low, high = sorted((one.right, one.sure))
        axes.bar(
            middle, high - low, 0.88 * wide, bottom=low, facecolor="none", edgecolor=style.INK, hatch="////",
            linewidth=0.6,
        )  # fmt: skip
    axes.plot((0, 1), (0, 1), color=style.INK, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.xaxis.set_major_locator(FixedLocator([]))
    _percent(axes.yaxis)
    axes.set_ylabel("right", fontsize=style.SMALL)
    axes.tick_params(length=2, labelsize=style.SMALL)


def _counts(axes: Axes, bins: Sequence[Bin], colour: str) -> None:
    """How many samples each bin is of, as a part of all."""
    wide, total = 1 / len(bins), sum(one.samples for one in bins)
    shares = [one.samples / total for one in bins]
    axes.bar([(n + 0.5) * wide for n in range(len(bins))], shares, 0.88 * wide, color=colour)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, max(shares))
    _percent(axes.xaxis)
    axes.yaxis.set_major_locator(FixedLocator([max(shares)]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}".replace("%", " %")))
    axes.set_xlabel("confidence, and the part of the samples that has it", fontsize=style.SMALL)
    axes.tick_params(length=2, labelsize=style.SMALL)


def _percent(axis: object) -> None:
    axis.set_major_locator(FixedLocator(list(_EDGES)))  # type: ignore[attr-defined]
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}".replace("%", " %")))  # type: ignore[attr-defined]


def _alt(title: str, panels: Sequence[tuple[str, Sequence[Bin]]]) -> str:
    parts = []
    for words, bins in panels:
        told = [f"{percent(one.right)} of {one.samples:,} right at {percent(one.sure)}" for one in bins if one.samples]
        parts.append(f"{words}, error {percent(error(bins))}: {', '.join(told)}")
    return f"Reliability of {title}. {'. '.join(parts)}."
