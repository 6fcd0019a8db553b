"""Which variant serves each network of a phone, on which share of the processor: chosen under a budget."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from types import MappingProxyType
from typing import NamedTuple

from bench.scheduled import (
    Allocation,
    Assigned,
    Capacity,
    Objective,
    Phase,
    Planned,
    Policy,
    Wish,
    Workload,
    cost,
    exchange_cost,
)

MOST_FIXED = 100_000
"""Fixed choices that are looked at."""
_MOST_PARTIAL = 4_000
"""Choices of some of the networks on one share of the processor that the exact solver keeps."""
Choices = Mapping[str, Sequence[Capacity]]
"""What each network can be had for."""


def joined(costs: Sequence[float], objective: Objective) -> float:
    """The costs of all networks as one."""
    return max(costs) if objective == "max" else math.fsum(costs)


class Solved(NamedTuple):
    """An allocation and its cost; where there is none, `why` says what does not fit."""

    allocation: Allocation | None
    cost: float = math.inf
    why: str = ""


@dataclass(frozen=True)
class Problem:
    """One phase: the networks, what each can be had for, and the budget."""

    wishes: Sequence[Wish]
    choices: Choices
    memory: float
    processor: int
    step: int
    objective: Objective
    seconds: float = math.inf
    before: Mapping[str, Capacity] = field(default_factory=dict)
    """What was loaded in the phase before, where exchanging it counts."""

    @classmethod
    def of(
        cls, workload: Workload, choices: Choices, phase: Phase, before: Mapping[str, Capacity] = MappingProxyType({})
    ) -> Problem:
        return cls(
            workload.networks, choices, 1e6 * phase.memory_mb, phase.thousandths, workload.thousandths,
            workload.objective, phase.seconds, before,
        )  # fmt: skip

    def single(self, i: int, capacity: Capacity, share: int) -> float:
        """The cost of the i-th network in a capacity, with what it takes to load it where another one was."""
        wish = self.wishes[i]
        there = self.before.get(wish.network)
        if there is None or capacity == there:
            return cost(capacity, wish, share)
        return cost(capacity, wish, share) + exchange_cost(capacity, there, wish, share, self.seconds)

    def cost(self, chosen: Sequence[tuple[Capacity, int]]) -> float:
        """Of a capacity and a share for each network."""
        return joined([self.single(i, c, share) for i, (c, share) in enumerate(chosen)], self.objective)

    def solved(self, chosen: Sequence[tuple[Capacity, int]]) -> Solved:
        """As an allocation. What no cost asks for of the processor goes step by step to the smallest share, whose
        network waits longest for its turn: no cost rises by it."""
        shares = [share for _, share in chosen]
        for _ in range((self.processor - sum(shares)) // self.step):
            shares[shares.index(min(shares))] += self.step
        whole = [(c, share) for (c, _), share in zip(chosen, shares, strict=True)]
        allocation = tuple(Assigned(network=c.network, variant=c.variant, share=share) for c, share in whole)
        return Solved(allocation, self.cost(whole))

    def refused(self) -> str:
        """Why nothing fits; empty where something does."""
        least = {wish.network: min(c.memory for c in self.choices[wish.network]) for wish in self.wishes}
        if (needed := sum(least.values())) > self.memory:
            each = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in least.items())
            return (
                f"the smallest of each network need {needed / 1e6:.1f} MB together ({each}), and "
                f"{self.memory / 1e6:.1f} MB are allowed"
            )
        if self.step * len(self.wishes) > self.processor:
            return (
                f"{len(self.wishes)} networks with {self.step / 10:g} % of the processor each are more than the "
                f"{self.processor / 10:g} % allowed"
            )
        return ""


def shared(problem: Problem, capacities: Sequence[Capacity]) -> Solved:
    """The best shares for capacities that are given, which fit: step by step to whom it saves most, or for MinMaxCost
    to whoever costs most. That is optimal, since a network's cost is convex in its share and never rises with it."""
    shares = [problem.step] * len(capacities)

    def costs(i: int, more: int = 0) -> float:
        return problem.single(i, capacities[i], shares[i] + more)

    left = problem.processor - sum(shares)
    while left >= problem.step:
        if problem.objective == "max":
            best = max(range(len(shares)), key=costs)
        else:
            best = max(range(len(shares)), key=lambda i: costs(i) - costs(i, problem.step))
        if costs(best) - costs(best, problem.step) <= 0:
            break
        shares[best] += problem.step
        left -= problem.step
    return problem.solved(list(zip(capacities, shares, strict=True)))


def greedy(problem: Problem) -> Solved:
    """As published: the processor is handed out step by step, each to the network whose cost falls most by it (for
    MinMaxCost to the one that costs most), in whichever of its capacities then fits into the memory that is left.

    All begin with one step and their smallest capacity. When the processor is spent, exchanges of capacities that still
    lower a cost are made. It may miss the optimum: a network that comes first takes memory that another needs more.
    """
    if why := problem.refused():
        return Solved(None, why=why)
    current = [min(problem.choices[w.network], key=lambda c: (c.memory, -c.score)) for w in problem.wishes]
    shares = [problem.step] * len(current)

    def best(i: int, share: int) -> tuple[float, Capacity]:
        room = problem.memory - sum(c.memory for n, c in enumerate(current) if n != i)
        fitting = [c for c in problem.choices[problem.wishes[i].network] if c.memory <= room]
        return min(((problem.single(i, c, share), c) for c in fitting), key=lambda one: (one[0], one[1].memory))

    left = problem.processor - sum(shares)
    stuck: set[int] = set()
    while True:
        more = problem.step if left >= problem.step else 0
        now = [problem.single(i, c, share) for i, (c, share) in enumerate(zip(current, shares, strict=True))]
        gains = [now[i] - best(i, shares[i] + more)[0] for i in range(len(now))]
        order = now if problem.objective == "max" else gains
        able = [i for i in range(len(now)) if gains[i] > 1e-12 and (more or i not in stuck)]
        if not able:
            if not more:
                break
            left = 0  # no more of the processor helps anyone; exchanges alone may
            continue
        chosen = max(able, key=lambda i: order[i])
        current[chosen] = best(chosen, shares[chosen] + more)[1]
        shares[chosen] += more
        left -= more
        if not more:
            stuck.add(chosen)
    return problem.solved(list(zip(current, shares, strict=True)))


def exact(problem: Problem) -> Solved:
    """The least cost there is on this grid of shares, by dynamic programming over networks: for each sum of shares the
    choices of which none costs and takes less than another. For MinMaxCost, the least sum among the least maxima.

    Its allocation is None with a reason where nothing fits, or where there would be too many choices to look at.
    """
    if why := problem.refused():
        return Solved(None, why=why)
    if problem.objective == "total":
        return _least(problem, lambda a, b: a + b, math.inf)
    peak = _least(problem, max, math.inf)
    return peak if peak.allocation is None else _least(problem, lambda a, b: a + b, peak.cost)


class _Partial(NamedTuple):
    cost: float
    memory: float
    chosen: tuple[tuple[Capacity, int], ...]


def _least(problem: Problem, join: Callable[[float, float], float], most: float) -> Solved:
    """The least joined cost with no single cost above `most`."""
    steps = problem.processor // problem.step
    fronts: list[list[_Partial]] = [[] for _ in range(steps + 1)]
    fronts[0] = [_Partial(-math.inf if join is max else 0.0, 0.0, ())]
    for i, wish in enumerate(problem.wishes):
        grown: list[list[_Partial]] = [[] for _ in range(steps + 1)]
        for share in range(1, steps + 1):
            for capacity in problem.choices[wish.network]:
                own = problem.single(i, capacity, share * problem.step)
                if own > most + 1e-9:
                    continue
                for used in range(steps + 1 - share):
                    grown[used + share] += [
                        _Partial(join(one.cost, own), one.memory + capacity.memory,
                                 (*one.chosen, (capacity, share * problem.step)))
                        for one in fronts[used] if one.memory + capacity.memory <= problem.memory
                    ]  # fmt: skip
        fronts = [_front(some) for some in grown]
        if any(len(some) > _MOST_PARTIAL for some in fronts):
            return Solved(None, why="there are too many choices to look at them all")
    best = min((one for some in fronts for one in some), key=lambda one: one.cost)
    return problem.solved(best.chosen)


def _front(some: list[_Partial]) -> list[_Partial]:
    """Those of which none both costs and takes less."""
    kept: list[_Partial] = []
    for one in sorted(some, key=lambda one: (one.cost, one.memory)):
        if not kept or one.memory < kept[-1].memory:
            kept.append(one)
    return kept


class Infeasible(NamedTuple):
    phase: int
    why: str


def planned(workload: Workload, choices: Choices, solver: str = "exact") -> Planned | Infeasible:
    """All policies of a workload. With the solver `greedy` the adaptive one is what that finds, else the exact one
    where it can be looked for. Each phase is chosen after the one before, without looking further ahead."""
    known = {(c.network, c.variant): c for some in choices.values() for c in some}
    before: dict[str, Capacity] = {}
    chosen, optima, steps = [], [], []
    for number, phase in enumerate(workload.phases):
        problem = Problem.of(workload, choices, phase, before)
        found, best = greedy(problem), exact(problem)
        if found.allocation is None:
            return Infeasible(number, found.why)
        optima.append(None if best.allocation is None else best.cost)
        steps.append(found.cost)
        chosen.append(best if solver == "exact" and best.allocation is not None else found)
        if workload.exchanges:
            before = {one.network: known[one.network, one.variant] for one in chosen[-1].allocation or ()}
    adaptive = _policy("adaptive", workload, chosen, adaptive=True)
    problems = [Problem.of(workload, choices, phase) for phase in workload.phases]
    ordered = sorted(_fixed(workload, problems), key=lambda one: one.predicted)
    named = tuple(one.model_copy(update={"name": f"fixed {n}"}) for n, one in enumerate(ordered, 1))
    return Planned(adaptive, named, tuple(optima), tuple(steps))


def _policy(name: str, workload: Workload, solved: Sequence[Solved], *, adaptive: bool) -> Policy:
    cost_ = math.fsum(workload.weight(n) * one.cost for n, one in enumerate(solved))
    phases = tuple(one.allocation for one in solved if one.allocation is not None)
    return Policy(name=name, adaptive=adaptive, phases=phases, predicted=cost_)


def combinations(workload: Workload, choices: Choices) -> int:
    """How many fixed choices there are, fitting or not."""
    return math.prod(len(choices[wish.network]) for wish in workload.networks)


def _fixed(workload: Workload, problems: Sequence[Problem]) -> Iterator[Policy]:
    """Every choice of variants that fits into the memory of every phase, each phase with the best shares for it."""
    room = min(problem.memory for problem in problems)
    distinct = {problem.processor: problem for problem in problems}
    for capacities in product(*(problems[0].choices[wish.network] for wish in workload.networks)):
        if sum(c.memory for c in capacities) <= room:
            best = {processor: shared(problem, capacities) for processor, problem in distinct.items()}
            yield _policy("fixed", workload, [best[p.processor] for p in problems], adaptive=False)
