"""The latencies of each launch."""

from __future__ import annotations

from bench.report.section import Context, Section

NOTE = (
    "A strip for each launch, from the first at the top: dots are some of its inferences, the extremes among "
    "them; box: the middle half and the median; line: 5 to 95 %. Cross: tagged."
)


def section(context: Context) -> Section | None:
    if not context.pictures:
        return None
    from bench.report.plots import distributions, style  # matplotlib takes a second to import

    pictures = distributions.draw(context)
    rest = style.drawn(distributions.places(context), distributions.MOST_PICTURES, "place")
    return (
        Section("distributions", "Latency, launch by launch", note=NOTE + rest, pictures=pictures, background=True)
        if pictures
        else None
    )
