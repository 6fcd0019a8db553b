"""What a variant is worth against what it costs."""

from __future__ import annotations

from bench.report.section import Context, Section

NOTE = (
    "Up and to the left is better. Line: the Pareto front of the medians, bold and filled what is on it; grey "
    "and hollow: another is as good and costs less. Bars: 95 % intervals; where they overlap, which is in "
    "front is not certain."
)


def section(context: Context) -> Section | None:
    if not context.pictures:
        return None
    from bench.report.plots import pareto, style  # matplotlib takes a second to import

    pictures = pareto.draw(context)
    rest = style.drawn(pareto.places(context), pareto.MOST_PICTURES, "place")
    return (
        Section("pareto", "Score against cost", note=NOTE + rest, pictures=pictures, background=True)
        if pictures
        else None
    )
