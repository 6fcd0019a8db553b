"""The report of a run as files in its folder: the page, its plots, and the same for programs and other documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.files import replace
from bench.findings import Findings
from bench.records import SCHEMA_VERSION, Measurement, RunRecord
from bench.report import Context, Section, content, drift_rows, layer_rows, markdown, rivals, values
from bench.report.labels import listed
from bench.report.page import Page, render

PLOTS = "plots"
FEW = 6
"""Variants that the head of a page lists by name."""


def write(
    folder: Path, run: RunRecord, measurements: Sequence[Measurement], findings: Findings, sort: str = "accuracy"
) -> Path:
    """Write report.html, report.md, summary.csv, summary.parquet, variants.csv, layers.csv where layers were timed,
    drift.csv where that was measured, and the plots into the run's folder; returns the page's path. `sort` is what
    variants that compete are sorted by.

    Each file is replaced in one step, so a reader never sees half of one.
    """
    context = Context.of(run, measurements, findings, pictures=True, sort=sort)
    shown = content(context)
    plots(folder / PLOTS, shown)
    replace(folder / "summary.csv", values.summary_csv(findings).encode())
    replace(folder / "summary.parquet", values.summary_parquet(findings))
    replace(folder / "variants.csv", values.as_csv(rivals.COLUMNS, rivals.plain(context)).encode())
    if findings.profiles:
        replace(folder / "layers.csv", values.as_csv(layer_rows.COLUMNS, layer_rows.rows(findings)).encode())
    if findings.drift:
        replace(folder / "drift.csv", values.as_csv(drift_rows.COLUMNS, drift_rows.rows(findings, run)).encode())
    replace(folder / "report.md", markdown.document(run.name, shown, PLOTS).encode())
    path = folder / "report.html"
    replace(path, render(_page(context, shown)).encode())
    return path


def plots(folder: Path, shown: Sequence[Section]) -> None:
    """Each plot of these sections as a PNG and an SVG file."""
    for section in shown:
        for picture in section.pictures:
            folder.mkdir(exist_ok=True)
            replace(folder / f"{picture.name}.png", picture.png)
            replace(folder / f"{picture.name}.svg", alone(picture.svg).encode())


def alone(svg: str) -> str:
    """An SVG element of a page as a file of its own: black on white, as there is no page to give it colours."""
    return f'<?xml version="1.0" encoding="utf-8"?>\n{svg.replace("<svg", _COLOURS, 1)}\n'


_COLOURS = '<svg style="background: #fff; color: #16191d"'


def _page(context: Context, shown: Sequence[Section]) -> Page:
    run = context.run
    return Page(
        title=run.name,
        description=str(run.plan.get("description", "")),
        facts=tuple(_facts(context)),
        sections=shown,
        generator=f"bench {run.bench_version}, schema {SCHEMA_VERSION}",
        footer=f"Written by bench {run.bench_version} from the samples in this folder (format: schema "
        f"{SCHEMA_VERSION}). summary.csv and summary.parquet have every figure of this page, "
        f"variants.csv what competes, measurements.parquet every sample, {PLOTS}/ its plots.",
    )


def _facts(context: Context) -> Iterator[tuple[str, str]]:
    run = context.run
    if context.models:
        yield "Networks", listed(context.models)
        variants = list(dict.fromkeys(s.variant for s in context.findings.subjects))
        yield "Variants", listed(variants) if len(variants) <= FEW else f"{len(variants)}"
    for device in run.devices:
        marks = [word for word, so in (("virtual", device.virtual), ("translated", device.translated)) if so]
        kind = "Phone" if device.kind == "phone" else "This computer"
        yield kind, f"{device.serial}: {', '.join((device.name, *marks))}"
    trained = sum(len(one.trainings) for one in context.findings.lessons)
    counts = [f"{len(context.measurements)} trials"] if context.measurements or not trained else []
    counts += [f"{trained} training{'s' * (trained > 1)}"] if trained else []
    for status in ("failed", "tagged"):
        if count := sum(m.status == status for m in context.measurements):
            counts.append(f"{count} {status}")
    yield "Measured", ", ".join(counts)
    yield "Started", run.started[:16].replace("T", " ")
