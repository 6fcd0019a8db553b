"""The page of a run: one file that needs no network, with its plots and a CSV beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bench.files import replace
from bench.findings import Findings
from bench.records import SCHEMA_VERSION, Measurement, RunRecord
from bench.report import Context, Section, content, values
from bench.report.labels import listed
from bench.text import visible

_BEFORE_UNIT = re.compile(r"(?<=\d) (?=(?:%|points|dB|[kMGT]?B|[nµm]?s)(?!\w))")


def write(folder: Path, run: RunRecord, measurements: Sequence[Measurement], findings: Findings) -> Path:
    """Write report.html, summary.csv and the PNG plots into the run's folder; returns the page's path.

    Each file is replaced in one step, so a reader never sees half of one.
    """
    context = Context.of(run, measurements, findings, pictures=True)
    shown = content(context)
    for section in shown:
        for picture in section.pictures:
            replace(folder / f"{picture.name}.png", picture.png)
    replace(folder / "summary.csv", values.summary_csv(findings).encode())
    page = folder / "report.html"
    replace(page, _render(context, shown).encode())
    return page


def _render(context: Context, shown: Sequence[Section]) -> str:
    environment = Environment(
        loader=PackageLoader("bench.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalized,
    )
    environment.filters["drawing"] = _drawing
    return environment.get_template("report.html.j2").render(
        run=context.run,
        sections=shown,
        models=listed(context.models) if context.models else "",
        variants=list(dict.fromkeys(s.variant for s in context.findings.subjects)),
        failed=sum(m.status == "failed" for m in context.measurements),
        tagged=sum(m.status == "tagged" for m in context.measurements),
        trials=len(context.measurements),
        schema_version=SCHEMA_VERSION,
    )


def _drawing(svg: str) -> Markup:
    """Our own SVG, its text escaped by matplotlib, but for characters that act instead of being seen."""
    return Markup("\n".join(map(visible, svg.splitlines())))  # noqa: S704


def _finalized(value: object) -> object:
    """Every word that the template puts into the page passes here. A number stays on one line with its unit."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return _BEFORE_UNIT.sub("\N{NO-BREAK SPACE}", visible(value))
