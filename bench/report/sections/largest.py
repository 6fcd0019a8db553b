"""The memory test: the largest picture that each variant answers before the phone's memory ends."""

from __future__ import annotations

from collections.abc import Mapping

from bench.records import Measurement, Subject
from bench.report.section import Context, Section
from bench.report.table import Cell, Table
from bench.units import quantity, ratio, size

METRIC = "largest_picture"
NOTE = (
    "Square pictures, one inference of a fresh process each; the side that was too much is at most 3 % larger. "
    "Available is what the phone had left before the test."
)


def section(context: Context) -> Section | None:
    tried = {m.trial.subject: m for m in context.measurements if m.trial.pass_ == "largest"}
    # As everywhere in the report: in the order of the plan, not of the trials.
    found = {one: tried[one] for one in (*context.findings.subjects, *tried) if one in tried}
    if not found:
        return None
    header = ("Network", "Variant", "Where", "Largest picture", "Pixels to the ordinary", "Memory", "What ended it")
    rows = tuple(_row(subject, found, context) for subject in found)
    return Section("largest", "Memory test", tables=(Table("Largest picture", header, rows, (NOTE,), words=3),))


def _row(subject: Subject, found: Mapping[Subject, Measurement], context: Context) -> tuple[Cell, ...]:
    labels, measured = context.labels, found[subject]
    first = (Cell(labels.model(subject.model)), Cell(subject.variant), Cell(labels.where(subject)))
    pixels, memory = _pixels(subject, context), Cell(_memory(measured))
    if pixels is None:
        return (*first, Cell("–", tone="bad"), Cell("–"), memory, Cell(measured.reason, tone="bad"))
    shown = f"{'at least ' * _bound(measured)}{quantity(pixels, 'px')}"
    ended = str(measured.conditions.get("largest_end", ""))
    return (*first, Cell(shown), _gain(subject, pixels, found, context), memory, Cell(ended))


def _gain(subject: Subject, pixels: float, found: Mapping[Subject, Measurement], context: Context) -> Cell:
    """How many times the pixels of the ordinary network in the same place; a bound where one of both is."""
    for other in found:
        alike = subject.model_copy(update={"variant": other.variant}) == other != subject
        ordinary = _pixels(other, context) if alike and context.labels.is_ordinary(other) else None
        if ordinary is not None:
            if _bound(found[other]):
                return Cell("–", detail="the ordinary network's is not known")
            return Cell(f"{'at least ' * _bound(found[subject])}{ratio(pixels / ordinary)}")
    return Cell("–")


def _pixels(subject: Subject, context: Context) -> float | None:
    summary = context.findings.summary(subject, METRIC)
    return summary.statistics.median if summary and summary.statistics else None


def _bound(measured: Measurement) -> bool:
    return measured.status == "ok" and bool(measured.reason)


def _memory(m: Measurement) -> str:
    total, available = m.conditions.get("memory_total"), m.conditions.get("memory_available")
    if not isinstance(total, int):
        return "–"
    return size(total) + (f", {size(available)} available" if isinstance(available, int) else "")
