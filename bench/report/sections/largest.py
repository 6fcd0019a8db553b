"""The memory test: the largest picture that each variant answers before the phone's memory ends."""

from __future__ import annotations

from bench.records import Measurement
from bench.report.section import Context, Section
from bench.report.table import Cell, Table
from bench.units import quantity, ratio, size

METRIC = "largest_picture"
NOTE = (
    "Square pictures, one inference of a fresh process each; the side that was too much is at most 3 % larger. "
    "Available is what the phone had left before the test."
)


def section(context: Context) -> Section | None:
    found = [m for m in context.measurements if m.trial.pass_ == "largest"]
    if not found:
        return None
    header = ("Network", "Variant", "Where", "Largest picture", "Pixels to the ordinary", "Memory", "What ended it")
    rows = tuple(_row(m, found, context) for m in found)
    return Section("largest", "Memory test", tables=(Table("Largest picture", header, rows, (NOTE,), words=3),))


def _row(m: Measurement, others: list[Measurement], context: Context) -> tuple[Cell, ...]:
    subject, labels = m.trial.subject, context.labels
    first = (Cell(labels.model(subject.model)), Cell(subject.variant), Cell(labels.where(subject)))
    pixels = _pixels(m)
    if pixels is None:
        return (*first, Cell("–", tone="bad"), Cell("–"), Cell(_memory(m)), Cell(m.reason, tone="bad"))
    ended = m.conditions.get("largest_end", "")
    shown = f"{'at least ' if m.reason else ''}{quantity(pixels, 'px')}"
    return (*first, Cell(shown), _against(m, others, context), Cell(_memory(m)), Cell(str(ended)))


def _against(m: Measurement, others: list[Measurement], context: Context) -> Cell:
    """How many times the pixels of the ordinary network in the same place; a bound where either is one."""
    subject = m.trial.subject
    for other in others:
        theirs = other.trial.subject
        alike = subject.model_copy(update={"variant": theirs.variant}) == theirs
        ours, ordinary = _pixels(m), _pixels(other)
        if alike and theirs != subject and context.labels.is_ordinary(theirs) and ours and ordinary:
            if other.reason:
                return Cell("–", detail="nobody knows the ordinary network's")
            return Cell(f"{'at least ' if m.reason else ''}{ratio(ours / ordinary)}")
    return Cell("–")


def _pixels(m: Measurement) -> float | None:
    return next((sample.value for sample in m.samples if sample.metric == METRIC), None)


def _memory(m: Measurement) -> str:
    total, available = m.conditions.get("memory_total"), m.conditions.get("memory_available")
    if not isinstance(total, int):
        return "–"
    return size(total) + (f", {size(available)} available" if isinstance(available, int) else "")
