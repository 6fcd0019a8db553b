"""The same variant in two places: the desktop against phones, and one runtime against another."""

from __future__ import annotations

from bench.report import pairs
from bench.report.section import Context, Section

NOTE = "Above 1× the second place is faster or takes less."


def section(context: Context) -> Section | None:
    found = [c for c in context.findings.comparisons if c.kind != "variant"]
    tables = (
        pairs.table("the same variant in two places", mine, context, NOTE, places=True)
        for mine in pairs.of_networks(found, context)
    )
    shown = tuple(table for table in tables if table)
    return Section("places", "Desktop against phone", tables=shown) if shown else None
