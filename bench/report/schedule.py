"""What was chosen for several networks at once, and what became of it, as sentences and tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bench.report.labels import listed
from bench.report.table import Cell, Table
from bench.scheduled import (
    WHOLE,
    Against,
    Capacity,
    NetworkPhase,
    Planned,
    Policy,
    PolicyOutcome,
    ScheduleOutcome,
    Workload,
    cost,
)
from bench.units import percent, quantity

CHOSEN = ("Phase", "Network", "Variant", "Share", "Score", "Latency alone", "On its share", "At most", "Memory", "Cost")
CHOSEN_NOTE = (
    "Cost, in points of the score: 100 × (least score − score) + α × milliseconds beyond the latency that is allowed; "
    "below 0 where a network answers better than it has to. On its share: the latency alone over the share, which is "
    "what the model expects."
)
POLICIES = (
    "Policy", "Variants", "Cost", "95 % interval", "Launches", "Predicted", "More than adaptive",
    "95 % interval of that",
)  # fmt: skip
POLICIES_NOTE = (
    "Cost: mean over launches of the measured cost, phases weighted by their time. More than adaptive: paired by "
    "round; Student's interval over rounds. A fixed choice keeps its variants, and has the best shares for them in "
    "each phase."
)
NETWORKS = (
    "Phase", "Network", "Variant", "Share", "Granted", "Processor", "Inferences", "Median", "p95", "Expected",
    "At most", "Late", "Cost", "Memory", "Exchanged",
)  # fmt: skip
NETWORKS_NOTE = (
    "Medians over launches; a request's time runs from when it came until it was answered, waiting included. Late: "
    "requests beyond what is allowed. Granted: the part of the time in which its process was not stopped. Exchanged: "
    "until it could infer again, from the begin of the phase, in its share."
)
PHASES = ("Policy", "Phase", "Budget", "Memory", "Processor")


def variants(policy: Policy) -> str:
    """What it runs, in words."""
    if policy.adaptive:
        return "chosen for each phase"
    return ", ".join(f"{one.network} {one.variant}" for one in policy.phases[0])


def choice_table(workload: Workload, policy: Policy, capacities: Sequence[Capacity], title: str) -> Table:
    known = {(one.network, one.variant): one for one in capacities}
    rows = []
    for number, (phase, allocation) in enumerate(zip(workload.phases, policy.phases, strict=True), 1):
        budget = f"{number}: {phase.seconds:g} s, {phase.memory_mb:g} MB, {100 * phase.processor:g} %"
        for wish, given in zip(workload.networks, allocation, strict=True):
            one = known[given.network, given.variant]
            own = cost(one, wish, given.share)
            rows.append(
                (
                    Cell(budget), Cell(given.network), Cell(given.variant), Cell(_share(given.share / WHOLE)),
                    Cell(percent(one.score)), Cell(quantity(one.latency, "ns")),
                    Cell(quantity(one.latency * WHOLE / given.share, "ns")),
                    Cell(quantity(1e6 * wish.latency_ms, "ns")), Cell(quantity(one.memory, "B")),
                    Cell(points(own), value=own),
                )
            )  # fmt: skip
            budget = ""
    return Table(title, CHOSEN, tuple(rows), (CHOSEN_NOTE,), words=3)


def solver_sentences(optimum: Sequence[float | None], greedy: Sequence[float | None]) -> Iterator[str]:
    """How far the greedy choice is from the best one."""
    known = [(n, best, found) for n, (best, found) in enumerate(zip(optimum, greedy, strict=True), 1)
             if best is not None and found is not None]  # fmt: skip
    if not known:
        yield "Whether the greedy choice is the best was not looked for: there are too many choices."
        return
    apart = [(n, found - best) for n, best, found in known if found - best > 1e-9]
    if not apart:
        where = "each phase" if len(known) > 1 else "the phase"
        yield f"Handing out the processor step by step finds the best choice in {where}."
        return
    words = listed([f"{gap:.3g} points in phase {n}" for n, gap in apart])
    yield (
        f"Handing out the processor step by step misses the best choice by {words}; the best one is what runs unless "
        "the greedy solver is asked for."
    )


def planned_sentences(planned: Planned) -> Iterator[str]:
    """What the choice is expected to be worth."""
    yield from solver_sentences(planned.optimum, planned.greedy)
    best = planned.fixed[0]
    gap = best.predicted - planned.adaptive.predicted
    yield (
        f"Expected: {points(planned.adaptive.predicted)} points with variants chosen for each phase, "
        f"{points(best.predicted)} with the best of {len(planned.fixed):,} fixed choices that fit in every phase "
        f"({variants(best)}): {points(gap)} more."
    )


def sentences(found: ScheduleOutcome) -> Iterator[str]:
    """What came of it, the answer first."""
    launch = found.first
    where = f"on {launch.device}{' (virtual)' if launch.virtual else ''}"
    kind = "MinMaxCost" if launch.workload.objective == "max" else "MinTotalCost"
    adaptive = next((one for one in found.policies if one.policy.adaptive and one.costs), None)
    if adaptive is None:
        yield f"{launch.workload.name} {where}: no launch of the adaptive policy succeeded."
        return
    fixed = {one.policy.name: one for one in found.policies if not one.policy.adaptive and one.costs}
    if not found.against:
        yield f"{launch.workload.name} {where}: no fixed choice was measured beside the adaptive one."
        return
    best = min(found.against, key=lambda one: one.difference)
    yield (
        f"{launch.workload.name} {where}, {kind}: variants chosen for each phase cost {points(adaptive.mean)} points, "
        f"the best fixed choice measured ({best.fixed}: {variants(fixed[best.fixed].policy)}) "
        f"{points(fixed[best.fixed].mean)}. {_verdict(best)}"
    )
    others = [one for one in found.against if one is not best]
    if others:
        ahead = [one.fixed for one in others if one.outcome == "better"]
        rest = [one.fixed for one in others if one.outcome != "better"]
        yield (
            f"Of the other fixed choices it is cheaper than {listed(ahead) if ahead else 'none for sure'}"
            + (f"; not called: {listed(rest)}." if rest else ".")
        )


def _verdict(one: Against) -> str:
    if one.interval is None:
        return (
            f"In {one.rounds} round{'s' * (one.rounds > 1)} the fixed one cost {points(one.difference)} points more: "
            "too few rounds for an interval, so nothing is called."
        )
    low, high = (f"{value:+.2f}" for value in one.interval)
    interval = f"(fixed less chosen: 95 % interval {low} to {high}, {one.rounds} rounds)"
    match one.outcome:
        case "better":
            return f"Choosing wins: the fixed one costs {points(one.difference)} points more {interval}."
        case "worse":
            return f"Choosing loses: the fixed one costs {points(-one.difference)} points less {interval}."
        case _:
            more = "less" if one.difference < 0 else "more"
            return f"Neither wins for sure: the fixed one costs {points(abs(one.difference))} points {more} {interval}."


def tables(found: ScheduleOutcome) -> Iterator[Table]:
    """The policies, the budgets, then each network of the adaptive policy and of the others."""
    name = found.first.workload.name
    against = {one.fixed: one for one in found.against}
    yield Table(
        f"{name}: choosing for each phase against fixed choices", POLICIES,
        tuple(_policy_row(one, against.get(one.policy.name)) for one in found.policies), (POLICIES_NOTE,), words=2,
    )  # fmt: skip
    yield Table(f"{name}: budgets", PHASES, tuple(_phase_rows(found)), words=2)
    limits = {wish.network: 1e6 * wish.latency_ms for wish in found.first.workload.networks}
    for one in sorted(found.policies, key=lambda one: not one.policy.adaptive):
        if one.networks:
            rows = tuple(_network_row(n, limits[n.network]) for n in one.networks)
            yield Table(f"{name}: each network, {one.policy.name}", NETWORKS, rows, (NETWORKS_NOTE,), words=3)


def _policy_row(one: PolicyOutcome, against: Against | None) -> tuple[Cell, ...]:
    costs = [value for _, value in one.costs]
    return (
        Cell(one.policy.name), Cell(variants(one.policy)),
        Cell(points(one.mean), value=one.mean) if costs else Cell("failed", tone="bad"),
        Cell(_interval(one.interval)), Cell(str(len(costs)), value=len(costs)),
        Cell(points(one.policy.predicted), value=one.policy.predicted),
        Cell(points(against.difference), value=against.difference) if against else Cell("–"),
        Cell(_interval(against.interval) if against else "–"),
    )  # fmt: skip


def _network_row(one: NetworkPhase, limit: float) -> tuple[Cell, ...]:
    expected = "–" if one.expected is None else quantity(one.expected, "ns")
    exchanged = "–"
    if one.way:
        bytes_ = quantity(one.bytes, "B")
        took = "not in time" if one.exchanged is None else quantity(one.exchanged, "ns")
        exchanged = f"{took}, {one.way} of {bytes_}"
    return (
        Cell(str(one.phase + 1), value=one.phase), Cell(one.network), Cell(one.variant), Cell(_share(one.asked)),
        Cell(_share(one.granted)), Cell("–" if one.cpu is None else _share(one.cpu)), Cell(f"{one.inferences:,.0f}"),
        Cell(_ns(one.median)), Cell(_ns(one.p95)), Cell(expected), Cell(quantity(limit, "ns")),
        Cell(percent(one.missed)), Cell(points(one.cost), value=one.cost), Cell(quantity(one.rss, "B")),
        Cell(exchanged),
    )  # fmt: skip


def _phase_rows(found: ScheduleOutcome) -> Iterator[tuple[Cell, ...]]:
    for one in found.policies:
        for number, memory in enumerate(one.memory):
            phase = found.first.workload.phases[number]
            mine = [n for n in one.networks if n.phase == number]
            granted, taken = sum(n.granted for n in mine), [n.cpu for n in mine]
            used = "unknown" if None in taken else _share(sum(filter(None, taken)))
            beyond = memory > 1e6 * phase.memory_mb
            yield (
                Cell(one.policy.name), Cell(str(number + 1)),
                Cell(f"{phase.memory_mb:g} MB, {100 * phase.processor:g} %"),
                Cell(quantity(memory, "B"), tone="bad" if beyond else "plain", value=memory),
                Cell(f"{_share(granted)} granted, {used} taken"),
            )  # fmt: skip


def _interval(within: tuple[float, float] | None) -> str:
    return "–" if within is None else f"{points(within[0])} to {points(within[1])}"


def points(value: float) -> str:
    """Points of a score with two decimals."""
    return "–" if math.isnan(value) else f"{value:.2f}"


def _ns(value: float) -> str:
    return "–" if math.isnan(value) else quantity(value, "ns")


def _share(part: float) -> str:
    return f"{100 * part:.3g} %"


def plain_planned(workload: Workload, planned: Planned, capacities: Mapping[str, Sequence[Capacity]]) -> dict[str, Any]:
    """What was chosen, for programs."""
    return {
        "workload": workload.model_dump(mode="json"),
        "capacities": [one.model_dump(mode="json") for some in capacities.values() for one in some],
        "adaptive": planned.adaptive.model_dump(mode="json"),
        "fixed": [one.model_dump(mode="json") for one in planned.fixed[:100]],
        "fixed_choices": len(planned.fixed),
        "optimum": list(planned.optimum),
        "greedy": list(planned.greedy),
    }


def plain(found: ScheduleOutcome) -> dict[str, Any]:
    """What came of it, for programs; JSON has no NaN."""
    return {
        "id": found.first.id,
        "device": found.first.device,
        "virtual": found.first.virtual,
        "policies": [
            {
                "policy": one.policy.model_dump(mode="json"),
                "costs": [value for _, value in one.costs],
                "networks": [_without_nan(asdict(n)) for n in one.networks],
                "memory": list(one.memory),
                "failed": list(one.failed),
            }
            for one in found.policies
        ],
        "against": [asdict(one) | {"outcome": one.outcome} for one in found.against],
        "tags": list(found.tags),
    }


def _without_nan(values: dict[str, Any]) -> dict[str, Any]:
    return {key: None if isinstance(one, float) and not math.isfinite(one) else one for key, one in values.items()}


def notices(found: ScheduleOutcome) -> Iterator[str]:
    """What has to be known of the figures."""
    if found.first.virtual:
        yield (
            f"{found.first.device} is a virtual phone: its times are those of this computer, shared with whatever else "
            "runs on it, and say nothing of a real phone."
        )
    if found.tags:
        more = f", and {len(found.tags) - 3} more" * (len(found.tags) > 3)
        yield f"Launches with doubts: {'; '.join(found.tags[:3])}{more}."
