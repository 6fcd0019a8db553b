"""Energy of an inference, where it was asked for: the figure, or why a phone has none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bench import plan
from bench.findings import Comparison, Summary
from bench.records import Subject
from bench.report import pairs
from bench.report.labels import interval
from bench.report.section import Context, Section
from bench.report.table import Cell, Table
from bench.units import quantity

ADVICE = (
    "Energy needs a real phone that runs on its battery: adb tcpip 5555, adb connect PHONE:5555, unplug it, then "
    "--device PHONE:5555."
)
NOTES = (
    "What an inference takes under load that goes on, less what the phone takes at rest: screen, radio and system are "
    "in both.",
    "By the phone's own fuel gauge: compare variants on one phone, not phones with each other.",
)


def section(context: Context) -> Section | None:
    asked = plan.of_run(context.run)
    wanted = [model for model in context.models if asked.protocol_for(model).energy_seconds]
    rows = [row for model in wanted for row in _rows(context, model)]
    if not wanted:
        return None
    if not rows:
        return Section("energy", "Energy", notices=("Energy was asked for; no phone was there to measure it.",))
    absent = any(len(row) > 4 and row[2].text == ABSENT for row in rows)
    header = ("Variant", "Where", "Energy, one inference", "Baseline ÷ variant", "At rest", "Under load", "Validity")
    notes = (*NOTES, *((ADVICE,) if absent else ()), "More: docs/measurement.md#energy")
    return Section("energy", "Energy", tables=(Table("Energy of an inference", header, tuple(rows), notes),))


ABSENT = "absent"


def _rows(context: Context, model: str) -> Iterator[tuple[Cell, ...]]:
    """A row for each variant and phone."""
    for subject in context.findings.subjects:
        summary = context.findings.summary(subject, "energy")
        if subject.model != model or summary is None:
            continue
        seen = _seen(context, subject)
        yield (
            Cell(f"{model} {subject.variant}", tone="strong"),
            Cell(context.labels.where(subject)),
            _figure(summary),
            pairs.cell(_against(context, subject)) if summary.statistics else Cell("–", tone="muted"),
            _watts(seen, "rest_watts"),
            _watts(seen, "load_watts"),
            Cell(_validity(summary), seen[-1].get("words", "") if seen else "", "plain" if summary.usable else "bad"),
        )


def _validity(summary: Summary) -> str:
    """The verdict; of what is absent the reason alone."""
    if summary.statistics:
        return summary.verdict
    return "; ".join(caveat.text for caveat in summary.caveats).replace("failed: no energy: ", "")


def _figure(summary: Summary) -> Cell:
    figures = summary.statistics
    if figures is None:
        return Cell(ABSENT, tone="bad")
    detail = interval(figures.interval, "J") if figures.interval else "no interval"
    return Cell(quantity(figures.median, "J"), detail, "plain" if summary.usable else "muted")


def _against(context: Context, subject: Subject) -> Comparison | None:
    return next(
        (
            c
            for c in context.findings.comparisons
            if c.kind == "variant" and c.metric == "energy" and c.right == subject
        ),
        None,
    )


def _seen(context: Context, subject: Subject) -> list[Mapping[str, Any]]:
    """What the launches that have a figure stored of their gauge."""
    return [
        m.conditions["energy"]
        for m in context.measurements
        if m.trial.subject == subject and m.trial.pass_ == "energy" and "energy" in m.conditions
    ]


def _watts(seen: list[Mapping[str, Any]], name: str) -> Cell:
    """The range over launches."""
    values = [one[name] for one in seen]
    if not values:
        return Cell("–", tone="muted")
    low, high = (f"{value:.2f}" for value in (min(values), max(values)))
    return Cell(f"{low} W" if low == high else f"{low} to {high} W")
