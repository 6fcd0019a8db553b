"""How closely the ratios of a run are known, where its launches went on until that was close enough."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench import plan
from bench.records import GoalRecord, Subject
from bench.report.section import Context, Section
from bench.units import percent, span


def section(context: Context) -> Section | None:
    sentences = tuple(_sentences(context))
    return Section("goals", "How closely ratios are known", sentences=sentences) if sentences else None


def _sentences(context: Context) -> Iterator[str]:
    """One for each network that reached its goal, else one for each place that did not."""
    goals: dict[str, list[GoalRecord]] = {}
    for goal in context.run.goals:
        goals.setdefault(goal.model, []).append(goal)
    for model, found in goals.items():
        short = [goal for goal in found if goal.ended != "reached"]
        yield from (_missed(goal, context) for goal in short)
        if not short:
            yield _reached(context.labels.model(model), found)


def _reached(model: str, goals: Sequence[GoalRecord]) -> str:
    widest = max(goals, key=lambda goal: goal.reached or 0.0)
    counts = sorted({goal.launches for goal in goals})
    launches = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    what = "every ratio" if widest.of == "ratio" else "the median"
    return f"{model}: {what} is known to {_within(widest.reached)} after {launches} launches{_wanted(widest)}."


def _missed(goal: GoalRecord, context: Context) -> str:
    subject = Subject.model_validate({name: getattr(goal, name) for name in Subject.model_fields})
    where, model = context.labels.where(subject), context.labels.model(goal.model)
    what = f"the {goal.of} of {goal.variant} on {where}"
    if goal.ended == "failed":
        return f"{model}: no {goal.of} on {where} could be narrowed, because its launches failed{_wanted(goal)}."
    why = {
        "budget": f"the budget of {span(plan.of_run(context.run).protocol_for(goal.model).budget_seconds)} ended",
        "launches": "as many launches as are allowed ended",
        "tagged": f"launches beyond the planned ones were all tagged ({goal.reason}), so more would not help: it ended",
        "interrupted": "the run was interrupted",
    }[goal.ended]
    return f"{model}: {why} with {what} at {_within(goal.reached)} after {goal.launches} launches{_wanted(goal)}."


def _within(reached: float | None) -> str:
    return "no interval at all" if reached is None else f"± {percent(reached)}"


def _wanted(goal: GoalRecord) -> str:
    return f" (wanted: ± {100 * goal.wanted:g} %)"
