"""One `Summary` per subject and metric, with a verdict on whether the figure can be used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.analyse.statistics import MIN_LAUNCHES, statistics
from bench.caveats import Caveat, CaveatKind
from bench.errors import CorruptData
from bench.findings import Statistics, Summary
from bench.plan import Protocol, of_run
from bench.records import METRICS, ONE_LAUNCH, RunRecord, Subject
from bench.units import duration, percent, quantity

EXACT = frozenset(metric for metric, kind in METRICS.items() if kind.pass_ in ("size", "accuracy"))
"""Metrics that are the same in every launch of a deterministic network, so that an interval has no meaning."""
NOISY_CV = 0.05
CLOCK_DIFFERS = 0.05
"""The part by which a launch's clock may differ from that of its subject's median launch."""
ASKED = Protocol(
    launches=5,
    memory_launches=MIN_LAUNCHES,
    warmup_iterations=10,
    warmup_seconds=0.5,
    min_iterations=50,
    min_seconds=1.0,
    max_iterations=10_000,
)
"""What docs/measurement.md asks for. `max_iterations` are enough even if they take under a second."""


def summarise(frame: pd.DataFrame, run: RunRecord) -> tuple[Summary, ...]:
    """The summaries of all subjects and metrics that have samples.

    `frame` has one row per sample, with the columns of `results/README.md`; a failed trial has one row with an
    empty metric. Raises CorruptData for an unknown metric or a plan that is not understood.
    """
    frame = _scores_named(frame, run)
    unknown = sorted(set(frame["metric"]) - {"", *METRICS})
    if unknown:
        raise CorruptData(
            f"run {run.id} has metrics that this version does not know: {', '.join(unknown)}",
            f"Read it with the bench that wrote it, {run.bench_version}.",
        )
    plan = of_run(run)
    own_memory = {device.serial for device in run.devices if device.memory_counts}
    found: list[Summary] = []
    for key, group in frame.groupby([*Subject.model_fields, "pass"], sort=False, observed=True):
        *names, kind = cast(tuple[Any, ...], key)
        subject = Subject(**dict(zip(Subject.model_fields, names, strict=True)))
        senseless = bool(group["translated"].any()) and not (kind in _OF_MEMORY and subject.device in own_memory)
        found.extend(_of_pass(subject, kind, group, plan.protocol_for(subject.model), senseless))
    return tuple(found)


def _scores_named(frame: pd.DataFrame, run: RunRecord) -> pd.DataFrame:
    """Schema 1 called the score of every task accuracy."""
    if not (frame["metric"] == "accuracy").any():
        return frame
    masks = {a.model for a in run.artifacts if a.task == "segmentation"}
    names = frame["model"].map(lambda model: "dice" if model in masks else "top1")
    return frame.assign(metric=frame["metric"].where(frame["metric"] != "accuracy", names))


def in_order(summaries: Sequence[Summary], run: RunRecord) -> tuple[Summary, ...]:
    """The summaries in the order of the run's plan: desktop before phones, the reference runtime first, then those that
    the plan names."""
    plan = of_run(run)
    models = [case.label for case in plan.cases]
    variants = {case.label: [variant.label for variant in case.variants or ()] for case in plan.cases}
    devices = [d.serial for d in sorted(run.devices, key=lambda d: d.kind != "desktop")]
    metrics, runtimes = list(METRICS), list(plan.runtimes)

    def place(summary: Summary) -> tuple[object, ...]:
        s = summary.subject
        return (
            _position(models, s.model), _position(variants.get(s.model, []), s.variant), _position(devices, s.device),
            s.runtime != run.reference, _position(runtimes, s.runtime), s.threads, s.precision,
            metrics.index(summary.metric),
        )  # fmt: skip

    return tuple(sorted(summaries, key=place))


def _position(known: list[str], name: str) -> tuple[int, str]:
    return (known.index(name) if name in known else len(known), name)


_OF_MEMORY = ("memory", "largest")


def _of_pass(
    subject: Subject, kind: str, group: pd.DataFrame, protocol: Protocol, translated: bool
) -> Iterator[Summary]:
    """The summaries of one subject in one pass: one per metric, or a failure when no launch succeeded. `translated`:
    that of machine code makes times and memory meaningless."""
    virtual = bool(group["virtual"].any())
    failed = group[group["status"] == "failed"].drop_duplicates("trial")
    launches = group["trial"].nunique()
    samples = group[
        (group["status"] != "failed") & group["metric"].isin([m for m in METRICS if METRICS[m].pass_ == kind])
    ]
    if samples.empty:
        if failed.empty:
            return
        first = next(m for m in METRICS if METRICS[m].pass_ == kind)
        caveat = Caveat("failed", f"failed: {_reasons(failed)}")
        yield Summary(subject, first, METRICS[first].unit, None, virtual, translated, (caveat,))
        return
    shared = []
    if virtual:
        shared.append(Caveat("virtual", "virtual"))
    if len(failed):
        text = f"{len(failed)} of {launches} launches failed: {_reasons(failed)}"
        shared.append(Caveat("launches-failed", text))
    clocks = samples[samples["metric"] == "clock"].groupby("launch")["value"].median()
    tagged = samples[samples["status"] == "tagged"].drop_duplicates("trial")
    for metric in dict.fromkeys(samples["metric"]):
        if metric == _ROUTE:
            continue
        rows = samples[samples["metric"] == metric]
        figures = statistics(
            rows["value"].to_numpy(), rows["launch"].to_numpy(), tagged=set(tagged["launch"]),
            exact=metric in EXACT | ONE_LAUNCH, means=METRICS[metric].pass_ == "contended",
            asked=_routes(rows, samples) if metric == "latency" else None,
        )  # fmt: skip
        own = [*shared, *_conditions(figures, tagged, launches), *_caveats(metric, figures, translated, protocol)]
        if metric == "latency":
            own += _clocks(figures, clocks)
        own += _remarks(kind, rows)
        yield Summary(subject, metric, METRICS[metric].unit, figures, virtual, translated, tuple(own))


_ROUTE = "asked_inference"
"""No figure of its own: it says of a cascade which way each inference went."""


def _routes(rows: pd.DataFrame, samples: pd.DataFrame) -> NDArray[np.float64] | None:
    """Which way each of the `rows` went, where that was stored of all of them."""
    stored = samples[samples["metric"] == _ROUTE]
    if stored.empty:
        return None
    known = stored.set_index(["launch", "index"])["value"]
    found = known.reindex(pd.MultiIndex.from_frame(rows[["launch", "index"]])).to_numpy(np.float64)
    return None if np.isnan(found).any() else found


def _conditions(figures: Statistics, tagged: pd.DataFrame, launches: int) -> Iterator[Caveat]:
    """What became of the launches whose conditions were not met."""
    if figures.left_out:
        text = f"{len(figures.left_out)} of {launches} launches left out: {_reasons(tagged)}"
        yield Caveat("launches-left-out", text)
    elif len(tagged):
        yield Caveat("tagged", f"{len(tagged)} of {launches} launches tagged: {_reasons(tagged)}")


def _clocks(figures: Statistics, clocks: pd.Series) -> Iterator[Caveat]:
    """Whether the launches that the figures are of ran at one clock; `clocks` are in Hz, by launch."""
    known = clocks[clocks.index.isin([launch.launch for launch in figures.launches])]
    usual = float(known.median()) if len(known) else 0.0
    odd = known[(known - usual).abs() > CLOCK_DIFFERS * usual]
    if len(odd):
        those = ", ".join(quantity(value, "Hz") for value in sorted(odd)[:4]) + (" …" if len(odd) > 4 else "")
        text = f"{len(odd)} of {len(known)} launches ran at {those} where the median is {quantity(usual, 'Hz')}"
        yield Caveat("clock-differs", text)


_REMARKS: dict[str, CaveatKind] = {"largest": "at-least", "energy": "unit-by-size"}
"""What the reason of a good launch says of its figure, by pass: that it is no more than a lower bound, or how a unit
was told."""


def _remarks(kind: str, rows: pd.DataFrame) -> Iterator[Caveat]:
    said = rows[rows["status"].eq("ok") & rows["reason"].ne("")]
    if kind in _REMARKS and len(said):
        yield Caveat(_REMARKS[kind], _reasons(said))


def _reasons(trials: pd.DataFrame) -> str:
    return "; ".join(dict.fromkeys(str(r) for r in trials["reason"])) or "no reason given"


def _caveats(metric: str, figures: Statistics, translated: bool, protocol: Protocol) -> Iterator[Caveat]:
    unit, n = METRICS[metric].unit, len(figures.launches)
    if metric in EXACT:
        medians = [launch.median for launch in figures.launches]
        if min(medians) != max(medians):
            text = f"launches gave from {quantity(min(medians), unit)} to {quantity(max(medians), unit)}"
            yield Caveat("answers-vary", text)
        return
    if translated:
        text = "memory includes the translator" if unit == "B" else "timings meaningless (translated)"
        yield Caveat("translated", text)
    if metric in ONE_LAUNCH or METRICS[metric].pass_ == "largest":  # a search by a dozen launches, once
        return
    asked = ASKED.memory_launches if unit == "B" else ASKED.launches
    launches = f"{n} launch{'es' * (n > 1)} of the {asked} asked for"
    if n < MIN_LAUNCHES and unit != "B":
        yield Caveat("no-interval", f"{launches}, so no interval")
    elif n < asked:
        yield Caveat("few-launches", launches)
    if metric in ("latency", "contended"):
        yield from _short(figures, protocol)
    if figures.launch_cv is not None and figures.launch_cv > NOISY_CV:
        yield Caveat("noisy", f"launches differ: CV {percent(figures.launch_cv)}")


def _short(figures: Statistics, protocol: Protocol) -> Iterator[Caveat]:
    """Whether the shortest launch and the warm-up were as long as the protocol asks."""
    count = min(launch.samples for launch in figures.launches)
    ns = min(launch.total for launch in figures.launches)
    if count < ASKED.min_iterations or (ns < 1e9 * ASKED.min_seconds and count < ASKED.max_iterations):
        asked = f"{ASKED.min_iterations} and {duration(1e9 * ASKED.min_seconds)}"
        yield Caveat("few-iterations", f"a launch of {count:,} iterations in {duration(ns)}, asked for {asked}")
    if protocol.warmup_iterations < ASKED.warmup_iterations or protocol.warmup_seconds < ASKED.warmup_seconds:
        had = f"{protocol.warmup_iterations} iterations and {duration(1e9 * protocol.warmup_seconds)}"
        asked = f"{ASKED.warmup_iterations} and {duration(1e9 * ASKED.warmup_seconds)}"
        yield Caveat("short-warm-up", f"warm-up of {had}, asked for {asked}")
