"""Learning on the phone: what extreme learning machines that it trained answer, and what training took."""

from __future__ import annotations

from bench.report import learning
from bench.report.section import Context, Picture, Section

TIMES = "One training of each size: times have no interval."
VIRTUAL = "A virtual phone's are this computer's, and none is that of a phone."


def section(context: Context) -> Section | None:
    found = context.findings.lessons
    if not found:
        return None
    kinds = {device.serial: device.kind for device in context.run.devices}
    phones = any(kinds.get(one.device) == "phone" for one in found)
    return Section(
        "learning",
        "Learning on the phone" if phones else "Learning on this computer",
        sentences=tuple(sentence for one in found for sentence in learning.sentences(one)),
        note=f"{TIMES} {VIRTUAL}" if any(one.virtual for one in found) else TIMES,
        tables=tuple(learning.table(one) for one in found),
        pictures=_pictures(context),
    )


def _pictures(context: Context) -> tuple[Picture, ...]:
    if not context.pictures:
        return ()
    from bench.report.plots import learning as plots  # matplotlib takes a second to import

    return plots.draw(context.findings.lessons)
