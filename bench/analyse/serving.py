"""What each network of a run can be had for on a phone, and what launches that served several at once came to."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean, median

from bench.analyse.schedule import joined
from bench.contest import MAIN_SCORES
from bench.errors import UsageError
from bench.findings import Findings
from bench.plan import Protocol, label_typed
from bench.records import METRICS, RunRecord, Subject
from bench.scheduled import (
    WHOLE,
    Against,
    Capacity,
    Launch,
    NetworkPhase,
    PolicyOutcome,
    ScheduleOutcome,
    Served,
    Serving,
    Wish,
    Workload,
    cost,
)

LEAST_ROUNDS = 5
"""Fewer rounds have no interval."""
LEVEL = 0.95
OFF, OFF_WHOLE = 0.1, 0.01
"""By which part of what was asked, or of the whole processor, a share that was granted may be off before a launch is
tagged."""


def capacities(
    findings: Findings, run: RunRecord, workload: Workload, setting: Subject
) -> dict[str, tuple[Capacity, ...]]:
    """What each network of the workload can be had for in the setting of a subject, by figures that may be used.

    Raises UsageError for a network or a variant that the run does not have, or that lacks a figure.
    """
    known = list(dict.fromkeys(artifact.model for artifact in run.artifacts))
    found: dict[str, tuple[Capacity, ...]] = {}
    for wish in workload.networks:
        if wish.network not in known:
            raise UsageError(f"this run has no network {wish.network}", f"It has {', '.join(known)}.")
        found[wish.network] = tuple(_of(wish, findings, run, setting))
    return found


def _of(wish: Wish, findings: Findings, run: RunRecord, setting: Subject) -> Iterator[Capacity]:
    """Raises UsageError where there is none, or one that was asked for lacks a figure."""
    score = MAIN_SCORES.get(next(a.task for a in run.artifacts if a.model == wish.network))
    if score is None or METRICS[score].unit != "fraction":
        unit = f"is in {METRICS[score].unit}" if score else "does not exist"
        raise UsageError(
            f"the score of {wish.network} {unit}, and costs are in points of a score between 0 and 100 %",
            "Schedule networks that classify or segment.",
        )
    where = f"on {setting.device} by {setting.runtime} with {setting.threads} threads in {setting.precision}"
    subjects = [
        s for s in findings.subjects if s == setting.model_copy(update={"model": wish.network, "variant": s.variant})
    ]
    variants = [s.variant for s in subjects]
    wanted = [name if name in variants else label_typed(name) for name in wish.variants]
    if absent := [name for name in wanted if name not in variants]:
        raise UsageError(
            f"this run has no variant {absent[0]} of {wish.network} {where}",
            f"It has {', '.join(dict.fromkeys(variants)) or 'none there'}.",
        )
    lacking: dict[str, list[str]] = {}
    usable = 0
    for subject in subjects:
        if wanted and subject.variant not in wanted:
            continue
        figures, why = _figures(findings, subject, (score, "latency", "vm_hwm", "load"))
        if why:
            lacking.setdefault(why, []).append(subject.variant)
            continue
        usable += 1
        yield Capacity(
            network=wish.network, variant=subject.variant, score=figures[0], latency=figures[1], memory=figures[2],
            load=figures[3], files=_files(run, subject), switch=_switch(findings, subject),
        )  # fmt: skip
    if lacking and (wanted or not usable):
        told = "; ".join(f"of {', '.join(names)} {why}" for why, names in lacking.items())
        raise UsageError(
            f"{wish.network} cannot be scheduled by the figures of this run: {told}",
            f"Measure it again (bench run --launches {Protocol().launches}), or name other `variants` in the plan.",
        )
    if not usable:
        raise UsageError(
            f"this run did not measure {wish.network} {where}",
            "Name another --device, --runtime or --threads.",
        )


def _files(run: RunRecord, subject: Subject) -> str:
    """A hash of the files of its package in several capacities and of their form; empty where it is none."""
    of = (subject.model, subject.variant, subject.runtime)
    found = next(one for one in run.artifacts if (one.model, one.variant, one.runtime) == of)
    if "capacity" not in found.options:
        return ""
    same = (found.weights_format, found.execution, *sorted(file.sha256 for file in found.needed))
    return hashlib.sha256(" ".join(same).encode()).hexdigest()[:16]


def _switch(findings: Findings, subject: Subject) -> float | None:
    """The median of a change to it in place, where the run measured that and it may be used."""
    figures, why = _figures(findings, subject, ("switch",))
    return None if why else figures[0]


def _figures(findings: Findings, subject: Subject, metrics: Sequence[str]) -> tuple[list[float], str]:
    """The medians, or why there are none that may be used."""
    values = []
    for metric in metrics:
        found = findings.summary(subject, metric)
        if found is None:
            return [], f"{metric} was not measured"
        if found.statistics is None or not found.usable:
            return [], f"the figure of {metric} is not usable: {found.doubts}"
        values.append(found.statistics.median)
    return values, ""


def measured_cost(served: Served, wish: Wish, score: float) -> float:
    """The cost of what was served in a phase, in points: that of the model, with the mean over requests of what each
    came too late. One that was never answered counts with the time until the end, which is the least that it took."""
    late = [max(0.0, ns / 1e6 - wish.latency_ms) for ns in served.requests]
    return 100 * (wish.accuracy - score) + wish.alpha * (fmean(late) if late else 0.0)


def launch_cost(launch: Launch) -> float:
    """The cost of a launch: of all networks in each phase, phases weighted by their time as planned."""
    if launch.serving is None:
        raise ValueError("a launch that failed has no cost")
    scores = {(c.network, c.variant): c.score for c in launch.capacities}
    return math.fsum(
        launch.workload.weight(phase) * joined(costs, launch.workload.objective)
        for phase, costs in enumerate(_phase_costs(launch, launch.serving, scores))
    )


def _phase_costs(launch: Launch, serving: Serving, scores: Mapping[tuple[str, str], float]) -> Iterator[list[float]]:
    by_place = {(one.phase, one.network): one for one in serving.served}
    for phase, allocation in enumerate(launch.policy.phases):
        yield [
            measured_cost(by_place[phase, n], wish, scores[wish.network, given.variant])
            for n, (wish, given) in enumerate(zip(launch.workload.networks, allocation, strict=True))
        ]


def fits(launch: Launch) -> str:
    """What is wrong with a launch whose reports are not of its policy; empty where nothing is."""
    if launch.serving is None:
        return "" if launch.status == "failed" else "it reported nothing"
    phases, networks = len(launch.workload.phases), len(launch.workload.networks)
    due = {(phase, network) for phase in range(phases) for network in range(networks)}
    names = tuple(wish.network for wish in launch.workload.networks)
    known = {(c.network, c.variant) for c in launch.capacities}
    given = [tuple(one.network for one in allocation) == names for allocation in launch.policy.phases]
    if len(launch.policy.phases) != phases or not all(given):
        return "its policy is of other networks or phases than its workload"
    if not all((one.network, one.variant) in known for allocation in launch.policy.phases for one in allocation):
        return "its policy has variants without figures"
    if len(launch.serving.phases) != phases or {(one.phase, one.network) for one in launch.serving.served} != due:
        return "it reported other phases or networks than its workload has"
    return ""


def doubts(launch: Launch) -> tuple[str, ...]:
    """Why a launch was not what it should have been: shares that were not those asked for, memory beyond the budget."""
    if launch.serving is None:
        return ()
    found = []
    for one in launch.serving.served:
        given = launch.policy.phases[one.phase][one.network]
        got = WHOLE * one.granted / launch.serving.phases[one.phase].ns
        if abs(got - given.share) > max(OFF * given.share, OFF_WHOLE * WHOLE):
            found.append(
                f"{given.network} was granted {got / 10:.1f} % of the processor in phase {one.phase + 1}, "
                f"and {given.share / 10:g} % were asked for"
            )
    for number, (phase, asked) in enumerate(zip(launch.serving.phases, launch.workload.phases, strict=True), 1):
        if phase.rss > 1e6 * asked.memory_mb:
            found.append(
                f"the networks had {phase.rss / 1e6:.1f} MB together in phase {number}, and {asked.memory_mb:g} MB are "
                "allowed"
            )
    return tuple(found)


def outcomes(launches: Sequence[Launch]) -> tuple[ScheduleOutcome, ...]:
    """One for each command, in the order in which they were stored. Launches that do not fit together are left out."""
    sound = [launch for launch in launches if not fits(launch)]
    return tuple(_outcome([one for one in sound if one.id == name]) for name in dict.fromkeys(one.id for one in sound))


def _outcome(launches: Sequence[Launch]) -> ScheduleOutcome:
    names = list(dict.fromkeys(one.policy.name for one in sorted(launches, key=lambda one: one.policy.name)))
    policies = tuple(_policy([one for one in launches if one.policy.name == name]) for name in names)
    adaptive = next((one for one in policies if one.policy.adaptive and one.costs), None)
    against = [_against(adaptive, one) for one in policies if adaptive and not one.policy.adaptive and one.costs]
    tags = (f"{one.policy.name}, round {one.round + 1}: {one.reason}" for one in launches if one.status != "ok")
    return ScheduleOutcome(launches[0], policies, tuple(one for one in against if one), tuple(dict.fromkeys(tags)))


def _policy(launches: Sequence[Launch]) -> PolicyOutcome:
    good = [one for one in launches if one.serving is not None]
    failed = tuple(one.reason for one in launches if one.serving is None)
    costs = tuple((one.round, launch_cost(one)) for one in good)
    if not good:
        return PolicyOutcome(launches[0].policy, (), (), (), failed=failed)
    first = good[0]
    servings = [one.serving for one in good if one.serving is not None]
    networks = tuple(
        _network(first, servings, phase, n)
        for phase in range(len(first.workload.phases))
        for n in range(len(first.workload.networks))
    )
    memory = tuple(float(max(one.phases[n].rss for one in servings)) for n in range(len(first.workload.phases)))
    within = interval_of_mean([value for _, value in costs])
    return PolicyOutcome(first.policy, costs, networks, memory, within, failed)


def _network(launch: Launch, servings: Sequence[Serving], phase: int, network: int) -> NetworkPhase:
    wish, given = launch.workload.networks[network], launch.policy.phases[phase][network]
    capacity = next(c for c in launch.capacities if (c.network, c.variant) == (given.network, given.variant))
    mine = [next(one for one in s.served if (one.phase, one.network) == (phase, network)) for s in servings]
    lengths = [s.phases[phase].ns for s in servings]
    requests = [one.requests for one in mine if one.requests]
    cpus = [one.cpu / ns for one, ns in zip(mine, lengths, strict=True) if one.cpu is not None]
    late = sum(ns > 1e6 * wish.latency_ms for one in mine for ns in one.requests)
    exchanges = [e for s in servings for e in s.exchanges if (e.phase, e.network) == (phase, network)]
    ready = [float(e.ns) for e in exchanges if e.ns is not None]
    return NetworkPhase(
        network=given.network, variant=given.variant, phase=phase, asked=given.share / WHOLE,
        granted=median(one.granted / ns for one, ns in zip(mine, lengths, strict=True)),
        cpu=median(cpus) if cpus else None,
        inferences=median(one.inferences for one in mine),
        median=median(median(one) for one in requests) if requests else math.nan,
        p95=median(_quantile(one, 0.95) for one in requests) if requests else math.nan,
        missed=late / max(1, sum(map(len, requests))),
        cost=fmean(measured_cost(one, wish, capacity.score) for one in mine),
        predicted=cost(capacity, wish, given.share), expected=capacity.latency * WHOLE / given.share,
        rss=float(max(one.rss for one in mine)),
        exchanged=median(ready) if ready else None,
        way=exchanges[0].way if exchanges else "", bytes=exchanges[0].bytes if exchanges else 0,
    )  # fmt: skip


def _quantile(values: Sequence[int], part: float) -> float:
    ordered = sorted(values)
    return float(ordered[min(len(ordered) - 1, math.ceil(part * len(ordered)) - 1)])


def _against(adaptive: PolicyOutcome, fixed: PolicyOutcome) -> Against | None:
    """Paired by round; Student's interval of the mean difference."""
    mine = dict(adaptive.costs)
    differences = [cost_ - mine[number] for number, cost_ in fixed.costs if number in mine]
    if not differences:
        return None
    return Against(fixed.policy.name, fmean(differences), interval_of_mean(differences), len(differences))


def interval_of_mean(values: Sequence[float]) -> tuple[float, float] | None:
    """Student's 95 % interval; None for fewer than five values."""
    if len(values) < LEAST_ROUNDS:
        return None
    from scipy import stats

    n, mean = len(values), fmean(values)
    spread = math.sqrt(math.fsum((one - mean) ** 2 for one in values) / (n - 1) / n)
    half = float(stats.t.ppf(0.5 + LEVEL / 2, n - 1)) * spread
    return mean - half, mean + half
