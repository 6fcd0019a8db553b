"""The ordinary network against each other variant of it, in the same place."""

from __future__ import annotations

from bench.report import pairs
from bench.report.section import Context, Section


def section(context: Context) -> Section | None:
    found = [c for c in context.findings.comparisons if c.kind == "variant"]
    tables = []
    for mine in pairs.of_networks(found, context):
        names = " and ".join(dict.fromkeys(c.left.variant for c in mine))
        note = f"Above 1× the variant is faster or smaller than {names}."
        if table := pairs.table(f"{names} ÷ variant", mine, context, note, places=False):
            tables.append(table)
    return Section("comparisons", "Baseline against compressed", tables=tuple(tables)) if tables else None
