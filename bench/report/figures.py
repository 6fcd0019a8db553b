"""Plots of latency, memory and size: as SVG for the page and as PNG files.

Bars start at zero and carry their figure, so there are no axes to read; only size, which spans five powers of ten, has
a logarithmic axis, and dots instead of bars. The colours are Okabe and Ito's, safe for colour-blind readers; what is
virtual is hatched, and what cannot be drawn says why.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from bench.findings import Interval, Summary
from bench.report.labels import interval
from bench.report.section import Context, Picture
from bench.text import visible
from bench.units import quantity, size

INK = "#010203"
"""Text and lines; becomes `currentColor` in SVG, so that the page's dark mode reaches into the plots."""
REFERENCE = "#7f7f7f"
DESKTOP = ("#0072B2", "#56B4E9")
PHONES = ("#D55E00", "#009E73", "#CC79A7", "#E69F00")
WIDTH_IN, ROW_IN, PANEL_IN = 8.2, 0.27, 0.62
STYLE: Any = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 10,
    "hatch.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.bottom": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.edgecolor": INK,
}
LONGEST_REASON = 64


@dataclass(frozen=True)
class Mark:
    """One line of a plot: a heading (no colour), a figure, or, with `value` None, words instead of one."""

    label: str
    colour: str = ""
    hatched: bool = False
    value: float | None = None
    text: str = ""
    interval: Interval | None = None
    launches: tuple[float, ...] = ()


def draw(context: Context) -> tuple[Picture, ...]:
    """The plots `latency`, `memory` and `size`. A plot for which nothing was measured says so."""
    colours = _colours(context)
    models = {m: context.labels.model(m) for m in dict.fromkeys(s.subject.model for s in context.findings.summaries)}
    bars = (
        ("latency", "Latency: median of one inference, with its 95 % interval", "latency"),
        ("memory", "Memory: peak resident size of the process", "vm_hwm"),
    )
    found = []
    for name, title, metric in bars:
        panels = {shown: list(_bars(m, metric, context, colours)) for m, shown in models.items()}
        found.append(_picture(name, title, panels, logarithmic=False))
    panels = {shown: list(_sizes(m, context)) for m, shown in models.items()}
    found.append(
        _picture("size", "Size: what a device needs beside the runner, graph and weights", panels, logarithmic=True)
    )
    return tuple(found)


def _colours(context: Context) -> dict[tuple[str, str], str]:
    """One for each place: grey for the reference, blues for the rest of the desktop, others for phones."""
    found: dict[tuple[str, str], str] = {}
    taken = {DESKTOP: 0, PHONES: 0}
    for subject in context.findings.subjects:
        place = (subject.device, subject.runtime)
        if place in found:
            continue
        colours = PHONES if context.labels.is_phone(subject.device) else DESKTOP
        if colours is DESKTOP and context.labels.is_reference(subject):
            found[place] = REFERENCE
        else:
            found[place] = colours[taken[colours] % len(colours)]
            taken[colours] += 1
    return found


def _bars(model: str, metric: str, context: Context, colours: dict[tuple[str, str], str]) -> Iterator[Mark]:
    variant = ""
    for subject in context.findings.subjects:
        if subject.model != model:
            continue
        summary = context.findings.summary(subject, metric)
        if summary is None:
            continue
        if subject.variant != variant:
            variant = subject.variant
            yield Mark(variant)
        yield _bar(summary, context.labels.where(subject), colours[subject.device, subject.runtime])


def _bar(summary: Summary, where: str, colour: str) -> Mark:
    figures = summary.statistics
    if figures is None:
        return Mark(where, colour, text=_short(summary.caveats[0].text))
    if summary.translated:
        return Mark(where, colour, text="not shown: meaningless under translation")
    text = quantity(figures.median, summary.unit)
    if not summary.usable:
        kinds = (c.kind.replace("-", " ") for c in summary.caveats if c.level == "unusable")
        text += f"  not usable: {', '.join(kinds)}"
    elif figures.interval and summary.unit == "ns":
        text += f"  [{interval(figures.interval, summary.unit)}]"
    medians = tuple(launch.median for launch in figures.launches)
    return Mark(where, colour, summary.virtual, figures.median, _short(text), figures.interval, medians)


def _sizes(model: str, context: Context) -> Iterator[Mark]:
    """One dot a variant and runtime: what is deployed is the same wherever it runs."""
    found: dict[tuple[str, str], Summary] = {}
    for s in context.findings.summaries:
        if s.subject.model == model and s.metric == "deployed":
            found.setdefault((s.subject.variant, s.subject.runtime), s)
    several = len({runtime for _, runtime in found}) > 1
    for (variant, runtime), s in found.items():
        name = f"{variant} {runtime}" if several else variant
        if s.statistics is None:
            yield Mark(name, DESKTOP[0], text=_short(s.caveats[0].text))
        else:
            yield Mark(name, DESKTOP[0], value=s.statistics.median, text=size(s.statistics.median))


def _short(text: str) -> str:
    text = visible(text)
    return text if len(text) <= LONGEST_REASON else f"{text[: LONGEST_REASON - 1]}…"


def _picture(name: str, title: str, panels: dict[str, list[Mark]], *, logarithmic: bool) -> Picture:
    panels = {model: marks for model, marks in panels.items() if marks}
    rows = [len(marks) + PANEL_IN / ROW_IN + logarithmic for marks in panels.values()] or [4.0]
    with warnings.catch_warnings(), mpl.rc_context(STYLE | {"svg.hashsalt": name}):
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)  # a reason in a script the font lacks
        figure = Figure(figsize=(WIDTH_IN, ROW_IN * sum(rows) + 0.1), layout=ConstrainedLayoutEngine(h_pad=0.1))
        if not panels:
            figure.text(0.5, 0.5, "nothing was measured", ha="center", va="center")
        axes = figure.subplots(max(len(panels), 1), 1, height_ratios=rows, squeeze=False, sharex=logarithmic)[:, 0]
        for one in axes:
            one.set_visible(bool(panels))
        for one, (model, marks) in zip(axes, panels.items(), strict=False):
            one.set_title(model, loc="left", fontweight="bold", fontsize=11)
            (_dots if logarithmic else _horizontal)(one, marks)
        if logarithmic:
            values = [m.value for marks in panels.values() for m in marks if m.value] or [1.0]
            axes[0].set_xlim(min(values) / 3, max(values) * 12)
        svg, png = io.StringIO(), io.BytesIO()
        figure.savefig(svg, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        figure.set_layout_engine("none")  # keeps the layout just found, which costs as much as the drawing
        figure.savefig(png, format="png", dpi=144, facecolor="white", metadata={"Software": None})
    return Picture(name, title, _alt(title, panels), _inline(svg.getvalue(), name), png.getvalue())


def _frame(axes: Axes, marks: Sequence[Mark]) -> None:
    axes.set_ylim(len(marks) - 0.4, -0.6)
    axes.set_yticks([i for i, m in enumerate(marks) if m.colour], [m.label for m in marks if m.colour])
    axes.tick_params(axis="y", length=0)


def _horizontal(axes: Axes, marks: Sequence[Mark]) -> None:
    _frame(axes, marks)
    axes.xaxis.set_visible(False)
    values = [v for m in marks if m.value for v in (m.value, *m.launches, m.interval.high if m.interval else 0)]
    top = max(values, default=1.0)
    axes.set_xlim(0, 2.2 * top)  # room for the words after the longest bar
    for y, mark in enumerate(marks):
        if not mark.colour:
            axes.text(0.012 * top, y + 0.15, mark.label, va="center_baseline", fontweight="bold")
            continue
        end = 0.0
        if mark.value is not None:
            axes.barh(
                y, mark.value, height=0.72, linewidth=1, edgecolor=mark.colour,
                facecolor=_tint(mark.colour) if mark.hatched else mark.colour, hatch="////" if mark.hatched else None,
            )  # fmt: skip
            end = max(mark.value, *mark.launches, mark.interval.high if mark.interval else 0)
            axes.plot(mark.launches, [y] * len(mark.launches), "|", color=INK, markersize=5, markeredgewidth=0.7)
        if mark.interval:
            axes.plot([mark.interval.low, mark.interval.high], [y, y], color=INK, linewidth=1.6, solid_capstyle="butt")
        axes.text(end + 0.015 * top, y, mark.text, va="center_baseline", style="normal" if mark.value else "italic")


def _tint(colour: str) -> tuple[float, ...]:
    """A third of the colour on white, opaque: SVG viewers fade the hatching with a transparent fill."""
    return tuple((2 + part) / 3 for part in to_rgb(colour))


def _dots(axes: Axes, marks: Sequence[Mark]) -> None:
    _frame(axes, marks)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(base=10, numticks=12))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: size(value).replace(".00", "").replace(".0", "")))
    axes.tick_params(axis="x", length=0, labelsize=9)
    axes.grid(axis="x", color="#888888", alpha=0.3, linewidth=0.7)
    for y, mark in enumerate(marks):
        if mark.value:
            axes.hlines(y, 1, mark.value, color=mark.colour, linewidth=2, alpha=0.5)
            axes.plot(mark.value, y, "o", color=mark.colour, markersize=9)
            axes.annotate(mark.text, (mark.value, y), (9, 0), textcoords="offset points", va="center_baseline")
        else:
            axes.text(0.01, y, mark.text, transform=axes.get_yaxis_transform(), va="center_baseline", style="italic")


def _alt(title: str, panels: dict[str, list[Mark]]) -> str:
    parts = []
    for model, marks in panels.items():
        heading, items = "", []
        for mark in marks:
            if mark.colour:
                items.append(f"{heading}{mark.label} {mark.text}")
            else:
                heading = f"{mark.label}, "
        parts.append(f"{model}: {'; '.join(items)}")
    return f"{title}. {'. '.join(parts) or 'Nothing was measured'}."


def _inline(svg: str, name: str) -> str:
    """The SVG element alone: scalable, in the page's text colour, its ids unlike those of the other plots."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = svg.replace(INK, "currentColor")
    return re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", svg)
