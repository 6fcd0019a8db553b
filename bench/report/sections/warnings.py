"""Every caveat, those of a kind together, the gravest first."""

from __future__ import annotations

from bench.caveats import ADVICE, CaveatKind
from bench.report.labels import SHORT
from bench.report.section import Context, Folded, Section
from bench.report.table import Cell, Table

GRAVITY = ("unusable", "care", "note")


def section(context: Context) -> Section | None:
    groups: dict[CaveatKind, dict[tuple[str, str, str], list[str]]] = {}
    for s in context.findings.summaries:
        for caveat in s.caveats:
            what = (f"{s.subject.model} {s.subject.variant}", context.labels.where(s.subject), caveat.text)
            groups.setdefault(caveat.kind, {}).setdefault(what, []).append(SHORT.get(s.metric, s.metric))
    ordered = sorted(groups, key=lambda k: (GRAVITY.index(ADVICE[k].level), list(ADVICE).index(k)))
    folded = tuple(_folded(kind, groups[kind]) for kind in ordered)
    return Section("warnings", "Warnings", folded=folded, background=True) if folded else None


def _folded(kind: CaveatKind, found: dict[tuple[str, str, str], list[str]]) -> Folded:
    known = ADVICE[kind]
    cells = tuple(
        (Cell(what), Cell(where), Cell(", ".join(metrics)), Cell(text))
        for (what, where, text), metrics in found.items()
    )
    table = Table(known.label[0].upper() + known.label[1:], ("What", "Where", "Figures", "Particulars"), cells, words=4)
    return Folded(kind, table, known.advice, f"docs/measurement.md#{kind}", open=known.level == "unusable")
