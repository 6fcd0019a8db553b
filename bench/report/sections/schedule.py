"""Several networks at once: variants chosen for each phase of a changing budget against fixed ones."""

from __future__ import annotations

from bench.report import schedule
from bench.report.section import Context, Folded, Section


def section(context: Context) -> Section | None:
    found = context.findings.schedules
    if not found:
        return None
    chosen = [
        schedule.choice_table(
            one.first.workload, policy.policy, one.first.capacities, f"{one.first.workload.name}: chosen for each phase"
        )
        for one in found
        for policy in one.policies
        if policy.policy.adaptive
    ]
    measured = [table for one in found for table in schedule.tables(one)]
    first = [table for table in measured if "each network, fixed" not in table.title]
    rest = [table for table in measured if table not in first]
    return Section(
        "schedule",
        "Several networks at once",
        notices=tuple(dict.fromkeys(notice for one in found for notice in schedule.notices(one))),
        sentences=tuple(
            sentence
            for one in found
            for sentence in (
                *schedule.sentences(one),
                *schedule.solver_sentences(one.first.optimum, one.first.greedy),
            )
        ),
        tables=(*chosen, *first),
        folded=tuple(
            Folded(f"schedule-{number}", table, "What a fixed choice had, phase by phase.")
            for number, table in enumerate(rest, 1)
        ),
    )
