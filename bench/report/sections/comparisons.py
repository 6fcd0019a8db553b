"""The ordinary network against each other variant of it, in the same place."""

from __future__ import annotations

from collections.abc import Iterator

from bench.records import METRICS
from bench.report import pairs
from bench.report.section import Context, Section
from bench.report.table import Table

TESTED = "The difference on the same samples, its 95 % interval, and the p of a paired test; called below 0.05."
UNTESTED = "There is no paired test, because this run did not store the answers to each sample."


def section(context: Context) -> Section | None:
    tables = tuple(_tables(context))
    return Section("comparisons", "Baseline against compressed", tables=tables) if tables else None


def _tables(context: Context) -> Iterator[Table]:
    """Ratios of what each network costs, then differences of its scores."""
    found = [c for c in context.findings.comparisons if c.kind == "variant"]
    for mine in pairs.of_networks(found, context):
        ordinary = " and ".join(dict.fromkeys(c.left.variant for c in mine))
        scores = [c for c in mine if METRICS[c.metric].pass_ == "accuracy"]
        costs = [c for c in mine if c not in scores]
        tested = TESTED if any(c.p_value is not None for c in scores) else UNTESTED
        note = f"Above 1× the variant is faster or smaller than {ordinary}."
        for table in (
            pairs.table(f"{ordinary} ÷ variant", costs, context, (note, pairs.CALLED)),
            pairs.table(f"scores, variant − {ordinary}", scores, context, (tested,)),
        ):
            if table:
                yield table
