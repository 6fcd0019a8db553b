"""A run along its clock: latency of each launch, and below it the temperatures and the clock that it had."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from bench.records import Measurement
from bench.report.plots import style
from bench.report.section import Context, Picture
from bench.units import quantity

LATENCY_IN, BELOW_IN, GAP_IN = 1.9, 0.85, 0.34
MOST_PICTURES = 8
TITLE = "launches in time"
SHAPES = "osD^vPX*<>"
HEAT = {"skin_celsius": "skin", "battery_celsius": "battery"}
LEFT_IN = 0.75


class Spot(NamedTuple):
    """A launch: minutes since the run began, its median in ns, that over its subject's median, and its measurement."""

    minutes: float
    median: float
    relative: float
    measurement: Measurement
    clock: float | None


def draw(context: Context) -> tuple[Picture, ...]:
    """A plot `trace-N` for each of the first phones (or for the desktop, where there is none) whose launches are known
    in time."""
    phones = timed_phones(context)
    found: list[Picture] = []
    for serial in (phones or [d.serial for d in context.run.devices])[:MOST_PICTURES]:
        spots = _spots(serial, context)
        if len(spots) > 2 and max(spot.minutes for spot in spots) > 0:
            found.append(_picture(f"trace-{len(found)}", serial, spots, context))
    return tuple(found)


def timed_phones(context: Context) -> list[str]:
    """The phones whose times mean something, by serial."""
    return [d.serial for d in context.run.devices if d.kind == "phone" and not d.translated]


def _spots(serial: str, context: Context) -> list[Spot]:
    begun = _time(context.run.started)
    found = []
    for m in context.measurements:
        subject = m.trial.subject
        if subject.device != serial or m.trial.pass_ != "latency" or m.status == "failed":
            continue
        summary = context.findings.summary(subject, "latency")
        at = _time(m.started)
        if summary is None or summary.statistics is None or at is None or begun is None:
            continue
        medians = {launch.launch: launch.median for launch in summary.statistics.launches}
        if m.trial.launch not in medians or not summary.statistics.median:
            continue
        clocks = context.findings.summary(subject, "clock")
        ran = clocks.statistics.launches if clocks and clocks.metric == "clock" and clocks.statistics else ()
        clock = next((launch.median for launch in ran if launch.launch == m.trial.launch), None)
        median = medians[m.trial.launch]
        minutes = (at - begun).total_seconds() / 60
        found.append(Spot(minutes, median, median / summary.statistics.median, m, clock))
    return found


def _time(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


def _picture(name: str, serial: str, spots: Sequence[Spot], context: Context) -> Picture:
    # What a virtual phone says of its heat is made up, and its clocks are this computer's.
    told = [] if _is_virtual(serial, context) else spots
    heat = {key: words for key, words in HEAT.items() if any(key in s.measurement.conditions for s in told)}
    clocked = any(spot.clock for spot in told)
    where = context.labels.place(spots[0].measurement.trial.subject)
    title = f"{where}: {TITLE}, n = {len(spots)} launches"
    absent = absences(heat, clocked, serial, context)
    height = style.TITLE_IN + 0.3 + LATENCY_IN + (bool(heat) + clocked) * (BELOW_IN + GAP_IN) + style.AXIS_IN + 0.2
    sheet = style.Sheet(height + 0.2 * len(absent))
    with style.styled(name):
        sheet.text(0.06, style.TITLE_IN - 0.13, title, weight="bold", size=10.5)
        kinds = list(dict.fromkeys(_kind(spot) for spot in spots))
        top = style.TITLE_IN + 0.3
        panels = [(LATENCY_IN, "latency of a launch ÷ its variant's median", _latencies(kinds))]
        panels += [(BELOW_IN, "°C", _heat(heat))] if heat else []
        panels += [(BELOW_IN, "clock of its cores", _clock)] if clocked else []
        right = max(style.width(kind, style.SMALL) for kind in kinds) + 0.3
        for n, (tall, words, fill) in enumerate(panels):
            axes = sheet.axes(LEFT_IN, top, style.WIDTH_IN - LEFT_IN - min(right, 2.4), tall)
            axes.set_title(words, loc="left", fontsize=style.SMALL, pad=4)
            fill(axes, spots)
            _minutes(axes, spots, last=n == len(panels) - 1)
            top += tall + GAP_IN
        _key(sheet, kinds, style.WIDTH_IN - min(right, 2.4) + 0.1)
        for n, sentence in enumerate(absent):
            sheet.text(0.06, height + 0.2 * n, sentence, size=style.SMALL, style="italic")
        return style.finished(sheet, name, title, _alt(title, spots, heat, clocked, absent))


def _is_virtual(serial: str, context: Context) -> bool:
    return next(d for d in context.run.devices if d.serial == serial).virtual


def absences(heat: dict[str, str], clocked: bool, serial: str, context: Context) -> list[str]:
    """What a device did not tell, in sentences."""
    if _is_virtual(serial, context):
        return ["No temperatures and clocks below: a virtual phone has none of its own."]
    missing = [] if heat else ["Temperatures are not shown: the device reported none."]
    return [*missing, *([] if clocked else ["Clocks are not shown: the device reported none."])]


def _kind(spot: Spot) -> str:
    return f"{spot.measurement.trial.subject.model} {spot.measurement.trial.subject.variant}"


def _latencies(kinds: Sequence[str]) -> Callable[[Axes, Sequence[Spot]], None]:
    def fill(axes: Axes, spots: Sequence[Spot]) -> None:
        values = [spot.relative for spot in spots]
        low, high = min([*values, 0.95]), max([*values, 1.05])
        axes.set_yscale("log")
        axes.set_ylim(low / (high / low) ** 0.06, high * (high / low) ** 0.06)
        ticks = style.log_ticks(*axes.get_ylim(), 6)
        axes.set_yticks(ticks, [style.tick(value, "ratio") for value in ticks])
        axes.minorticks_off()
        axes.axhline(1, color=style.INK, linewidth=0.9)
        for spot in spots:
            shape, colour = _mark(kinds, _kind(spot))
            axes.plot(spot.minutes, spot.relative, shape, color=colour, markersize=4.5, markerfacecolor="none")
            if spot.measurement.status == "tagged":
                axes.annotate("tagged", (spot.minutes, spot.relative), (5, 3), textcoords="offset points", fontsize=7)

    return fill


def _mark(kinds: Sequence[str], kind: str) -> tuple[str, str]:
    colours = (style.DESKTOP[0], *style.PHONES)
    n = kinds.index(kind)
    return SHAPES[n % len(SHAPES)], colours[(n + n // len(SHAPES)) % len(colours)]


def _heat(heat: dict[str, str]) -> Callable[[Axes, Sequence[Spot]], None]:
    def fill(axes: Axes, spots: Sequence[Spot]) -> None:
        for n, (key, words) in enumerate(heat.items()):
            known = [
                (s.minutes, float(s.measurement.conditions[key])) for s in spots if key in s.measurement.conditions
            ]
            colour = style.PHONES[3 * n]
            line = axes.step(*zip(*known, strict=True), where="post", color=colour, linewidth=1.4)[0]
            line.set_linestyle("-" if n == 0 else "--")
            axes.annotate(
                words, known[-1], (5, 0), textcoords="offset points", va="center_baseline", fontsize=style.SMALL,
                annotation_clip=False,
            )  # fmt: skip
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: style.tick(value, "°C")))

    return fill


def _clock(axes: Axes, spots: Sequence[Spot]) -> None:
    known = [(spot.minutes, spot.clock) for spot in spots if spot.clock]
    axes.plot(*zip(*known, strict=True), "o", color=style.DESKTOP[0], markersize=3.5)
    axes.set_ylim(0, 1.15 * max(clock for _, clock in known))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: style.tick(value, "Hz")))


def _minutes(axes: Axes, spots: Sequence[Spot], *, last: bool) -> None:
    end = max(spot.minutes for spot in spots)
    start = min(spot.minutes for spot in spots)
    room = 0.03 * (end - start or 1.0)
    axes.set_xlim(start - room, end + room)
    axes.xaxis.set_major_locator(MaxNLocator(8))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} min"))
    axes.yaxis.get_major_locator().set_params(**({} if axes.get_yscale() == "log" else {"nbins": 4}))
    axes.tick_params(axis="both", length=0, labelsize=style.SMALL, labelbottom=last)
    axes.grid(color=style.GRID, alpha=0.3, linewidth=0.6)
    axes.spines["left"].set_visible(False)


def _key(sheet: style.Sheet, kinds: Sequence[str], left: float) -> None:
    """Names beside the marks; launches of all variants are mixed, so they cannot be named where they are."""
    tall = min(0.19 * len(kinds), sheet.height - style.TITLE_IN)
    axes = sheet.axes(left, style.TITLE_IN + 0.3, style.WIDTH_IN - left, tall)
    axes.set_axis_off()
    axes.set_xlim(0, style.WIDTH_IN - left)
    axes.set_ylim(len(kinds) - 0.5, -0.5)
    for y, kind in enumerate(kinds):
        shape, colour = _mark(kinds, kind)
        axes.plot(0.08, y, shape, color=colour, markersize=4.5, markerfacecolor="none")
        words = style.cut(kind, style.WIDTH_IN - left - 0.25, style.SMALL)
        axes.text(0.2, y, words, va="center_baseline", fontsize=style.SMALL)


def _alt(title: str, spots: Sequence[Spot], heat: dict[str, str], clocked: bool, absent: Sequence[str]) -> str:
    slowest = max(spots, key=lambda spot: spot.relative)
    said = [
        f"The launch furthest above its variant's median is {_kind(slowest)} after {slowest.minutes:.1f} minutes, "
        f"{quantity(slowest.relative, 'ratio')}"
    ]
    for key, words in heat.items():
        known = [float(s.measurement.conditions[key]) for s in spots if key in s.measurement.conditions]
        said.append(f"{words} from {quantity(min(known), '°C')} to {quantity(max(known), '°C')}")
    if clocked:
        clocks = [spot.clock for spot in spots if spot.clock]
        said.append(f"clock from {quantity(min(clocks), 'Hz')} to {quantity(max(clocks), 'Hz')}")
    return f"{title}. {'. '.join(said)}. {' '.join(absent)}".strip()
