"""The comparisons of the tables, drawn."""

from __future__ import annotations

from bench.report.section import Context, Section

NOTE = (
    "Line: 95 % interval of the ratio. Filled, with a bold figure: called; hollow: not called. Grey band: what "
    "noise of the place may make of two equal ones. Logarithmic."
)


def section(context: Context) -> Section | None:
    if not context.pictures:
        return None
    from bench.report.plots import ratios  # matplotlib takes a second to import

    pictures = ratios.draw(context)
    return (
        Section("ratios", "What compression changes", note=NOTE, pictures=pictures, background=True)
        if pictures
        else None
    )
