"""Trends as a table, in sentences, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import PurePath
from typing import Any

from bench.findings import Change, Trend
from bench.records import METRICS
from bench.units import quantity

HEADER = ("network", "variant", "where", "figure", "nights", "first", "last", "changes")
WORDS = 4


def rows(trends: Sequence[Trend]) -> list[tuple[str, ...]]:
    """A row for each trend under HEADER."""
    return [
        (
            t.subject.model, t.subject.variant, where(t), t.metric, str(len(t.nights)),
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


def where(t: Trend) -> str:
    s = t.subject
    extras = [f"{s.threads} threads"] * (s.threads > 1) + [s.precision] * (s.precision != "fp32")
    return ", ".join((f"{s.device} ({s.runtime})", *extras, *["virtual"] * t.virtual))


def _sentence(t: Trend, change: Change) -> str:
    unit = METRICS[t.metric].unit
    by = f"{100 * abs(change.ratio - 1):.1f} %" if change.ratio < 3 else f"{change.ratio:.1f} times as much"
    commit = f", commit {change.night.commit[:10]}" if change.night.commit else ""
    when = f"{change.night.started[:10]} (run {PurePath(change.night.folder).name}{commit})"
    return (
        f"{t.subject.model} {t.subject.variant} on {where(t)}: {t.metric} {word(t, change)} by {by} since {when}: "
        f"{quantity(change.before, unit)} over {change.nights_before} nights before, "
        f"{quantity(change.after, unit)} over {change.nights_after} since."
    )
