"""Verdicts as a table for a terminal, as Markdown for a pull request, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from bench.findings import Verdict
from bench.records import METRICS
from bench.report.markdown import escaped
from bench.units import percent, quantity

HEADER = ("network", "variant", "where", "figure", "before", "after", "change", "95 % interval", "verdict")
WORDS = 4
"""Columns of words before those of figures."""
_MARKS = {"better": "🟢", "worse": "🔴", "same": "⚪", "cannot tell": "🟡"}


class Rows(NamedTuple):
    """A table under HEADER, and remarks that hold for several of its rows."""

    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


def rows(verdicts: Sequence[Verdict]) -> Rows:
    """A row for each verdict."""
    return Rows(tuple(_row(v) for v in verdicts), tuple(_notes(verdicts)))


def summary(verdicts: Sequence[Verdict], before: str, after: str) -> str:
    """What a person wants to know first, in one sentence."""
    count = {
        outcome: sum(v.outcome == outcome for v in verdicts) for outcome in ("worse", "better", "same", "cannot tell")
    }
    of = f"of {len(verdicts)} figure{'s' * (len(verdicts) != 1)} of {after} against {before}"
    found = [f"{n} {word}" for word, n in count.items() if n and word != "cannot tell"]
    if count["cannot tell"]:
        found.append(f"{count['cannot tell']} where that cannot be told")
    return f"{', '.join(found)}, {of}." if found else f"Nothing of {after} can be compared with {before}."


def markdown(verdicts: Sequence[Verdict], before: str, after: str) -> str:
    """A comment for a pull request."""
    return f"**bench**: {escaped(summary(verdicts, before, after))}\n\n{markdown_table(verdicts)}"


def markdown_table(verdicts: Sequence[Verdict]) -> str:
    """The table of a comment, and its remarks."""
    shown = rows(verdicts)
    lines = ["| " + " | ".join(HEADER) + " |"]
    lines.append("|" + "---|" * WORDS + "---:|" * (len(HEADER) - WORDS - 1) + "---|")
    for v, row in zip(verdicts, shown.rows, strict=True):
        cells = (*row[:-1], f"{_MARKS[v.outcome]} {row[-1]}")
        lines.append("| " + " | ".join(escaped(text) for text in cells) + " |")
    return "\n".join((*lines, "", *(f"- {escaped(note)}" for note in shown.notes))) + "\n"


def as_json(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Every verdict with its figures in base units (ns, bytes, fractions)."""
    return [
        asdict(v) | {"left": v.left.model_dump(), "right": v.right.model_dump(), "unit": METRICS[v.metric].unit}
        for v in verdicts
    ]


def change(v: Verdict) -> str:
    """How much became of it: a percentage, a factor, or a difference of scores."""
    if v.ratio is not None:
        return _relative(v.ratio)
    return _difference(v.difference, v.metric) if v.difference is not None else ""


def _row(v: Verdict) -> tuple[str, ...]:
    unit = METRICS[v.metric].unit
    before, after = (quantity(value, unit) if value is not None else "–" for value in v.values)
    return (
        v.right.model, _both(v.left.variant, v.right.variant), where(v),
        v.metric, before, after, change(v), _interval(v), f"{v.word}: {v.reason}" if v.reason else v.word,
    )  # fmt: skip


def where(v: Verdict) -> str:
    """The places of both sides; one where they are the same."""
    return _both(_where(v, "left"), _where(v, "right"))


def _where(v: Verdict, side: str) -> str:
    s = v.left if side == "left" else v.right
    extras = [f"{s.threads} threads"] * (s.threads > 1) + [s.precision] * (s.precision != "fp32")
    return ", ".join((f"{s.device} ({s.runtime})", *extras))


def _both(left: str, right: str) -> str:
    return left if left == right else f"{left} → {right}"


def _interval(v: Verdict) -> str:
    if v.bounds is not None and v.interval is not None:
        return f"{_relative(v.bounds[0])} … {_relative(v.bounds[1])}"
    if v.difference is not None and v.interval is not None:
        return f"{_difference(v.interval.low, v.metric)} … {_difference(v.interval.high, v.metric)}"
    return ""


def _relative(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.1f} %".replace("-", "−") if ratio < 3 else f"{ratio:.2f}×"


def _difference(value: float, metric: str) -> str:
    unit = METRICS[metric].unit
    sign = "−" if value < 0 else "+"
    if unit == "fraction":
        return f"{sign}{percent(abs(value)).removesuffix(' %')} points"
    return f"{sign}{quantity(abs(value), unit)}"


def _notes(verdicts: Sequence[Verdict]) -> Iterator[str]:
    floors: dict[tuple[str, str], list[float]] = {}
    for v in verdicts:
        if v.floor and v.floor.value:
            where = f"{v.metric} on {_both(v.left.device, v.right.device)} ({v.right.runtime})"
            floors.setdefault((where, v.floor.words), []).append(v.floor.value)
    for (where, words), values in floors.items():
        span = dict.fromkeys((percent(min(values)), percent(max(values))))
        yield f"Noise floor of {where}: {' to '.join(span)}; {words}."
    tags: dict[str, list[str]] = {}
    for v in verdicts:
        for tag in v.tags:
            tags.setdefault(tag, []).append(f"{v.right.model} {v.right.variant} {v.metric}")
    for tag, figures in tags.items():
        of = "all figures" if len(figures) == len(verdicts) else ", ".join(dict.fromkeys(figures[:6]))
        more = f" and {len(figures) - 6} more" if len(figures) > 6 and of != "all figures" else ""
        yield f"{tag[0].upper()}{tag[1:]}: {of}{more}."
    unknown = [v for v in verdicts if v.floor and not v.floor.measured]
    if unknown:
        devices = ", ".join(dict.fromkeys(v.right.device for v in unknown))
        yield f"Measure the noise of {devices} with bench calibrate; from run to run, by three runs of the same plan."
