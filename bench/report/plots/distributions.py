"""Latency as it came: a strip for each launch, with its samples as dots and a box, launches beside each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path

from bench.evidence import Distribution
from bench.records import Subject
from bench.report.plots import style
from bench.report.section import Context, Picture
from bench.units import quantity

MOST_PICTURES = 12
STRIP_IN, GAP_IN, LEAST_IN = 0.13, 0.09, 0.3
LINE_IN = 0.14
"""Of the words beside a variant's strips."""
MOST_IN = 1.1
"""Of all launches of a variant; with many launches the strips become thinner."""
DOT_IN = 0.006
"""How long a dot is: nothing is drawn of lines without a length."""
TITLE = "every launch a strip"


def draw(context: Context) -> tuple[Picture, ...]:
    """A plot `latency-distribution-N` for each network and place, phones first, MOST_PICTURES at most."""
    return tuple(
        _picture(f"latency-distribution-{n}", place, context) for n, place in enumerate(places(context)[:MOST_PICTURES])
    )


def places(context: Context) -> list[tuple[Distribution, ...]]:
    """The launches of each network in each place."""
    found: dict[tuple[str, str, str], list[Distribution]] = {}
    translated = {device.serial for device in context.run.devices if device.translated}
    for one in context.findings.distributions:
        if one.subject.device not in translated:
            found.setdefault((one.subject.model, one.subject.device, one.subject.runtime), []).append(one)
    models = list(context.models)
    order = sorted(found, key=lambda key: (models.index(key[0]), not context.labels.is_phone(key[1])))
    return [tuple(found[key]) for key in order]


def _picture(name: str, place: Sequence[Distribution], context: Context) -> Picture:
    subjects = [s for s in context.findings.subjects if any(one.subject == s for one in place)]
    launches = {s: sorted((one for one in place if one.subject == s), key=lambda one: one.launch) for s in subjects}
    strips = {s: min(STRIP_IN, MOST_IN / len(mine)) for s, mine in launches.items()}
    lines_in = {s: LINE_IN * len(_words(s, context)) for s in subjects}
    heights = {s: max(strips[s] * len(mine), LEAST_IN, lines_in[s]) + GAP_IN for s, mine in launches.items()}
    top, height = style.TITLE_IN, sum(heights.values())
    first = subjects[0]
    title = f"{context.labels.model(first.model)} on {context.labels.place(first)}: {TITLE}"
    sheet = style.Sheet(top + height + style.AXIS_IN)
    with style.styled(name):
        left = max(style.width(style.cut(_named(s, context), 1.9)) * 1.12 for s in subjects) + 0.2
        words = [_words(s, context) for s in subjects]
        right = style.WIDTH_IN - max(style.width(line, style.SMALL) for lines in words for line in lines) - 0.12
        axes = sheet.axes(left, top, right - left, height, title)
        values = [value for mine in launches.values() for one in mine for value in (*one.some, *one.quantiles)]
        style.scale(axes, "ns", values, logarithmic=style.spans(values), pad=0.03)
        axes.set_ylim(height, 0)
        axes.yaxis.set_visible(False)
        axes.spines["left"].set_visible(False)
        axes.spines["bottom"].set_visible(False)
        colour = style.colours(context)[first.device, first.runtime]
        y = 0.0
        for subject, lines in zip(subjects, words, strict=True):
            middle = top + y + heights[subject] / 2
            if y:
                sheet.rule(top + y)
            sheet.text(0.06, middle + 0.05, style.cut(_named(subject, context), 1.9), weight="bold")
            for n, line in enumerate(lines):
                sheet.text(right + 0.06, middle + LINE_IN * (n - len(lines) / 2) + 0.11, line, size=style.SMALL)
            start = y + (heights[subject] - strips[subject] * len(launches[subject])) / 2
            for n, one in enumerate(launches[subject]):
                _strip(axes, start + (n + 0.5) * strips[subject], strips[subject], one, colour)
            y += heights[subject]
        return style.finished(sheet, name, title, _alt(title, launches, context))


def _strip(axes: Axes, y: float, height: float, one: Distribution, colour: str) -> None:
    """Dots, box from 25 to 75 %, whiskers from 5 to 95 %; a tagged launch is hollow, in ink, with a cross."""
    low, first, middle, third, high = one.quantiles
    _dots(axes, one.some, y, height, style.REFERENCE if one.reason else colour)
    for ends in ((low, first), (third, high)):
        axes.plot(ends, [y, y], color=style.INK, linewidth=0.8)
    half = 0.34 * height
    box = Rectangle((first, y - half), third - first, 2 * half, fill=False, edgecolor=style.INK, linewidth=0.8)
    axes.add_patch(box)
    axes.plot([middle, middle], [y - half, y + half], color=style.INK, linewidth=2, solid_capstyle="butt")
    if one.reason:
        axes.plot(high, y, "x", color=style.INK, markersize=5, markeredgewidth=1.4)


def _dots(axes: Axes, values: Sequence[float], y: float, height: float, colour: str) -> None:
    """All dots of a strip as one path of short lines with round ends, which takes a tenth of an SVG's bytes for as many
    markers. They are spread over the strip, each time alike."""
    spread = np.random.default_rng(len(values)).uniform(-0.4, 0.4, len(values)) * height
    points = axes.transData.transform(np.column_stack((values, y + spread)))
    across = axes.transAxes.inverted().transform(points)
    vertices = np.repeat(across, 2, axis=0)
    vertices[1::2, 0] += DOT_IN / (axes.get_position().width * style.WIDTH_IN)
    codes = np.tile([Path.MOVETO, Path.LINETO], len(values))
    axes.add_patch(
        PathPatch(
            Path(vertices, codes), transform=axes.transAxes, fill=False, edgecolor=colour, alpha=0.65, linewidth=2.1,
            capstyle="round",
        )
    )  # fmt: skip


def _named(subject: Subject, context: Context) -> str:
    setting = context.labels.setting(subject)
    return f"{subject.variant}, {setting}" if setting else subject.variant


def _words(subject: Subject, context: Context) -> list[str]:
    """The median, and what it rests on."""
    summary = context.findings.summary(subject, "latency")
    if summary is None or summary.statistics is None:
        return []
    figures = summary.statistics
    tagged = sum(bool(one.reason) for one in context.findings.distributions if one.subject == subject)
    each = min(launch.samples for launch in figures.launches)
    lines = [
        f"median {quantity(figures.median, 'ns')}{', not usable' * (not summary.usable)}",
        f"n = {len(figures.launches)} launch{'es' * (len(figures.launches) != 1)}, ≥ {each:,} each",
    ]
    return [*lines, *([f"{tagged} tagged (crosses)"] if tagged else [])]


def _alt(title: str, launches: dict[Subject, list[Distribution]], context: Context) -> str:
    parts = []
    for subject, mine in launches.items():
        medians = [one.quantiles[2] for one in mine]
        spread = f"from {quantity(min(medians), 'ns')} to {quantity(max(medians), 'ns')}"
        tagged = f", {sum(bool(one.reason) for one in mine)} tagged" if any(one.reason for one in mine) else ""
        parts.append(f"{_named(subject, context)}: {len(mine)} launches with medians {spread}{tagged}")
    return f"{title}. {'; '.join(parts)}."
