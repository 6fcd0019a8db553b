"""What flags change of a plan: fewer networks and variants, others of the user's own, another setting for all."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from bench import runtimes
from bench.errors import UsageError
from bench.plan import Case, Plan, message_of

_T = TypeVar("_T", bound=BaseModel)


class Changes(NamedTuple):
    """What flags change of a plan; None leaves it as it is. `models` and `variants` may name what the plan lacks."""

    models: Sequence[str] = ()
    variants: Sequence[str] = ()
    methods: Sequence[str] = ()
    sizes: Sequence[str] = ()
    threads: Sequence[int] = ()
    precision: Sequence[str] = ()
    weights: Path | None = None
    input: Sequence[str] = ()
    input_size: tuple[int, int] | None = None
    data: Path | None = None
    samples: int | None = None
    label: str | None = None
    cores: str | None = None
    runtimes: Sequence[str] = ()
    """`all`: every one that runs on phones."""
    protocol: Mapping[str, Any] = MappingProxyType({})
    """Values of the protocol, for every network."""
    add: Path | None = None
    validation: float | None = None


_ONE_NETWORK = ("weights", "input", "input_size", "data", "add", "samples", "validation", "label")
_SHARED = ("data", "add", "samples", "validation")
"""Of these, what all networks of a plan may have in common."""


def changed(plan: Plan, changes: Changes) -> Plan:
    """The plan with only these models and variants, and these settings instead of its own.

    Raises UsageError for a value that a plan could not hold, for what belongs to one network where the plan has
    several, and for a budget of nothing.
    """
    cases = list(plan.cases)
    if changes.models:
        cases = [
            case
            for name in changes.models
            for case in [case for case in plan.cases if name in (case.label, case.model)]
            or [_validated(Case, {"model": name})]
        ]
    shared = _SHARED if plan.shared_data and not changes.models else ()
    given = [name for name in _ONE_NETWORK if getattr(changes, name) and name not in shared]
    if given and len(cases) > 1:
        flag, names = given[0].replace("_", "-"), ", ".join(case.label for case in cases)
        raise UsageError(f"--{flag} is for one network, and the plan has {names}", "Name one by --model.")
    update: dict[str, Any] = {}
    if changes.methods and not changes.variants:
        update["variants"] = None
    if changes.sizes and not changes.methods and not all(case.methods for case in cases):
        raise UsageError("--sizes are of the variants by --method, which is not given", "Add e.g. --method all.")
    for key in ("variants", "methods", "sizes", "threads", "precision"):
        if values := getattr(changes, key):
            update[key] = list(values)
    update |= {key: value for key in ("weights", "input_size", "label", "cores") if (value := getattr(changes, key))}
    if changes.input:
        update["input"] = list(changes.input)
    made = [_with(case, update, changes) for case in cases]
    protocol = plan.protocol.model_dump() | dict(changes.protocol)
    top: dict[str, Any] = {"cases": [case.model_dump() for case in made], "protocol": protocol}
    if changes.runtimes:
        by = runtimes.named(changes.runtimes)
        top["runtime"] = by[0] if len(by) == 1 else by
        top["desktop"] = _in_place(plan.desktop, plan.runtimes, by)
        made = [
            case.model_copy(update={"desktop": _in_place(case.desktop, plan.runtimes, by)})
            if case.desktop is not None
            else case
            for case in made
        ]
        top["cases"] = [case.model_dump() for case in made]
    if changes.models and not {case.label for case in made} & {case.label for case in plan.cases}:
        top |= {"name": re.sub(r"[^A-Za-z0-9._-]", "_", made[0].label), "description": ""}
    wanted = _validated(Plan, plan.model_dump() | top)
    if "budget_seconds" in changes.protocol and not any(
        wanted.protocol_for(c.label).ratio_interval for c in wanted.cases
    ):
        raise UsageError(
            "--budget is the time to reach a percentage, and neither --precision nor the plan gives one",
            "Add e.g. --precision 2%, or leave --budget out.",
        )
    if "drift_samples" in changes.protocol and not any(wanted.protocol_for(c.label).drift for c in wanted.cases):
        raise UsageError(
            "--drift-samples is how many samples are corrupted, and neither --drift nor the plan asks for any",
            "Add e.g. --drift all, or leave it out.",
        )
    return wanted


def _in_place(names: Sequence[str], old: Sequence[str], new: Sequence[str]) -> tuple[str, ...]:
    """The runtimes of this host with the `new` ones that run here where the first of the `old` was, if any does."""
    here = [name for name in new if "desktop" in runtimes.runtime(name).places]
    if not here or not set(old) & set(names):
        return tuple(names)
    found: list[str] = []
    for name in names:
        found += here if name in old else [name]
    return tuple(dict.fromkeys(found))


def _with(case: Case, update: dict[str, Any], changes: Changes) -> Case:
    own = dict(update)
    if changes.protocol and case.protocol:
        own["protocol"] = case.protocol.model_dump() | dict(changes.protocol)
    wanted = (
        ("path", changes.data),
        ("samples", changes.samples),
        ("add", changes.add),
        ("validation", changes.validation),
    )
    if data := {key: value for key, value in wanted if value}:
        own["data"] = (case.data.model_dump() if case.data else {}) | data
    return _validated(Case, case.model_dump() | own) if own else case


def _validated(kind: type[_T], values: dict[str, Any]) -> _T:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in problem["loc"]) or kind.__name__.lower()
        raise UsageError(f"{key}: {message_of(problem)}", "See docs/plans.md for every key.") from None
