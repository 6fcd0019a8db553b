"""How far confidence can be relied on: the calibration error before and after temperature scaling, with diagrams."""

from __future__ import annotations

from bench.caveats import CaveatKind
from bench.evidence import Reliability
from bench.records import METRICS
from bench.report.labels import score_interval
from bench.report.section import Context, Section
from bench.report.table import Cell, Notes, Table
from bench.units import quantity

NOTE = (
    "Bars: how many of the answers of about that confidence are right; hatched: how far that is from their confidence, "
    "which is the dashed line. Below: how many answers have it. The error is the mean of the hatched, each bin by its "
    "samples (Guo et al. 2017); the temperature was fitted on samples that neither trained nor tested."
)
_HEADER = (
    "Variant",
    "Where",
    "Temperature",
    "Error as it answers",
    "Error at its temperature",
    "On the validation part",
)


def section(context: Context) -> Section | None:
    found = shown(context)
    if not found:
        return None
    notes = Notes()
    by_model: dict[str, list[tuple[Cell, ...]]] = {}
    for one in found:
        by_model.setdefault(one.subject.model, []).append(_row(one, context, notes))
    tables = [
        Table(f"{context.labels.model(model)}: confidence", _HEADER, tuple(rows), words=2)
        for model, rows in by_model.items()
    ]
    last = tables[-1]
    tables[-1] = Table(last.title, last.header, last.cells, notes.texts(), last.words)
    if not context.pictures:
        return Section("confidence", "Confidence", note=NOTE, tables=tuple(tables))
    from bench.report.plots import reliability, style  # matplotlib takes a second to import

    pictures = reliability.draw(found, context)
    rest = style.drawn(found, reliability.MOST_PICTURES, "variant")
    return Section("confidence", "Confidence", note=NOTE + rest, tables=tuple(tables), pictures=pictures)


def shown(context: Context) -> tuple[Reliability, ...]:
    """Those of phones, where any answered, of runs in which a temperature was fitted: once for each place and
    runtime."""
    found = context.findings.reliability
    models = {one.subject.model for one in found if one.scaled}
    mine = [one for one in found if one.subject.model in models]
    phones = [one for one in mine if context.labels.is_phone(one.subject.device)]
    seen: dict[tuple[str, str, str, str, str], Reliability] = {}
    for one in phones or mine:
        s = one.subject
        seen.setdefault((s.model, s.variant, s.device, s.runtime, s.precision), one)  # threads change no answer
    order = {subject: place for place, subject in enumerate(context.findings.subjects)}
    return tuple(sorted(seen.values(), key=lambda one: order.get(one.subject, len(order))))


def _row(one: Reliability, context: Context, notes: Notes) -> tuple[Cell, ...]:
    subject = one.subject
    artifact = next(
        (a for a in context.run.artifacts if (a.model, a.variant) == (subject.model, subject.variant)), None
    )
    fitted = artifact.calibration if artifact else None
    temperature = ", ".join(f"{value:.3g}" for value in fitted.temperatures) if fitted else "–"
    two = "of the small network, of the one that it asks" if fitted and len(fitted.temperatures) > 1 else ""
    validated = (
        Cell(
            f"{quantity(fitted.ece[0], 'fraction')} → {quantity(fitted.ece[1], 'fraction')}",
            f"n = {fitted.samples:,}; likelihood {fitted.nll[0]:.3f} → {fitted.nll[1]:.3f} nats",
        )
        if fitted
        else Cell("–")
    )
    virtual = any(s.virtual for s in context.findings.summaries if s.subject == subject)
    marks: list[CaveatKind] = ["virtual"] if virtual else []
    return (
        Cell(subject.variant, tone="strong"),
        Cell(context.labels.where(subject), marks=notes.marks(marks)),
        Cell(temperature, two),
        _error("ece", one, context),
        _error("calibrated_ece", one, context),
        validated,
    )


def _error(metric: str, one: Reliability, context: Context) -> Cell:
    summary = context.findings.summary(one.subject, metric)
    if summary is None or summary.statistics is None or summary.metric != metric:
        return Cell("–")
    figures, unit = summary.statistics, METRICS[metric].unit
    between = f"{score_interval(figures.interval, unit)}, " if figures.interval else ""
    return Cell(quantity(figures.median, unit), f"{between}n = {figures.samples:,}", value=figures.median)
