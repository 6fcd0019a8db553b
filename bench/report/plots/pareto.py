"""What a variant is worth against what it costs: score over bytes, latency and peak memory, with the Pareto front.

A family of variants has a colour and a shape of its own, and its sizes are joined. Filled is what is on the front,
hollow what is behind by the medians, grey what is beaten beyond chance (`bench.contest.Standing`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from bench.contest import Contest, Place
from bench.findings import Interval
from bench.records import METRICS
from bench.report.labels import SHORT
from bench.report.plots import labelling, style
from bench.report.rivals import ORDINARY, Families, floors
from bench.report.section import Context, Picture
from bench.report.sections.rivals import name, where
from bench.units import quantity

COSTS = ("deployed", "latency", "vm_hwm")
HEIGHT_IN, GAP_IN = 2.9, 0.16
WIDE_IN, BETWEEN_IN = 3.0, 0.3
"""Of a panel with the whole width, and what its title needs above it."""
FEW = 10
"""Points that stand in panels side by side; more have panels of the whole width, below each other."""
LOGARITHMIC = 5.0
"""Costs that differ by more times are drawn on a logarithmic axis: ratios are what is asked about."""
LEFT_IN = 0.78
KEY_IN = 0.2
"""Of a line of the key, below."""
MOST_PICTURES = 8
TITLE = "score against cost"
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#9467BD")
SHAPES = "osD^vPph<>"
"""Of families, the ordinary network aside, which is a star: ten shapes before any comes again, seven colours, so that
no two of seventy families have both in common."""


class Point(NamedTuple):
    """A variant by one cost and its score, each with its interval where it has one. Those of one `line` are joined."""

    name: str
    family: str
    line: tuple[str, str, str]
    cost: float
    score: float
    cost_interval: Interval | None
    score_interval: Interval | None
    place: Place
    by: str

    @property
    def named(self) -> bool:
        """Whether its name is written beside it: names of all would cover each other."""
        return self.place == "front" or self.family == ORDINARY


class Mark(NamedTuple):
    """How a family is drawn."""

    colour: str
    shape: str


def draw(context: Context) -> tuple[Picture, ...]:
    """A plot `pareto-N` for each contest, MOST_PICTURES at most."""
    found = context.findings.contests[:MOST_PICTURES]
    pictures = (_picture(f"pareto-{n}", contest, context) for n, contest in enumerate(found))
    return tuple(picture for picture in pictures if picture)


def _points(contest: Contest, cost: str, context: Context) -> list[Point]:
    families, found = Families(context.run), []
    for standing in contest.standings.get(cost, ()):
        subject = standing.subject
        price = context.findings.summary(subject, cost)
        worth = context.findings.summary(subject, contest.score)
        if price and price.statistics and worth and worth.statistics:
            by = name(standing.by, contest, context) if standing.by else ""
            found.append(
                Point(
                    name(subject, contest, context), families.family(subject), families.line(subject),
                    price.statistics.median, worth.statistics.median, price.statistics.interval,
                    worth.statistics.interval, standing.place, by,
                )
            )  # fmt: skip
    return found


def marks(families: Iterable[str]) -> dict[str, Mark]:
    """A colour and a shape for each family."""
    others = [family for family in dict.fromkeys(families) if family != ORDINARY]
    found = {family: Mark(COLOURS[n % len(COLOURS)], SHAPES[n % len(SHAPES)]) for n, family in enumerate(others)}
    return {ORDINARY: Mark(style.INK, "*")} | found


def _picture(title_id: str, contest: Contest, context: Context) -> Picture | None:
    found = {metric: points for metric in COSTS if (points := _points(contest, metric, context))}
    if not found:
        return None
    title = f"{', '.join(context.labels.model(m) for m in contest.models)} on {where(contest, context)}: {TITLE}"
    every = [p for points in found.values() for p in points]
    look = marks(p.family for p in every)
    key = _key({p.family for p in every}, {p.place for p in every}, look)
    top = style.TITLE_IN + 0.24
    boxes, bottom = _boxes(len(found), top, stacked=max(map(len, found.values())) > FEW)
    lines = _lines_of(key)
    sheet = style.Sheet(bottom + KEY_IN * len(lines) + 0.06)
    scores = [v for p in every for v in (p.score, *_ends(p.score_interval))]
    room = 0.1 * (max(scores) - min(scores)) or 0.02 * abs(max(scores)) or 0.1
    unit = METRICS[contest.score].unit
    floor = next(floors(contest, context), None)
    with style.styled(title_id):
        for (metric, points), box in zip(found.items(), boxes, strict=True):
            axes = sheet.axes(*box)
            axes.set_title(f"{SHORT[metric]} →", loc="left", fontsize=style.FONT, pad=4)
            axes.set_ylim(min(scores) - room, max(scores) + room)
            axes.yaxis.set_major_locator(MaxNLocator(6))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: style.tick(value, unit)))
            axes.tick_params(axis="y", length=0, labelsize=style.SMALL, labelleft=box[0] == LEFT_IN)
            axes.grid(axis="y", color=style.GRID, alpha=0.3, linewidth=0.6)
            axes.spines["left"].set_visible(False)
            if floor and axes.get_ylim()[0] < floor.value:
                axes.axhline(floor.value, color=style.INK, linewidth=0.8, linestyle=(0, (4, 3)), alpha=0.7)
            _panel(axes, METRICS[metric].unit, points, look, box[2])
        words = _rests_on(contest, context)
        sheet.text(0.06, style.TITLE_IN - 0.13, style.cut(title, 6.0, 11), weight="bold", size=10.5)
        sheet.text(0.06, top - 0.06, f"{SHORT[contest.score]} ↑", size=style.SMALL)
        sheet.text(style.WIDTH_IN - 0.06, style.TITLE_IN - 0.13, words, size=style.SMALL, ha="right", alpha=0.8)
        _draw_key(sheet, lines, bottom)
        return style.finished(sheet, title_id, title, _alt(title, contest, found))


def _boxes(count: int, top: float, *, stacked: bool) -> tuple[list[tuple[float, float, float, float]], float]:
    """Left, top, width and height of each panel, in inches, and where they end."""
    if stacked:
        high = WIDE_IN + style.AXIS_IN + BETWEEN_IN
        wide = style.WIDTH_IN - LEFT_IN - 0.05
        return [(LEFT_IN, top + n * high, wide, WIDE_IN) for n in range(count)], top + count * high - BETWEEN_IN + 0.06
    wide = (style.WIDTH_IN - LEFT_IN - GAP_IN * (count - 1) - 0.05) / count
    boxes = [(LEFT_IN + n * (wide + GAP_IN), top, wide, HEIGHT_IN) for n in range(count)]
    return boxes, top + HEIGHT_IN + style.AXIS_IN + 0.06


def _rests_on(contest: Contest, context: Context) -> str:
    def rests(metric: str) -> list[tuple[int, int]]:
        known = (context.findings.summary(subject, metric) for subject in contest.subjects)
        return [(s.statistics.samples, len(s.statistics.launches)) for s in known if s and s.statistics]

    counts = [samples for samples, _ in rests(contest.score)]
    launches = sorted({launches for _, launches in rests("latency")})
    words = [f"{min(counts):,} samples"] if counts else []
    words += [f"{'–'.join(map(str, dict.fromkeys((launches[0], launches[-1]))))} launches"] if launches else []
    return f"n = {', '.join(words)}" if words else ""


def _ends(interval: Interval | None) -> tuple[float, ...]:
    return (interval.low, interval.high) if interval else ()


def _panel(axes: Axes, unit: str, points: Sequence[Point], look: Mapping[str, Mark], wide: float) -> None:
    costs = [v for p in points for v in (p.cost, *_ends(p.cost_interval))]
    style.scale(axes, unit, costs, logarithmic=_spans(costs), pad=0.08, most=max(2, int(wide / 0.65)), edge=0.05)
    for line in dict.fromkeys(p.line for p in points if p.family != ORDINARY):
        sizes = sorted((p.cost, p.score) for p in points if p.line == line and p.place != "unusable")
        if len(sizes) > 1:
            colour = look[line[1]].colour
            axes.plot(*zip(*sizes, strict=True), color=colour, linewidth=0.8, alpha=0.45, zorder=1.5)
    best = sorted((p for p in points if p.place == "front"), key=lambda p: p.cost)
    if best:
        # As good can be had from each point of the front on, at any higher cost.
        axes.plot(*_stairs(best, axes), color=style.INK, linewidth=1.1, alpha=0.45, zorder=1.6)
    for p in points:
        colour, shape = look[p.family]
        colour = style.REFERENCE if p.place in ("beaten", "unusable") else colour
        faint = 0.55 if p.place in ("beaten", "unusable") else 0.9
        if p.score_interval:
            axes.plot([p.cost, p.cost], _ends(p.score_interval), color=colour, linewidth=0.9, alpha=faint, zorder=2)
        if p.cost_interval:
            axes.plot(_ends(p.cost_interval), [p.score, p.score], color=colour, linewidth=0.9, alpha=faint, zorder=2)
        axes.plot(p.cost, p.score, **_drawn(p.place, Mark(colour, shape)), zorder=3)
    labelling.label(
        axes,
        [labelling.Spot(p.name, p.cost, p.score, bold=p.place == "front") for p in points if p.named],
        [(p.cost, p.score) for p in points],
        _strokes(axes, points, best),
    )


def _spans(costs: Sequence[float]) -> bool:
    return min(costs) > 0 and max(costs) > LOGARITHMIC * min(costs)


def _drawn(place: Place, mark: Mark) -> dict[str, Any]:
    """Filled on the front, hollow behind it, a cross where it is not usable."""
    size = 9.0 if mark.shape == "*" else 5.4
    shape = "x" if place == "unusable" else mark.shape
    fill = mark.colour if place == "front" else "none"
    return {
        "marker": shape, "color": mark.colour, "markerfacecolor": fill, "markersize": size, "markeredgewidth": 1.0,
        "linestyle": "none",
    }  # fmt: skip


def _stairs(best: Sequence[Point], axes: Axes) -> tuple[list[float], list[float]]:
    x = [v for p in best for v in (p.cost, p.cost)]
    y = [axes.get_ylim()[0], *(v for p in best[:-1] for v in (p.score, p.score)), best[-1].score]
    return [*x, axes.get_xlim()[1]], [*y, best[-1].score]


def _strokes(axes: Axes, points: Sequence[Point], best: Sequence[Point]) -> list[tuple[list[float], list[float]]]:
    """The lines of a panel, on which a name is better not put."""
    lines = [_stairs(best, axes)] if best else []
    lines += [([p.cost, p.cost], list(_ends(p.score_interval))) for p in points if p.score_interval]
    lines += [(list(_ends(p.cost_interval)), [p.score, p.score]) for p in points if p.cost_interval]
    return lines


_PLACES: dict[Place, str] = {
    "front": "on the front",
    "perhaps": "behind by the medians, may be chance",
    "beaten": "beaten beyond chance",
    "unusable": "not usable",
}


def _key(families: Iterable[str], places: Iterable[Place], look: Mapping[str, Mark]) -> list[tuple[str, Place, Mark]]:
    """What marks mean: each family filled, then each standing in grey."""
    present, stands = set(families), set(places)
    found: list[tuple[str, Place, Mark]] = [(f, "front", mark) for f, mark in look.items() if f in present]
    for place, words in _PLACES.items():
        if place in stands:
            colour = style.REFERENCE if place in ("beaten", "unusable") else style.INK
            found.append((words, place, Mark(colour, "o")))
    return found


def _lines_of(key: Sequence[tuple[str, Place, Mark]]) -> list[list[tuple[float, str, Place, Mark]]]:
    """The key in lines that fit, each entry with where it begins, in inches."""
    lines: list[list[tuple[float, str, Place, Mark]]] = [[]]
    left = 0.1
    for words, place, mark in key:
        words = style.cut(words, 3.0, style.SMALL)
        needed = 0.2 + style.width(words, style.SMALL) + 0.22
        starts_standings = words == _PLACES["front"] and bool(lines[-1])
        if left + needed > style.WIDTH_IN or starts_standings:
            lines.append([])
            left = 0.1
        lines[-1].append((left, words, place, mark))
        left += needed
    return lines


def _draw_key(sheet: style.Sheet, lines: Sequence[Sequence[tuple[float, str, Place, Mark]]], top: float) -> None:
    for n, line in enumerate(lines):
        base = top + (n + 0.6) * KEY_IN
        for left, words, place, mark in line:
            x, y = (left + 0.05) / style.WIDTH_IN, 1 - (base - 0.035) / sheet.height
            sheet.figure.add_artist(Line2D([x], [y], **_drawn(place, mark)))
            sheet.text(left + 0.18, base, words, size=style.SMALL)


def _alt(title: str, contest: Contest, found: dict[str, list[Point]]) -> str:
    unit = METRICS[contest.score].unit
    behind = {"beaten": ", beaten by {}", "perhaps": ", perhaps beaten by {}", "unusable": ", not usable", "front": ""}
    parts = []
    for metric, points in found.items():
        items = [
            f"{p.name} {quantity(p.cost, METRICS[metric].unit)}, {quantity(p.score, unit)}"
            + behind[p.place].format(p.by)
            for p in points
        ]
        on = ", ".join(p.name for p in points if p.place == "front") or "nothing usable"
        parts.append(f"{SHORT[metric]} and {SHORT[contest.score]}: {'; '.join(items)}. On the front: {on}")
    return f"{title}. {'. '.join(parts)}."
