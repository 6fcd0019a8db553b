"""What a variant is worth against what it costs: score over latency, bytes and peak memory, with the Pareto front."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from bench.findings import Interval, Summary
from bench.records import METRICS, Subject
from bench.report.labels import SHORT
from bench.report.plots import style
from bench.report.ranking import same_job
from bench.report.section import Context, Picture
from bench.units import quantity

COSTS = ("latency", "deployed", "vm_hwm")
HEIGHT_IN, GAP_IN, LABEL_IN = 2.7, 0.16, 0.14
MOST_PICTURES = 8
TITLE = "score against cost"


class Point(NamedTuple):
    """A variant by one cost and its score, each with its interval where it has one."""

    name: str
    cost: float
    score: float
    cost_interval: Interval | None
    score_interval: Interval | None
    usable: bool


class _Place(NamedTuple):
    """What competes: subjects of networks for the same samples, in one place, by one score."""

    where: str
    score: str
    subjects: tuple[Subject, ...]


def draw(context: Context) -> tuple[Picture, ...]:
    """A plot `pareto-N` for each group of rivals and each phone (else the desktop), MOST_PICTURES at most."""
    found = places(context)[:MOST_PICTURES]
    return tuple(_picture(f"pareto-{n}", place, context) for n, place in enumerate(found))


def places(context: Context) -> list[_Place]:
    """What competes, by network and place."""
    return list(_places(context))


def _places(context: Context) -> Iterator[_Place]:
    together = [tuple(m for m in context.models if m in rivals) for rivals in same_job(context)]
    alone = [(model,) for model in context.models if not any(model in models for models in together)]
    groups = sorted((*together, *alone), key=lambda models: context.models.index(models[0]))
    for models in groups:
        mine = [s for s in context.findings.subjects if s.model in models]
        phones = [s for s in mine if context.labels.is_phone(s.device)]
        shown = phones or [s for s in mine if not context.labels.is_reference(s)]
        for where in dict.fromkeys(context.labels.place(s) for s in shown):
            here = tuple(s for s in shown if context.labels.place(s) == where)
            score = _score(here, context)
            if score and len([s for s in here if _value(s, score, context)]) > 1:
                yield _Place(where, score, here)


def _score(subjects: Sequence[Subject], context: Context) -> str | None:
    """The main score where any has it, else how often answers are the eager network's."""
    main = context.labels.score(subjects[0].model)
    for metric in (main, "agreement"):
        if metric and any(_value(s, metric, context) for s in subjects):
            return metric
    return None


def _value(subject: Subject, metric: str, context: Context) -> Summary | None:
    found = context.findings.summary(subject, metric)
    return found if found and found.metric == metric and found.statistics and not _senseless(found) else None


def _senseless(summary: Summary) -> bool:
    """Times and memory of a translated phone; its bytes and answers count."""
    return summary.translated and METRICS[summary.metric].pass_ in ("latency", "memory")


def _points(place: _Place, metric: str, context: Context) -> list[Point]:
    models = {s.model for s in place.subjects}
    found = []
    for subject in place.subjects:
        cost, score = _value(subject, metric, context), _value(subject, place.score, context)
        if not (cost and score and cost.statistics and score.statistics):
            continue
        name = f"{subject.model} {subject.variant}" if len(models) > 1 else subject.variant
        setting = context.labels.setting(subject)
        found.append(
            Point(
                f"{name}, {setting}" if setting else name, cost.statistics.median, score.statistics.median,
                cost.statistics.interval, score.statistics.interval, cost.usable and score.usable,
            )
        )  # fmt: skip
    return list(dict.fromkeys(found))


def front(points: Sequence[Point]) -> list[Point]:
    """Those that no other beats: none costs less and is as good, none is better at the same cost; cheapest first."""
    kept = [
        p
        for p in points
        if p.usable
        and not any(
            q.usable and q.cost <= p.cost and q.score >= p.score and (q.cost, q.score) != (p.cost, p.score)
            for q in points
        )
    ]
    return sorted(kept, key=lambda p: p.cost)


def _picture(name: str, place: _Place, context: Context) -> Picture:
    found = {metric: points for metric in COSTS if (points := _points(place, metric, context))}
    models = dict.fromkeys(s.model for s in place.subjects)
    title = f"{', '.join(context.labels.model(m) for m in models)} on {place.where}: {TITLE}"
    top = style.TITLE_IN + 0.24
    sheet = style.Sheet(top + HEIGHT_IN + style.AXIS_IN)
    scores = [v for points in found.values() for p in points for v in (p.score, *_ends(p.score_interval))]
    room = 0.1 * (max(scores) - min(scores)) or 0.02 * abs(max(scores)) or 0.1
    left = 0.78
    wide = (style.WIDTH_IN - left - GAP_IN * (len(found) - 1) - 0.05) / len(found)
    with style.styled(name):
        for n, (metric, points) in enumerate(found.items()):
            axes = sheet.axes(left + n * (wide + GAP_IN), top, wide, HEIGHT_IN)
            axes.set_title(f"{SHORT[metric]} →", loc="left", fontsize=style.FONT, pad=4)
            axes.set_ylim(min(scores) - room, max(scores) + room)
            axes.yaxis.set_major_locator(MaxNLocator(6))
            unit = METRICS[place.score].unit
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _, unit=unit: style.tick(value, unit)))
            axes.tick_params(axis="y", length=0, labelsize=style.SMALL, labelleft=not n)
            axes.grid(axis="y", color=style.GRID, alpha=0.3, linewidth=0.6)
            axes.spines["left"].set_visible(False)
            _panel(axes, METRICS[metric].unit, points, wide)
        words = _rests_on(place, context)
        sheet.text(0.06, style.TITLE_IN - 0.13, style.cut(title, 6.0, 11), weight="bold", size=10.5)
        sheet.text(0.06, top - 0.06, f"{SHORT[place.score]} ↑", size=style.SMALL)
        sheet.text(style.WIDTH_IN - 0.06, style.TITLE_IN - 0.13, words, size=style.SMALL, ha="right", alpha=0.8)
        return style.finished(sheet, name, title, _alt(title, place, found))


def _rests_on(place: _Place, context: Context) -> str:
    counts = {s.statistics.samples for x in place.subjects if (s := _value(x, place.score, context)) and s.statistics}
    launches = {
        len(s.statistics.launches)
        for x in place.subjects
        if (s := _value(x, "latency", context)) and s.statistics
    }  # fmt: skip
    words = [f"{min(counts):,} samples"] if counts else []
    words += [f"{'–'.join(map(str, sorted({min(launches), max(launches)})))} launches"] if launches else []
    return f"n = {', '.join(words)}" if words else ""


def _ends(interval: Interval | None) -> tuple[float, ...]:
    return (interval.low, interval.high) if interval else ()


def _panel(axes: Axes, unit: str, points: Sequence[Point], wide: float) -> None:
    costs = [v for p in points for v in (p.cost, *_ends(p.cost_interval))]
    style.scale(axes, unit, costs, logarithmic=style.spans(costs), pad=0.12, most=max(2, int(wide / 0.65)), edge=0.09)
    best = front(points)
    if best:
        # As good can be had from each point of the front on, at any higher cost.
        axes.plot(*_stairs(best, axes), color=style.PHONES[1], linewidth=1.3, alpha=0.6)
    for p in points:
        colour = style.PHONES[1] if p in best else style.REFERENCE
        if p.score_interval:
            axes.plot([p.cost, p.cost], _ends(p.score_interval), color=colour, linewidth=1.2)
        if p.cost_interval:
            axes.plot(_ends(p.cost_interval), [p.score, p.score], color=colour, linewidth=1.2)
        shape = "o" if p.usable else "x"
        axes.plot(p.cost, p.score, shape, color=colour, markerfacecolor=colour if p in best else "none", markersize=6.5)
    _label(axes, points, best)


def _stairs(best: Sequence[Point], axes: Axes) -> tuple[list[float], list[float]]:
    x = [v for p in best for v in (p.cost, p.cost)]
    y = [axes.get_ylim()[0], *(v for p in best[:-1] for v in (p.score, p.score)), best[-1].score]
    return [*x, axes.get_xlim()[1]], [*y, best[-1].score]


def _label(axes: Axes, points: Sequence[Point], best: Sequence[Point]) -> None:
    """A name beside each point, where it covers neither another name nor a point; a line leads to those farther off.

    Greedy: the best places go first, and each name takes the nearest free spot around its point.
    """
    frame = axes.get_window_extent()
    dpi = axes.get_figure(root=True).dpi  # type: ignore[union-attr]
    wide, high = frame.width / dpi, frame.height / dpi
    at = {p: tuple((axes.transData.transform((p.cost, p.score)) - (frame.x0, frame.y0)) / dpi) for p in points}
    lines = _along(axes, points, best, (frame.x0, frame.y0), dpi)
    dots = [(x - 0.06, y - 0.06, x + 0.06, y + 0.06) for x, y in at.values()]
    taken: list[tuple[float, float, float, float]] = []
    for p in sorted(points, key=lambda p: (p not in best, p.cost)):
        x, y = at[p]
        text = style.cut(p.name if p.usable else f"{p.name} (not usable)", wide, style.SMALL)
        width = style.width(text, style.SMALL) * (1.12 if p in best else 1.0)
        spots = []
        for distance in (0.09, 0.16, 0.26, 0.4, 0.56, 0.75, 1.0):
            for angle in (0, 180, 60, 300, 120, 240, 90, 270, 30, 330, 150, 210):
                dx, dy = distance * math.cos(math.radians(angle)), distance * math.sin(math.radians(angle))
                start = x + dx - width * (0.5 - 0.5 * math.cos(math.radians(angle)))
                start = min(max(start, 0.0), wide - width)
                middle = y + dy
                box = (start, middle - LABEL_IN / 2, start + width, middle + LABEL_IN / 2)
                cost = 40 * sum(_overlap(box, other) for other in taken) + 25 * sum(_overlap(box, d) for d in dots)
                cost += 0.02 * sum(box[0] < a < box[2] and box[1] < b < box[3] for a, b in lines)
                cost += 60 * (max(0.0, -box[1]) + max(0.0, box[3] - high))
                spots.append((cost + 0.05 * distance, box))
        _, box = min(spots, key=lambda spot: spot[0])
        taken.append(box)
        middle = (box[1] + box[3]) / 2
        nearest = (min(max(x, box[0]), box[2]), min(max(y, box[1]), box[3]))
        if math.dist(nearest, (x, y)) > 0.14:
            ends = ([nearest[0] / wide, x / wide], [nearest[1] / high, y / high])
            axes.plot(*ends, color=style.INK, linewidth=0.5, alpha=0.6, transform=axes.transAxes, zorder=1)
        axes.text(
            box[0] / wide, middle / high, text, transform=axes.transAxes, va="center", fontsize=style.SMALL,
            fontweight="bold" if p in best else "normal", clip_on=False,
        )  # fmt: skip


def _along(
    axes: Axes, points: Sequence[Point], best: Sequence[Point], corner: tuple[float, float], dpi: float
) -> list[tuple[float, float]]:
    """Spots on the lines of a panel, 0.05 inches apart: a name is better put elsewhere."""
    lines = [_stairs(best, axes)] if best else []
    lines += [([p.cost, p.cost], list(_ends(p.score_interval))) for p in points if p.score_interval]
    lines += [(list(_ends(p.cost_interval)), [p.score, p.score]) for p in points if p.cost_interval]
    found = []
    for line in lines:
        corners = (axes.transData.transform(np.column_stack(line)) - corner) / dpi
        for start, end in pairwise(corners):
            steps = np.linspace(0, 1, 2 + int(math.dist(start, end) / 0.05))
            found += [(float(x), float(y)) for x, y in start + steps[:, None] * (end - start)]
    return found


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    """Of two boxes (left, bottom, right, top): the area in common."""
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def _alt(title: str, place: _Place, found: dict[str, list[Point]]) -> str:
    unit = METRICS[place.score].unit
    parts = []
    for metric, points in found.items():
        items = [
            f"{p.name} {quantity(p.cost, METRICS[metric].unit)}, {quantity(p.score, unit)}"
            + ("" if p.usable else ", not usable")
            for p in points
        ]
        on = ", ".join(p.name for p in front(points)) or "nothing usable"
        parts.append(f"{SHORT[metric]} and {SHORT[place.score]}: {'; '.join(items)}. On the front: {on}")
    return f"{title}. {'. '.join(parts)}."
