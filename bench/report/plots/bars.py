"""Latency and size: bars from zero that carry their figures, or dots on a logarithmic axis where bars would vanish."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from bench.findings import Interval, Summary
from bench.report.labels import interval
from bench.report.plots import style
from bench.report.section import Context, Picture
from bench.units import quantity, size

ROW_IN = 0.25


@dataclass(frozen=True)
class Mark:
    """One row of a plot: a figure, or, with `value` None, words instead of one. Rows of a `group` follow each other."""

    group: str
    label: str
    colour: str
    hatched: bool = False
    value: float | None = None
    text: str = ""
    interval: Interval | None = None
    launches: tuple[float, ...] = ()
    usable: bool = True
    """Else it is drawn hollow, with a cross."""

    @property
    def values(self) -> tuple[float, ...]:
        ends = (self.interval.low, self.interval.high) if self.interval else ()
        return (self.value, *self.launches, *ends) if self.value else ()


def draw(context: Context) -> tuple[Picture, ...]:
    """The plots `latency` and `size`. A plot for which nothing was measured says so."""
    colours = style.colours(context)
    times = {model: list(_times(model, context, colours)) for model in context.models}
    sizes = {model: list(_sizes(model, context)) for model in context.models}
    return (
        _picture("latency", "Latency: median of one inference, with its 95 % interval", times, "ns", context),
        _picture("size", "Size: what a device needs beside the runner, graph and weights", sizes, "B", context),
    )


def _times(model: str, context: Context, colours: dict[tuple[str, str], str]) -> Iterator[Mark]:
    for subject in context.findings.subjects:
        summary = context.findings.summary(subject, "latency") if subject.model == model else None
        if summary:
            colour = colours[subject.device, subject.runtime]
            yield _time(summary, subject.variant, context.labels.where(subject), colour)


def _time(summary: Summary, variant: str, where: str, colour: str) -> Mark:
    figures = summary.statistics
    if figures is None:
        return Mark(variant, where, colour, text=style.short(summary.caveats[0].text))
    if summary.translated:
        return Mark(variant, where, colour, text="not shown: meaningless under translation")
    text = quantity(figures.median, summary.unit)
    if not summary.usable:
        kinds = (c.kind.replace("-", " ") for c in summary.caveats if c.level == "unusable")
        text += f", not usable: {', '.join(kinds)}"
    elif figures.interval:
        text += f" [{interval(figures.interval, summary.unit)}]"
    medians = tuple(figures.figures.values())
    text = style.short(f"{text}, n = {len(medians)}")
    return Mark(
        variant, where, colour, summary.virtual, figures.median, text, figures.interval, medians, summary.usable
    )


def _sizes(model: str, context: Context) -> Iterator[Mark]:
    """One dot a variant and runtime: what is deployed is the same wherever it runs."""
    found: dict[tuple[str, str], Summary] = {}
    for s in context.findings.summaries:
        if s.subject.model == model and s.metric == "deployed":
            found.setdefault((s.subject.variant, s.subject.runtime), s)
    several = len({runtime for _, runtime in found}) > 1
    for (variant, runtime), s in found.items():
        label = runtime if several else ""
        if s.statistics is None:
            yield Mark(variant, label, style.DESKTOP[0], text=style.short(s.caveats[0].text))
        else:
            value = s.statistics.median
            yield Mark(variant, label, style.DESKTOP[0], value=value, text=size(value))


def _picture(name: str, title: str, panels: dict[str, list[Mark]], unit: str, context: Context) -> Picture:
    panels = {model: marks for model, marks in panels.items() if marks}
    heights = {model: ROW_IN * len(marks) for model, marks in panels.items()}
    sheet = style.Sheet(sum(heights.values()) + len(panels) * (style.TITLE_IN + style.AXIS_IN) + 0.2)
    with style.styled(name):
        top = style.TITLE_IN
        if not panels:
            sheet.text(3.3, 0.3, "nothing was measured")
        every = [value for marks in panels.values() for mark in marks for value in mark.values]
        for model, marks in panels.items():
            left = style.columns(sheet, top, ROW_IN, [(m.group, m.label) for m in marks])
            # Bytes of different networks are compared; their times are not.
            values = every if unit == "B" else [value for mark in marks for value in mark.values]
            if style.spans(values) or unit == "B":
                right = style.said(sheet, top, ROW_IN, [(mark.text, bool(mark.value)) for mark in marks])
                axes = sheet.axes(left, top, right - left, heights[model], context.labels.model(model))
                _dots(axes, marks, unit, values or [1.0])
            else:
                axes = sheet.axes(left, top, style.WIDTH_IN - left, heights[model], context.labels.model(model))
                _bars(axes, marks, values or [1.0])
            top += heights[model] + style.AXIS_IN + style.TITLE_IN
        return style.finished(sheet, name, title, _alt(title, panels, context))


def _bars(axes: Axes, marks: Sequence[Mark], values: Sequence[float]) -> None:
    style.bare(axes, len(marks))
    axes.xaxis.set_visible(False)
    top = max(values)
    axes.set_xlim(0, top / style.share(axes, [(max(mark.values, default=0) / top, mark.text) for mark in marks]))
    for y, mark in enumerate(marks):
        if mark.value is not None:
            axes.barh(
                y, mark.value, height=0.62, linewidth=1, edgecolor=mark.colour,
                facecolor="none" if not mark.usable else style.tint(mark.colour) if mark.hatched else mark.colour,
                hatch="////" if mark.hatched and mark.usable else None,
            )  # fmt: skip
            if not mark.usable:
                axes.plot(mark.value, y, "x", color=style.REFERENCE, markersize=8, markeredgewidth=1.8)
            axes.plot(mark.launches, [y] * len(mark.launches), "|", color=style.INK, markersize=5, markeredgewidth=0.7)
        axes.annotate(
            mark.text, (max(mark.values, default=0.0), y), (8, 0), textcoords="offset points", va="center_baseline",
            style="normal" if mark.value else "italic",
        )  # fmt: skip
        _interval(axes, y, mark)


def _dots(axes: Axes, marks: Sequence[Mark], unit: str, values: Sequence[float]) -> None:
    style.bare(axes, len(marks))
    style.scale(axes, unit, values, logarithmic=True)
    for y, mark in enumerate(marks):
        if mark.value is not None:
            style.guide(axes, y)
            fill = style.tint(mark.colour) if mark.hatched else mark.colour
            shape, colour = ("o", mark.colour) if mark.usable else ("x", style.REFERENCE)
            axes.plot(mark.value, y, shape, color=colour, markerfacecolor=fill, markersize=7, markeredgewidth=1.6)
            axes.plot(mark.launches, [y] * len(mark.launches), "|", color=style.INK, markersize=5, markeredgewidth=0.7)
            _interval(axes, y, mark)


def _interval(axes: Axes, y: int, mark: Mark) -> None:
    if mark.interval:
        ends = [mark.interval.low, mark.interval.high]
        axes.plot(ends, [y, y], color=style.INK, linewidth=1.6, solid_capstyle="butt")


def _alt(title: str, panels: dict[str, list[Mark]], context: Context) -> str:
    parts = []
    for model, marks in panels.items():
        items = [f"{', '.join(filter(None, (mark.group, mark.label)))} {mark.text}" for mark in marks]
        parts.append(f"{context.labels.model(model)}: {'; '.join(items)}")
    return f"{title}. {'. '.join(parts) or 'Nothing was measured'}."
