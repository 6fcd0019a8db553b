"""Several networks at once on one phone under a budget of memory and processor: what is asked for, what each network
can be had for, what was chosen, and what was measured of it. `bench.analyse.schedule` chooses and judges.

The costs are those of NestDNN (B. Fang, X. Zeng, M. Zhang, MobiCom 2018, arXiv 1810.10090).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, model_validator

from bench.records import SCHEMA_VERSION, Record

Objective = Literal["total", "max"]
"""MinTotalCost: the least sum of the networks' costs; MinMaxCost: the least of the greatest one."""
Solver = Literal["exact", "greedy"]
WHOLE = 1000
"""Shares of the processor are counted in thousandths of it."""
MOST_REQUESTS = 100_000
"""Of one network in one launch, as the runner has it (device_scripts/runner/contract/contract.h)."""


class Wish(Record):
    """A network of a workload: the score that it should have at least (0 to 1), how long an answer may take at most,
    what a millisecond beyond that costs in points of the score (`alpha`), and how many requests come a second.
    `variants` are those of the run that may serve it; none named: all."""

    network: str = Field(min_length=1, max_length=200)
    accuracy: float = Field(ge=0, le=1, allow_inf_nan=False)
    latency_ms: float = Field(gt=0, le=600_000, allow_inf_nan=False)
    alpha: float = Field(0.1, ge=0, le=1000, allow_inf_nan=False)
    rate: float = Field(ge=0.001, le=1000, allow_inf_nan=False)
    variants: tuple[str, ...] = Field((), max_length=64)


class Phase(Record):
    """Some time with one budget: `memory_mb` of 10^6 bytes for all networks together, `processor` as a part of one."""

    seconds: float = Field(ge=0.1, le=3600, allow_inf_nan=False)
    memory_mb: float = Field(gt=0, le=1e6, allow_inf_nan=False)
    processor: float = Field(ge=0.01, le=1, allow_inf_nan=False)

    @property
    def thousandths(self) -> int:
        return math.floor(WHOLE * self.processor + 1e-9)


class Workload(Record):
    """What `bench schedule` reads: networks that run at once, and a budget that changes.

    Shares are handed out in steps of `step` of the processor; on the phone they are turns within `period_ms`. Without
    `exchanges` the choice does not count what it takes to load another variant, as NestDNN's does not.
    """

    name: str = Field("workload", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")
    objective: Objective = "total"
    step: float = Field(0.02, ge=0.005, le=0.5, allow_inf_nan=False)
    period_ms: float = Field(4, ge=1, le=1000, allow_inf_nan=False)
    exchanges: bool = True
    networks: tuple[Wish, ...] = Field(min_length=1, max_length=16)
    phases: tuple[Phase, ...] = Field(min_length=1, max_length=64)

    @model_validator(mode="after")
    def _once(self) -> Workload:
        names = [wish.network for wish in self.networks]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"the network {twice} appears twice")
        if math.floor(WHOLE * self.step + 1e-9) * len(names) > min(phase.thousandths for phase in self.phases):
            raise ValueError(
                f"{len(names)} networks with a step of {self.step:g} of the processor each do not fit in the smallest "
                "`processor` of the phases"
            )
        for wish in self.networks:
            if wish.rate * sum(phase.seconds for phase in self.phases) > MOST_REQUESTS:
                raise ValueError(f"more than {MOST_REQUESTS:,} requests for {wish.network}")
        return self

    @property
    def thousandths(self) -> int:
        """The step."""
        return math.floor(WHOLE * self.step + 1e-9)

    def weight(self, phase: int) -> float:
        """The part of the whole time that a phase is."""
        return self.phases[phase].seconds / sum(one.seconds for one in self.phases)


class Capacity(Record):
    """One variant of a network as a run measured it on the phone: the `score`, one inference alone on the whole
    processor and its `load` in ns, and the peak memory of its process in bytes, all medians. Those of the same `files`
    (a hash of a package and its form) are exchanged in place, which takes `switch` ns where the run measured that."""

    network: str
    variant: str
    score: float = Field(ge=0, le=1 + 1e-6, allow_inf_nan=False)
    latency: float = Field(gt=0, le=2.0**53, allow_inf_nan=False)
    memory: float = Field(ge=0, le=2.0**53, allow_inf_nan=False)
    load: float = Field(0, ge=0, le=2.0**53, allow_inf_nan=False)
    files: str = ""
    switch: float | None = Field(None, ge=0, le=2.0**53, allow_inf_nan=False)

    def ready(self, there: Capacity) -> float:
        """Ns of the whole processor until it can infer where another one was; in place about a load, unless known."""
        in_place = self.files and self.files == there.files
        return self.switch if in_place and self.switch is not None else self.load


def cost(capacity: Capacity, wish: Wish, share: int) -> float:
    """The cost of a capacity m on the share u of the processor (in thousandths; without any it is infinite), in points:
    100 (A_min - A(m)) + alpha max(0, L(m)/u - L_max), L in milliseconds (section 3.3 there). Negative where the network
    answers better than it has to."""
    if share <= 0:
        return math.inf
    late = capacity.latency / 1e6 * WHOLE / share - wish.latency_ms
    return 100 * (wish.accuracy - capacity.score) + wish.alpha * max(0.0, late)


def exchange_cost(capacity: Capacity, there: Capacity, wish: Wish, share: int, seconds: float) -> float:
    """What it adds to the cost of a capacity, at the begin of a phase of so many seconds, that another one was there:
    until it is ready, requests wait for it, the first of them longest, and alpha counts the mean over the phase of what
    goes beyond L_max. Not in NestDNN."""
    if share <= 0:
        return math.inf
    ready, own = (ns / 1e6 * WHOLE / share for ns in (capacity.ready(there), capacity.latency))
    beyond = max(0.0, ready + own - max(wish.latency_ms, own))
    within = min(beyond, 1000 * seconds)
    return wish.alpha * within * (beyond - within / 2) / (1000 * seconds)


class Assigned(Record):
    """A network of a phase: its variant, and its share of the processor in thousandths."""

    network: str
    variant: str
    share: int = Field(ge=1, le=WHOLE)


Allocation = tuple[Assigned, ...]
"""One for each network, in the order of the workload."""


class Policy(Record):
    """What a launch runs: an allocation for each phase. `adaptive` chose variants for each phase; otherwise they are
    the same throughout, and the shares alone were chosen for each. `predicted`: its cost as modelled, in points."""

    name: str
    adaptive: bool
    phases: tuple[Allocation, ...]
    predicted: float = Field(allow_inf_nan=False)


class Planned(NamedTuple):
    """What the networks of a workload do in each phase: variants chosen for each, and the fixed choices that fit in all
    phases, the best first; by phase the costs of both solvers."""

    adaptive: Policy
    fixed: tuple[Policy, ...]
    optimum: tuple[float | None, ...]
    greedy: tuple[float | None, ...]


Ns = Annotated[int, Field(ge=0, le=2**53)]
Bytes = Annotated[int, Field(ge=0, le=2**53)]


class Exchange(Record):
    """A network exchanged at the begin of a phase: by loading another, or in place (`capacity`). `ns` until it could
    infer, None where the phase ended before; `bytes` read of its files, or of weights brought in or dropped."""

    phase: int
    network: int
    way: Literal["load", "capacity"]
    ns: Ns | None
    bytes: Bytes


class Served(Record):
    """A network in a phase. `granted` are the ns in which its process was not stopped, `cpu` the processor time that it
    took, `rss` its most resident memory in bytes; `own`, `later` and `none` are the ns of each request of the phase:
    answered by an inference of its own, together with a later one, or not at all (until the end)."""

    phase: int
    network: int
    granted: Ns
    cpu: Ns | None
    rss: Bytes
    inferences: int = Field(ge=0)
    own: tuple[Ns, ...] = ()
    later: tuple[Ns, ...] = ()
    none: tuple[Ns, ...] = ()

    @property
    def requests(self) -> tuple[int, ...]:
        return (*self.own, *self.later, *self.none)


class PhaseTaken(Record):
    """A phase as it was: its length in ns, the most memory of all networks together, and of the process that hands out
    the shares its memory in bytes and its processor time in ns."""

    ns: int = Field(ge=1, le=2**53)
    rss: Bytes
    own_rss: Bytes
    own_cpu: Ns | None


class Serving(Record):
    """What one launch reported."""

    phases: tuple[PhaseTaken, ...]
    served: tuple[Served, ...]
    exchanges: tuple[Exchange, ...] = ()


class Launch(Record):
    """One launch of a policy, as it is stored: a line of `schedules.jsonl` in the folder of the run whose figures the
    policies were chosen from. All launches of one command have the same `id`; those of one `round` ran one after the
    other, in the order of `order`. A failed one has no `serving`, but a `reason`."""

    schema_version: int = SCHEMA_VERSION
    id: str
    started: str
    bench_version: str
    device: str
    virtual: bool
    runtime: str
    threads: int
    round: int
    order: int
    workload: Workload
    capacities: tuple[Capacity, ...]
    policy: Policy
    optimum: tuple[float | None, ...] = ()
    """Of the adaptive policy by phase: the least cost there is, in points; None where it was not looked for."""
    greedy: tuple[float | None, ...] = ()
    """By phase: the cost of what handing out the processor step by step finds; None where it finds nothing."""
    status: Literal["ok", "tagged", "failed"] = "ok"
    reason: str = ""
    conditions: dict[str, Any] = Field(default_factory=dict)
    serving: Serving | None = None


@dataclass(frozen=True)
class NetworkPhase:
    """A network under a policy in a phase, over all launches: the medians of its latency's median and 95th percentile
    (ns), the part of requests later than L_max or never answered, its cost in points, the shares granted and asked for
    (parts of the processor), and its processor time over the time of the phase; None where that is unknown."""

    network: str
    variant: str
    phase: int
    asked: float
    granted: float
    cpu: float | None
    inferences: float
    median: float
    p95: float
    missed: float
    cost: float
    predicted: float
    expected: float | None
    """The latency alone over the share, in ns."""
    rss: float
    exchanged: float | None
    """Ns until it could infer, where it was exchanged at the begin of the phase."""
    way: str = ""
    bytes: int = 0


@dataclass(frozen=True)
class PolicyOutcome:
    """A policy as it was measured: its cost in each launch, with its round, in points; by phase the most `memory` that
    all networks had together, in bytes; why launches `failed`."""

    policy: Policy
    costs: tuple[tuple[int, float], ...]
    networks: tuple[NetworkPhase, ...]
    memory: tuple[float, ...]
    interval: tuple[float, float] | None = None
    """Of the mean cost."""
    failed: tuple[str, ...] = ()

    @property
    def mean(self) -> float:
        return sum(cost for _, cost in self.costs) / len(self.costs)


@dataclass(frozen=True)
class Against:
    """How much more a fixed policy cost than the adaptive one in the same rounds, in points, with the 95 % interval
    over rounds; None for fewer than five."""

    fixed: str
    difference: float
    interval: tuple[float, float] | None
    rounds: int

    @property
    def outcome(self) -> Literal["better", "worse", "cannot tell"]:
        """Of the adaptive policy."""
        if self.interval is None or self.interval[0] <= 0 <= self.interval[1]:
            return "cannot tell"
        return "better" if self.interval[0] > 0 else "worse"


@dataclass(frozen=True)
class ScheduleOutcome:
    """One command's launches, judged."""

    first: Launch
    policies: tuple[PolicyOutcome, ...]
    against: tuple[Against, ...]
    tags: tuple[str, ...] = ()
