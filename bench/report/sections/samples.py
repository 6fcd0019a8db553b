"""Samples as the network was shown them."""

from __future__ import annotations

from bench.report.section import Context, Section

NOTE = (
    "Some samples, drawn by lot but for those marked as worst, with the answers of the first phone (of the desktop, "
    "where no phone answered). A bar is as long as the answer is sure: filled and ✓ where it is right, hatched and ✗ "
    "where not. A tinted mask is the answer; a white line is where the truth ends otherwise. "
    "Figures are of the one sample."
)


def section(context: Context) -> Section | None:
    if not context.pictures or not context.findings.examples:
        return None
    from bench.report.plots import samples  # matplotlib takes a second to import

    pictures = samples.draw(context)
    return Section("samples", "Samples", note=NOTE, pictures=pictures, background=True) if pictures else None
