"""Failed and tagged trials, those with the same reason in one row."""

from __future__ import annotations

from bench.report.section import Context, Section
from bench.report.table import Cell, Table


def section(context: Context) -> Section | None:
    groups: dict[tuple[str, ...], int] = {}
    for m in context.measurements:
        if m.status != "ok":
            s = m.trial.subject
            where = context.labels.where(s)
            key = (m.status, f"{s.model} {s.variant}", where, m.trial.pass_, m.reason or "no reason given")
            groups[key] = groups.get(key, 0) + 1
    if not groups:
        return None
    rows = tuple(
        (Cell(status, tone="bad"), *(Cell(word) for word in words), Cell(str(count)))
        for (status, *words), count in groups.items()
    )
    header = ("Status", "What", "Where", "Pass", "Reason", "Launches")
    table = Table("Trials that failed or were tagged", header, rows, words=5)
    return Section("troubles", "Failed and tagged", tables=(table,))
