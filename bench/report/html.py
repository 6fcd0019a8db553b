"""The page of a run: one file that needs no network, with its plots and a CSV beside it."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bench.findings import ADVICE, Findings
from bench.records import SCHEMA_VERSION, Measurement, RunRecord
from bench.report import appendix, figures, tables
from bench.report.labels import Labels


def write(folder: Path, run: RunRecord, measurements: Sequence[Measurement], findings: Findings) -> Path:
    """Write report.html, summary.csv and the PNG plots into the run's folder; returns the page's path.

    Each file is replaced in one step, so a reader never sees half of one.
    """
    labels = Labels(run, findings)
    pictures = figures.draw(findings, labels)
    for picture in pictures:
        _replace(folder / f"{picture.name}.png", picture.png)
    _replace(folder / "summary.csv", _csv(findings).encode())
    page = folder / "report.html"
    _replace(page, _render(run, measurements, findings, labels, pictures).encode())
    return page


def _render(
    run: RunRecord,
    measurements: Sequence[Measurement],
    findings: Findings,
    labels: Labels,
    pictures: Sequence[figures.Picture],
) -> str:
    shown = tables.of_run(run, measurements, findings)
    context: dict[str, Any] = {
        "run": run,
        "labels": labels,
        "answer": shown.answer,
        "shown": shown,
        "pictures": [{"name": p.name, "title": p.title, "alt": p.alt, "svg": Markup(p.svg)} for p in pictures],  # noqa: S704 - our own drawing, its text escaped by matplotlib
        "models": list(dict.fromkeys(s.model for s in findings.subjects)),
        "variants": list(dict.fromkeys(s.variant for s in findings.subjects)),
        "failed": sum(m.status == "failed" for m in measurements),
        "tagged": sum(m.status == "tagged" for m in measurements),
        "trials": len(measurements),
        "warnings": appendix.warnings(run, findings, labels),
        "advice": ADVICE,
        "appendix": [
            appendix.devices(run),
            appendix.protocol(run, findings, measurements, labels),
            appendix.conditions(measurements, labels),
            appendix.artifacts(run),
            appendix.made_with(run),
        ],
        "schema_version": SCHEMA_VERSION,
    }
    environment = Environment(
        loader=PackageLoader("bench.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(context)


def _csv(findings: Findings) -> str:
    """summary.csv: a comment line with the schema version, then the table."""
    out = io.StringIO()
    out.write(f"# bench_schema={SCHEMA_VERSION}\n")
    writer = csv.DictWriter(out, tables.CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(tables.csv_rows(findings))
    return out.getvalue()


def _replace(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.draft")
    draft.write_bytes(content)
    draft.replace(path)
