"""The score of each phone: of the ordinary networks, and of each network's best compressed variant."""

from __future__ import annotations

from collections.abc import Iterator

from bench.records import METRICS
from bench.report.labels import listed
from bench.report.section import Context, Folded, Section
from bench.report.table import Cell, Table
from bench.scored import Points, Score, Scores
from bench.units import quantity

PAGE = "docs/score.md"
_NAMES = {"latency": "latency", "vm_hwm": "peak RSS", "largest_picture": "largest picture"}
_WHAT = {
    "ordinary": "ordinary networks",
    "compressed": "the best variant of each network that keeps 98 % of its score",
}
_REASONS = 3
"""So many reasons for a missing total are put into the sentence."""


def section(context: Context) -> Section | None:
    scores = context.findings.scores
    if scores is None or not scores.totals:
        return None
    sentences = tuple(_sentence(score, scores, context) for score in scores.totals)
    tables = tuple(_table(score, context) for score in scores.totals)
    each = Folded(
        "score-variants", _variants(scores), "Every variant by itself, as if it were the only one of its network."
    )
    reference = scores.reference
    virtual = ", which is no phone: its processor is that of a computer" if reference.virtual else ""
    note = (
        f"1,000 points in every test are what the {reference.name} had on {reference.measured} (commit "
        f"{reference.commit}){virtual}. "
        f"A section is the geometric mean of its tests, the total that of the sections. {PAGE} has the formula."
    )
    return Section(
        "score", "Score", sentences=sentences, details=scores.notes, note=note, tables=tables, folded=(each,)
    )


def _sentence(score: Score, scores: Scores, context: Context) -> str:
    where = _where(score, context)
    what = _WHAT[score.kind]
    if score.total is not None:
        bound = "at least " if any(one.bound for one in score.tests()) else ""
        return f"{where} scores {bound}{score.total:,.0f} points with {what}."
    shown = [*score.why[:_REASONS]]
    more = len(score.why) - len(shown)
    why = "; ".join(shown) + (f"; and {more} more" if more else "")
    got = [f"{section.name} {section.points:,.0f}" for section in score.sections if section.points is not None]
    partial = f" Its sections: {listed(got)}." if got else ""
    return f"{where} has no total with {what}: {why}.{partial}"


def _where(score: Score, context: Context) -> str:
    subject = next(
        s for s in context.findings.subjects
        if (s.device, s.runtime) == (score.device, score.runtime)
        and (s.threads, s.precision) == (score.threads, score.precision)
    )  # fmt: skip
    return context.labels.where(subject)


def _table(score: Score, context: Context) -> Table:
    words = "ordinary networks" if score.kind == "ordinary" else "best compressed variants"
    header = ("Section", "Test", "Variant", "Reference", "Measured", "Accuracy lost", "Points")
    rows: list[tuple[Cell, ...]] = []
    for section in score.sections:
        for number, one in enumerate(section.tests):
            rows.append((Cell(section.name if number == 0 else ""), *_row(one)))
        rows.append(_sum(f"{section.name}, together", section.points))
    rows.append(_sum("total", score.total))
    return Table(f"Score of {_where(score, context)}, {words}", header, tuple(rows), words=3)


def _sum(name: str, points: float | None) -> tuple[Cell, ...]:
    empty = (Cell(""),) * 5
    return (Cell(name, tone="strong"), *empty, Cell(f"{points:,.0f}" if points is not None else "–", tone="strong"))


def _row(one: Points) -> Iterator[Cell]:
    yield Cell(f"{one.network}, {_NAMES[one.metric]}")
    yield Cell(one.variant or "–")
    yield Cell(_quantity(one.reference, one.metric))
    if one.points is None or one.measured is None:
        yield Cell("–", detail=one.why, tone="bad")
        yield Cell("–")
        yield Cell("–")
        return
    yield Cell(f"{'at least ' * one.bound}{_quantity(one.measured, one.metric)}")
    yield Cell(f"{one.lost:.2f} points" if one.lost else "none", f"× {one.penalty:.3f}" if one.lost else "")
    yield Cell(f"{one.points:,.0f}")


def _quantity(value: float, metric: str) -> str:
    return quantity(value, METRICS[metric].unit)


def _variants(scores: Scores) -> Table:
    header = ("Test", "Variant", "Reference", "Measured", "Accuracy lost", "Points")
    rows = tuple(tuple(_row(one)) for one in scores.variants)
    return Table("Points of every variant", header, rows, words=2)
