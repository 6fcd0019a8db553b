"""Trends as a table, in sentences, and as one plot."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import PurePath
from typing import Any

import matplotlib as mpl
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from bench.findings import Change, Trend
from bench.records import METRICS
from bench.report.figures import PHONES, STYLE
from bench.text import visible
from bench.units import quantity

HEADER = ("network", "variant", "where", "figure", "nights", "first", "last", "changes")
WORDS = 4
MOST = 12
"""Trends that one plot has room for."""
_PNG_DPI = 150


def rows(trends: Sequence[Trend]) -> list[tuple[str, ...]]:
    """A row for each trend under HEADER."""
    return [
        (
            t.subject.model, t.subject.variant, _where(t), t.metric, str(len(t.nights)),
            *(quantity(night.median, METRICS[t.metric].unit) for night in (t.nights[0], t.nights[-1])),
            str(len(t.changes)),
        )
        for t in trends
    ]  # fmt: skip


def sentences(trends: Sequence[Trend]) -> list[str]:
    """One for each change: since which night, what, by how much."""
    return [_sentence(t, change) for t in trends for change in t.changes]


def word(t: Trend, change: Change) -> str:
    """What became of the figure: slower, faster, larger, smaller, higher or lower."""
    names = {"ns": ("slower", "faster"), "B": ("larger", "smaller")}.get(METRICS[t.metric].unit, ("higher", "lower"))
    return names[change.ratio < 1]


def as_json(trends: Sequence[Trend]) -> list[dict[str, Any]]:
    """Every trend with its nights and changes, figures in base units."""
    return [
        asdict(t)
        | {
            "subject": t.subject.model_dump(), "unit": METRICS[t.metric].unit,
            "nights": [night._asdict() for night in t.nights],
            "changes": [
                change._asdict() | {"night": change.night._asdict(), "word": word(t, change)} for change in t.changes
            ],
        }
        for t in trends
    ]  # fmt: skip


def _where(t: Trend) -> str:
    s = t.subject
    extras = [f"{s.threads} threads"] * (s.threads > 1) + [s.precision] * (s.precision != "fp32")
    return ", ".join((f"{s.device} ({s.runtime})", *extras, *["virtual"] * t.virtual))


def _sentence(t: Trend, change: Change) -> str:
    unit = METRICS[t.metric].unit
    by = f"{100 * abs(change.ratio - 1):.1f} %" if change.ratio < 3 else f"{change.ratio:.1f} times as much"
    commit = f", commit {change.night.commit[:10]}" if change.night.commit else ""
    when = f"{change.night.started[:10]} (run {PurePath(change.night.folder).name}{commit})"
    return (
        f"{t.subject.model} {t.subject.variant} on {_where(t)}: {t.metric} {word(t, change)} by {by} since {when}: "
        f"{quantity(change.before, unit)} over {change.nights_before} nights before, "
        f"{quantity(change.after, unit)} over {change.nights_after} since."
    )


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
                f"{t.subject.model} {t.subject.variant} on {_where(t)}: {METRICS[t.metric].text}, n = {len(t.nights)}"
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
