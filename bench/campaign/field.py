"""A case whose data has pictures from the field added: measured on its own test part, and on those held apart."""

from __future__ import annotations

from bench.errors import UsageError
from bench.plan import Case, Plan

ADDED = "field"
"""Ends the name of a network that is measured on added pictures."""


def doubled(plan: Plan) -> Plan:
    """The plan with each case whose data has `add` twice: both are trained alike, if at all, and so are one network;
    one is shown the data's own part to test with, the other the added pictures that nothing learns from. Raises
    UsageError."""
    cases: list[Case] = []
    for case in plan.cases:
        data = case.data
        if data is None or data.add is None or data.shown != "both":
            cases.append(case)
            continue
        if data.path is None:
            raise UsageError(
                f"{case.label} has pictures to add and no data to add them to",
                "Name it by --data, or `path` of `data`.",
            )
        for shown, label in (("test", case.label), ("added", f"{case.label}-{ADDED}")):
            cases.append(case.model_copy(update={"label": label, "data": data.model_copy(update={"shown": shown})}))
    labels = [case.label for case in cases]
    if len(set(labels)) != len(labels) or any(len(label) > 60 for label in labels):
        raise UsageError(
            f"networks measured on added pictures are called NAME-{ADDED}, and a name is taken or too long: "
            f"{', '.join(labels)}",
            "Give the case another label.",
        )
    return plan.model_copy(update={"cases": tuple(cases)})
