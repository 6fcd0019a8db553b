"""Latency, memory and size, drawn."""

from __future__ import annotations

from bench.report.section import Context, Section

NOTE = (
    "Bars or dots: medians over n launches. Line: 95 % interval; ticks: the launches. Hatched or pale: virtual. The "
    "kinds of memory are different quantities, and are not added up."
)


def section(context: Context) -> Section | None:
    if not context.pictures or context.learnt_alone:
        return None
    from bench.report.plots import bars, memory  # matplotlib takes a second to import

    latency, size = bars.draw(context)
    return Section("plots", "Plots", note=NOTE, pictures=(latency, *memory.draw(context), size), background=True)
