"""Which launches a plan asks for, in what order.

Variants are never measured one after the other as blocks: what drifts on a phone (heat, background work) would then be
taken for a difference between them. Each round holds one launch of every variant in every place, shuffled by the plan's
seed (random blocks; e.g. Georges, Buytaert, Eeckhout, OOPSLA 2007, on why launches and not iterations are the unit).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import NamedTuple, get_args

from bench.plan import Case, Plan, Protocol
from bench.records import Pass, Runtime, Trial


class Place(NamedTuple):
    """Where trials run: a device by its serial, and the runtime on it."""

    device: str
    runtime: Runtime


def protocol_of(plan: Plan, case: Case) -> Protocol:
    """The case's own protocol, else the plan's."""
    return case.protocol or plan.protocol


def trials(plan: Plan, places: Sequence[Place]) -> tuple[Trial, ...]:
    """Every launch of the plan, in the order in which they are to run.

    Size and accuracy come first (a wrong network's speed is of no interest), then memory, then latency.
    """
    dice = random.Random(plan.protocol.seed)  # noqa: S311 - an order, not a secret
    found: list[Trial] = []
    for case in plan.cases:
        for pass_ in get_args(Pass):
            for block in _blocks(pass_, case, protocol_of(plan, case), places):
                dice.shuffle(block)
                found.extend(block)
    return tuple(trial.model_copy(update={"order": order}) for order, trial in enumerate(found))


def _blocks(pass_: Pass, case: Case, protocol: Protocol, places: Sequence[Place]) -> Iterable[list[Trial]]:
    counts = {place: _launches(pass_, protocol, place) for place in places}
    for launch in range(max(counts.values(), default=0)):
        yield [
            Trial(
                model=case.model, variant=variant, device=place.device, runtime=place.runtime, pass_=pass_,
                threads=threads, precision=precision, launch=launch,
            )
            for place, count in counts.items()
            if launch < count
            for variant in case.variants
            for threads in case.threads
            for precision in case.precision
            if place.runtime == "native" or precision == "fp32"
        ]  # fmt: skip


def _launches(pass_: Pass, protocol: Protocol, place: Place) -> int:
    if pass_ == "size":
        return 1 if place.runtime == "native" else 0
    if pass_ == "accuracy":
        return 1
    if place.runtime == "torch":
        return protocol.reference_launches
    return protocol.launches if pass_ == "latency" else protocol.memory_launches


def estimate_s(plan: Plan, places: Sequence[Place], inference_s: dict[str, float]) -> float:
    """A rough time for the trials alone, in seconds; `inference_s` is one baseline inference by model name.

    Torch pays two seconds of imports a launch, a phone about 0.1 s of shell and files.
    """
    total = 0.0
    protocols = {case.model: protocol_of(plan, case) for case in plan.cases}
    for trial in trials(plan, places):
        one = inference_s.get(trial.model, 0.1)
        p = protocols[trial.model]
        start = 2.5 if trial.runtime == "torch" else 0.1
        match trial.pass_:
            case "latency":
                warm = max(p.warmup_seconds, p.warmup_iterations * one)
                total += start + 2 * one + warm + max(p.min_seconds, p.min_iterations * one)
            case "memory":
                total += start + 3 * one
            case "accuracy":
                total += start + 5 * one
    return total
