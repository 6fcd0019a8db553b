"""Latency of each launch along the run, with heat and clocks below."""

from __future__ import annotations

from bench.report.section import Context, Section

NOTE = (
    "A mark for each launch: its median, as a ratio to that of all launches of the variant. A slope is drift: "
    "heat, clocks, or something else at work."
)


def section(context: Context) -> Section | None:
    if not context.pictures:
        return None
    from bench.report.plots import style, trace  # matplotlib takes a second to import

    pictures = trace.draw(context)
    rest = style.drawn(trace.timed_phones(context), trace.MOST_PICTURES, "phone")
    return (
        Section("trace", "Launches in time", note=NOTE + rest, pictures=pictures, background=True) if pictures else None
    )
