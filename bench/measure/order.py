"""Which launches a plan asks for, in what order.

Variants are never measured one after the other as blocks: what drifts on a phone (heat, background work) would then be
taken for a difference between them. Each round holds one launch of every variant in every place, shuffled by the plan's
seed (random blocks; e.g. Georges, Buytaert, Eeckhout, OOPSLA 2007, on why launches and not iterations are the unit).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple, get_args

from bench.corrupted import SEVERITIES
from bench.devices.host import DESKTOP
from bench.plan import Plan, Protocol
from bench.records import Pass, Precision, Subject, Trial

ENERGY_LAUNCHES = 5
DRIFT_SAMPLES = 200
"""About how many samples are corrupted where the plan does not say, for estimates alone."""
LARGEST_TRIES = 12
"""About how many pictures the memory test tries, for estimates alone."""
SWITCHES = 80
"""About how many changes of capacity a launch of the switch pass makes, each of them at most a load, for the same."""


class Place(NamedTuple):
    """Where a subject runs. `reference`: by the runtime that stands for the network as its author runs it."""

    device: str
    runtime: str
    reference: bool = False


class Entry(NamedTuple):
    """A variant of a network, by their labels, with the places where it can be measured and the precisions there.
    `switching` are the runtimes that change its capacity in place."""

    model: str
    variant: str
    places: Mapping[Place, tuple[Precision, ...]]
    threads: tuple[int, ...] = (1,)
    switching: frozenset[str] = frozenset()


class Block(NamedTuple):
    """A round of a network's pass: one launch of each subject, in random order."""

    model: str
    pass_: Pass
    trials: tuple[Trial, ...]


def trials(plan: Plan, entries: Sequence[Entry]) -> tuple[Trial, ...]:
    """Every launch that the plan is sure to have, in the order in which they are to run."""
    found = chain.from_iterable(one.trials for one in blocks(plan, entries))
    return tuple(trial.model_copy(update={"order": order}) for order, trial in enumerate(found))


def blocks(plan: Plan, entries: Sequence[Entry]) -> Iterator[Block]:
    """The blocks of the plan, in the order in which they are to run.

    Size and accuracy come first (a wrong network's speed is of no interest), then memory, then latency.
    """
    dice = random.Random(plan.protocol.seed)  # noqa: S311 - an order, not a secret
    for model in dict.fromkeys(entry.model for entry in entries):
        mine = [entry for entry in entries if entry.model == model]
        for pass_ in get_args(Pass):
            for block in _blocks(pass_, mine, plan.protocol_for(model)):
                dice.shuffle(block)
                yield Block(model, pass_, tuple(block))


def of_device(blocks: Iterable[Block], device: str) -> Iterator[Block]:
    """The part of each block that a device has."""
    for block in blocks:
        if own := tuple(one for one in block.trials if one.subject.device == device):
            yield block._replace(trials=own)


def once(blocks: Iterable[Block], pass_: Pass) -> Iterator[Block]:
    """The blocks with only the first launch of each subject in that pass: where it must fail for what cannot change,
    one record of a variant has the reason, and more would say nothing new."""
    return (one for one in blocks if one.pass_ != pass_ or all(trial.launch == 0 for trial in one.trials))


def further(launches: Mapping[Subject, int], seed: int) -> tuple[Trial, ...]:
    """A block beyond the planned ones of the latency pass: one launch more of each subject that has had so many, in
    random order. Its number follows from that count alone, so that a resumed run has the same trials."""
    found = [Trial(subject=subject, pass_="latency", launch=count) for subject, count in launches.items()]
    random.Random(f"{seed} {max(launches.values(), default=0)}").shuffle(found)  # noqa: S311 - an order, not a secret
    return tuple(found)


def _blocks(pass_: Pass, entries: Sequence[Entry], protocol: Protocol) -> Iterable[list[Trial]]:
    subjects = [
        (place, Subject(model=e.model, variant=e.variant, device=place.device, runtime=place.runtime,
                        threads=threads, precision=precision))
        for e in entries
        for place, precisions in e.places.items()
        if pass_ != "switch" or place.runtime in e.switching
        for threads in e.threads
        for precision in precisions
    ]  # fmt: skip
    counts = {place: launches(pass_, protocol, place) for place, _ in subjects}
    for launch in range(max(counts.values(), default=0)):
        yield [Trial(subject=s, pass_=pass_, launch=launch) for place, s in subjects if launch < counts[place]]


def launches(pass_: Pass, protocol: Protocol, place: Place) -> int:
    """How many launches a subject has in a pass."""
    if pass_ == "size":
        return 0 if place.reference else 1
    if pass_ == "accuracy":
        return 1
    if pass_ in ("latency", "memory"):
        own = protocol.launches if pass_ == "latency" else protocol.memory_launches
        return protocol.reference_launches if place.reference else own
    if place.reference or (pass_ == "energy" and place.device == DESKTOP):
        return 0
    asked = {
        "contended": protocol.launches if protocol.beside or protocol.load else 0,
        "energy": ENERGY_LAUNCHES if protocol.energy_seconds else 0,
        "largest": 1 if protocol.largest_side and place.device != DESKTOP else 0,
        "sustained": 1 if protocol.sustained_seconds else 0,
        "profile": protocol.profile_launches,
        "switch": protocol.switch_launches,
        "drift": 1 + len({word.partition(":")[0] for word in protocol.drift}) if protocol.drift else 0,
    }
    return asked[pass_]


def estimate_s(
    plan: Plan, entries: Sequence[Entry], inference_s: Mapping[str, float], start_s: Mapping[str, float]
) -> float:
    """A rough time for the trials alone, in seconds, with all of the budgets for narrower intervals; `inference_s` is
    one ordinary inference by the network's label, `start_s` what a launch of each runtime takes beside its work."""
    protocols = [plan.protocol_for(model) for model in dict.fromkeys(entry.model for entry in entries)]
    total = sum(p.budget_seconds for p in protocols if p.ratio_interval)
    for trial in trials(plan, entries):
        one = inference_s.get(trial.subject.model, 0.1)
        p = plan.protocol_for(trial.subject.model)
        start = start_s.get(trial.subject.runtime, 0.1)
        match trial.pass_:
            case "profile":
                total += start + 2 * one + 2 * max(p.min_seconds + p.warmup_seconds, p.min_iterations * one)
            case "latency" | "contended":
                warm = max(p.warmup_seconds, p.warmup_iterations * one)
                total += start + 2 * one + warm + max(p.min_seconds, p.min_iterations * one)
            case "memory":
                total += start + 3 * one
            case "switch":
                total += start + SWITCHES * (one + start)
            case "accuracy":
                total += start + 5 * one
            case "drift":
                total += start + SEVERITIES * (p.drift_samples or DRIFT_SAMPLES) * one
            case "energy":
                total += start + 2 * p.energy_seconds
            case "sustained":
                total += start + p.sustained_seconds
            case "largest":
                total += LARGEST_TRIES * start
    return total
