"""What the start of each variant is made of."""

from __future__ import annotations

from bench.report.section import Context, Section

NOTE = (
    "Medians over launches, each part by itself. The push is in bytes: how long it took is not stored. No "
    "decode: the variant has nothing to decode."
)


def section(context: Context) -> Section | None:
    if not context.pictures:
        return None
    from bench.report.plots import startup  # matplotlib takes a second to import

    pictures = startup.draw(context)
    return Section("start-up", "Start-up", note=NOTE, pictures=pictures, background=True) if pictures else None
