"""Tables of comparisons, a row for each pair of subjects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.findings import Comparison
from bench.records import Subject
from bench.report.labels import SHORT, Difference, difference, heading, interval
from bench.report.section import Context
from bench.report.table import Cell, Table
from bench.units import quantity

CALLED = "A difference is called only where the 95 % interval of the ratio excludes 1 and noise does not explain it."


def table(
    title: str, comparisons: Sequence[Comparison], context: Context, notes: tuple[str, ...], *, places: bool = False
) -> Table | None:
    """The comparisons of one network; None for none. `places` says that sides differ in where they ran."""
    pairs = _pairs(comparisons)
    if not pairs:
        return None
    labels, model = context.labels, comparisons[0].right.model
    metrics = [m for m in SHORT if any(m in found for found in pairs.values())]
    rows = []
    for (left, right), found in pairs.items():
        where = f"{labels.where(left)} ÷ {labels.where(right)}" if places else labels.where(right)
        cells = (cell(found.get(metric)) for metric in metrics)
        rows.append((Cell(right.variant, tone="strong"), Cell(where), *cells))
    header = ("Variant", "Where", *(heading(m) for m in metrics))
    return Table(f"{labels.model(model)}: {title}", header, tuple(rows), notes)


def _pairs(comparisons: Sequence[Comparison]) -> dict[tuple[Subject, Subject], dict[str, Comparison]]:
    """By their sides. Scores of two places are compared once for all settings of the left side, so they join the row of
    the same right side."""
    pairs: dict[tuple[Subject, Subject], dict[str, Comparison]] = {}
    for c in comparisons:
        left = c.left
        if c.ratio is None and (left, c.right) not in pairs:
            left = next((a for a, b in pairs if b == c.right and a.device == left.device), left)
        pairs.setdefault((left, c.right), {})[c.metric] = c
    return pairs


def of_networks(comparisons: Sequence[Comparison], context: Context) -> Iterator[tuple[Comparison, ...]]:
    """Those of each network together."""
    for model in context.models:
        yield tuple(c for c in comparisons if c.right.model == model and c.metric in SHORT)


def cell(found: Comparison | None) -> Cell:
    if found is None:
        return Cell("–", tone="muted")
    if by := difference(found):
        return _score(found, by)
    if found.outcome == "failed":
        return Cell("–", "failed", "bad")
    if found.ratio is None:
        text, _, detail = found.verdict.partition(": ")
        return Cell(text, detail, "bad" if found.called else "plain")
    text = quantity(found.ratio, "ratio")
    detail = interval(found.interval, "ratio") if found.interval else ""
    match found.outcome:
        case "differs":
            return Cell(text, detail, "strong", value=found.ratio)
        case "equal":
            return Cell(text, value=found.ratio)
        case "translated":
            return Cell("meaningless", tone="muted")
        case "not-shown":
            return Cell(text, f"{detail}, not called", "muted", value=found.ratio)
        case _:
            why = "not usable" if found.outcome == "unusable" else "no interval"
            return Cell(text, why, "muted", value=found.ratio)


def _score(found: Comparison, by: Difference) -> Cell:
    """The difference in front, its interval and the test's p below."""
    match found.outcome:
        case "differs":
            return Cell(by.value, by.detail, "strong", value=found.difference)
        case "equal":
            return Cell("equal", value=0.0)
        case "not-shown":
            return Cell(by.value, f"{by.detail}, not called", "muted", value=found.difference)
        case _:
            why = "not usable" if found.outcome == "unusable" else "too few samples"
            return Cell(by.value, why, "muted", value=found.difference)
