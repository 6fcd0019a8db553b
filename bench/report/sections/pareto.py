"""What a variant is worth against what it costs: who is in front by each cost, in words and drawn."""

from __future__ import annotations

from bench.report import contested, rivals
from bench.report.section import Context, Section

NOTE = (
    "Up and to the left is better; line: the Pareto front of the medians, filled what is on it. Behind it and grey: "
    "another is as good and costs less, and neither may be chance. Behind it and coloured: by the medians alone. "
    "Bars: 95 % intervals. Thin lines join the sizes of a family."
)


def section(context: Context) -> Section | None:
    contests = [one for one in context.findings.contests if rivals.many(one)]
    sentences = tuple(sentence for contest in contests for sentence in contested.fronts(contest, context))
    details = tuple(sentence for contest in contests for sentence in contested.levels(contest, context))
    if not context.pictures:
        return Section("pareto", "Score against cost", sentences=sentences, details=details) if sentences else None
    from bench.report.plots import pareto, style  # matplotlib takes a second to import

    pictures = pareto.draw(context)
    rest = style.drawn(context.findings.contests, pareto.MOST_PICTURES, "place")
    if not pictures:
        return None
    return Section(
        "pareto", "Score against cost", sentences=sentences, details=details, note=NOTE + rest, pictures=pictures
    )
