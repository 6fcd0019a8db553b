"""One plot of trends."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from datetime import datetime

import matplotlib as mpl
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from bench.findings import Trend
from bench.records import METRICS
from bench.report.plots.style import PHONES, STYLE
from bench.report.trend import where
from bench.text import visible
from bench.units import quantity

MOST = 12
"""Trends that one plot has room for."""
_PNG_DPI = 150


def draw(trends: Sequence[Trend], form: str) -> bytes:
    """One panel for each of up to MOST trends, as `svg` or `png`: the nights' medians and quartiles, a step of the
    level they belong to, and each change with its date and size."""
    with mpl.rc_context({**STYLE, "text.color": "black", "axes.edgecolor": "black", "svg.hashsalt": "bench"}):
        figure = Figure(figsize=(9, 0.6 + 2.3 * len(trends)), layout="constrained")
        panels = figure.subplots(len(trends), squeeze=False)[:, 0]
        for axes, t in zip(panels, trends, strict=True):
            unit = METRICS[t.metric].unit
            times = [datetime.fromisoformat(night.started) for night in t.nights]
            axes.vlines(times, [n.low for n in t.nights], [n.high for n in t.nights], color="#9a9a9a", linewidth=1)
            axes.plot(times, [n.median for n in t.nights], ".", color="black", markersize=3)
            for begin, end, level in _levels(t):
                last = times[min(end, len(times) - 1)]
                axes.plot([times[begin], last], [level, level], color=PHONES[0], linewidth=2)
            for change in t.changes:
                axes.axvline(times[change.at], color=PHONES[0], linewidth=0.8, linestyle=":")
                sign = "+" if change.ratio > 1 else "−"
                note = f" {sign}{100 * abs(change.ratio - 1):.1f} % since {change.night.started[:10]}"
                axes.annotate(note, (times[change.at], 1), xycoords=("data", "axes fraction"), va="top", fontsize=9)
            title = (
                f"{t.subject.model} {t.subject.variant} on {where(t)}: {METRICS[t.metric].text}, n = {len(t.nights)}"
            )
            axes.set_title(visible(title), loc="left", fontsize=10)
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _, unit=unit: quantity(value, unit)))
            locator = AutoDateLocator()  # type: ignore[no-untyped-call]
            axes.xaxis.set_major_locator(locator)
            axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        out = io.BytesIO()
        figure.savefig(out, format=form, dpi=_PNG_DPI, metadata={"Date": None} if form == "svg" else None)
    return out.getvalue()


def _levels(t: Trend) -> Iterator[tuple[int, int, float]]:
    """From which night to which, at what level."""
    if not t.changes:
        middle = sorted(night.median for night in t.nights)[len(t.nights) // 2]
        yield 0, len(t.nights) - 1, middle
        return
    borders = [0, *(change.at for change in t.changes), len(t.nights)]
    levels = [t.changes[0].before, *(change.after for change in t.changes)]
    yield from zip(borders[:-1], borders[1:], levels, strict=True)
