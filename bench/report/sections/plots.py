"""Latency, memory and size, drawn."""

from __future__ import annotations

from bench.report.section import Context, Section

NOTE = "Bars: medians over launches. Line: 95 % interval; ticks: the launches. Hatched: virtual."


def section(context: Context) -> Section | None:
    if not context.pictures:
        return None
    from bench.report import figures  # matplotlib takes a second to import

    return Section("plots", "Plots", note=NOTE, pictures=figures.draw(context), background=True)
