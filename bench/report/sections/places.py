"""The same variant in two places: the desktop against phones, and one runtime against another."""

from __future__ import annotations

from bench.findings import Comparison
from bench.records import METRICS
from bench.report import pairs
from bench.report.section import Context, Section

NOTE = "Above 1× the second place is faster or takes less."


def section(context: Context) -> Section | None:
    found = [c for c in context.findings.comparisons if c.kind != "variant" and _told(c, context)]
    tables = (
        pairs.table("the same variant in two places", mine, context, (NOTE, pairs.CALLED), places=True)
        for mine in pairs.of_networks(found, context)
    )
    shown = tuple(table for table in tables if table)
    return Section("places", "Desktop against phone", tables=shown) if shown else None


def _told(c: Comparison, context: Context) -> bool:
    """Of the scores, which are equal where the answers are, the main one is enough."""
    return METRICS[c.metric].pass_ != "accuracy" or c.metric == context.labels.score(c.right.model)
