"""The findings of a run as plain values: rows of summary.csv and summary.parquet, and JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bench.capacities import Switched
from bench.drifted import Drift
from bench.endurance import Sustained, Turn
from bench.findings import Comparison, Findings, Summary
from bench.records import SCHEMA_VERSION
from bench.report.section import Section
from bench.text import visible

COLUMNS = (
    "model", "variant", "device", "runtime", "threads", "precision", "metric", "unit", "median", "low", "high",
    "interval", "p90", "p95", "min", "mad", "cv", "launch_cv", "launches", "samples", "virtual", "translated",
    "usable", "verdict",
)  # fmt: skip
"""Of summary.csv."""
_TYPES = {
    "threads": pa.int32(), "launches": pa.int64(), "samples": pa.int64(), "virtual": pa.bool_(),
    "translated": pa.bool_(), "usable": pa.bool_(),
} | dict.fromkeys(("median", "low", "high", "p90", "p95", "min", "mad", "cv", "launch_cv"), pa.float64())  # fmt: skip
"""Of the columns of summary.parquet; the others hold words."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a spreadsheet recognises a formula (OWASP, CSV injection)."""


def summary_csv(findings: Findings) -> str:
    """A comment line with the schema version, then a row for each summary, values in the metric's unit."""
    return as_csv(COLUMNS, _rows(findings))


def as_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows below a comment line with the schema version; no cell of them is a formula to a spreadsheet."""
    out = io.StringIO()
    out.write(f"# bench_schema={SCHEMA_VERSION}\n")
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    return out.getvalue()


def summary_parquet(findings: Findings) -> bytes:
    """The rows of summary.csv as a Parquet file, with types, and with the schema version in its metadata."""
    return as_parquet(COLUMNS, _TYPES, list(_rows(findings)))


def as_parquet(columns: Sequence[str], types: Mapping[str, pa.DataType], rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Rows as a Parquet file; a column that has no type given holds words, made safe to show."""
    fields = [(name, types.get(name, pa.string())) for name in columns]
    schema = pa.schema(fields, metadata={"bench_schema": str(SCHEMA_VERSION)})
    shown = [{key: visible(value) if isinstance(value, str) else value for key, value in row.items()} for row in rows]
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(shown, schema), out, compression="zstd")
    return out.getvalue()


def as_json(
    findings: Findings, sections: Sequence[Section], variants: Iterable[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """The sentences and tables of a report, every summary and every comparison, and the rows of variants.csv; figures
    in base units (ns, bytes, fractions)."""
    return {
        "answer": [sentence for section in sections for sentence in (*section.sentences, *section.details)],
        "notices": [notice for section in sections for notice in section.notices],
        "summaries": [_summary(s) for s in findings.summaries],
        "comparisons": [_comparison(c) for c in findings.comparisons],
        "variants": list(variants),
        "sustained": [_sustained(one) for one in findings.sustained],
        "flips": [_turn(turn) for turn in findings.turned],
        "contention": [asdict(one) | {"subject": one.subject.model_dump()} for one in findings.contention],
        "overtaken": [_turn(turn) for turn in findings.overtaken],
        "scores": findings.scores and asdict(findings.scores),
        "capacities": [_switched(one) for one in findings.capacities],
        "profiles": [
            asdict(one) | {"subject": one.subject.model_dump(), "apart": one.apart} for one in findings.profiles
        ],
        "drift": [_drift(one) for one in findings.drift],
        "tables": [
            {"section": section.id, "title": table.title, "header": table.header, "rows": table.rows}
            for section in sections
            for table in (*section.tables, *(folded.table for folded in section.folded))
        ],
    }


def _summary(s: Summary) -> dict[str, Any]:
    return asdict(s) | {
        "subject": s.subject.model_dump(),
        "usable": s.usable,
        "verdict": s.verdict,
        "caveats": [c.kind for c in s.caveats],
    }


def _comparison(c: Comparison) -> dict[str, Any]:
    return asdict(c) | {"left": c.left.model_dump(), "right": c.right.model_dump(), "called": c.called}


def _sustained(one: Sustained) -> dict[str, Any]:
    """Without the windows and traces, which measurements.parquet has."""
    left_out = ("windows", "clock", "skin", "status")
    return {key: value for key, value in asdict(one).items() if key not in left_out} | {
        "subject": one.subject.model_dump()
    }


def _switched(one: Switched) -> dict[str, Any]:
    sides = {
        name: against and asdict(against) | {"subject": against.subject.model_dump()}
        for name, against in (("fresh", one.fresh), ("apart", one.apart))
    }
    return asdict(one) | {"subject": one.subject.model_dump()} | sides


def _drift(one: Drift) -> dict[str, Any]:
    """Named tuples as their fields, too."""
    kinds = [asdict(kind) | {"cells": [cell._asdict() for cell in kind.cells]} for kind in one.kinds]
    return asdict(one) | {"subject": one.subject.model_dump(), "like": one.like.model_dump(), "kinds": kinds}


def _turn(turn: Turn) -> dict[str, Any]:
    return asdict(turn) | {"early": turn.early.model_dump(), "late": turn.late.model_dump()}


def _rows(findings: Findings) -> Iterator[dict[str, Any]]:
    for s in findings.summaries:
        figures, found = s.statistics, s.statistics.interval if s.statistics else None
        yield s.subject.model_dump() | {
            "metric": s.metric,
            "unit": s.unit,
            "median": figures and figures.median,
            "low": found and found.low,
            "high": found and found.high,
            "interval": found and found.method,
            "p90": figures and figures.p90,
            "p95": figures and figures.p95,
            "min": figures and figures.minimum,
            "mad": figures and figures.mad,
            "cv": figures and figures.cv,
            "launch_cv": figures and figures.launch_cv,
            "launches": len(figures.launches) if figures else 0,
            "samples": figures.samples if figures else 0,
            "virtual": s.virtual,
            "translated": s.translated,
            "usable": s.usable,
            "verdict": s.verdict,
        }


def _cell(value: object) -> object:
    """Words so that a spreadsheet takes them for words."""
    if not isinstance(value, str):
        return value
    return visible(f"'{value}" if value.startswith(_FORMULA) else value)
