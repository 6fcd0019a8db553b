"""Variants that are not in the run, since they could not be made or converted: the operator, its line, what to do."""

from __future__ import annotations

from bench.errors import BenchError
from bench.export.diagnosis import diagnosed
from bench.report.section import Context, Section
from bench.report.table import Cell, Table

_HEADER = ("Variant", "Kind", "Operator", "Where", "What was said", "What to do")
_OWN = "exporter refused"
"""The kind of what diagnosis does not know, which here may as well be a method's own refusal."""


def section(context: Context) -> Section | None:
    if not context.run.absent:
        return None
    rows = []
    for variant, why in context.run.absent.items():
        trouble = diagnosed(BenchError(why), "convert")
        known = trouble.kind != _OWN
        rows.append(
            (
                Cell(variant),
                Cell(trouble.kind if known else "not possible", tone="bad"),
                Cell(trouble.operator),
                Cell("; ".join(trouble.places)),
                Cell(" ".join(trouble.said.split())),
                Cell(trouble.fix if known else ""),
            )
        )
    table = Table("Variants that are not in the run", _HEADER, tuple(rows), words=len(_HEADER))
    note = "Whether a network converts for each runtime: bench convert NETWORK (docs/converting.md)."
    return Section("conversion", "Not in the run", note=note, tables=(table,), background=True)
