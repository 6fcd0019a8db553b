"""`make bench-resident`: networks compressed by FR, run dense, factored, resident and by cost, beside the ordinary one.

A run of `bench` by the plan resident.toml (or another), on a phone and this computer, one thread and two, the same
binary, launches interleaved; what is added are the ratios to `fr-resident`, and how far this computer is from its own
limits. For another UNet, e.g. the FR authors': a plan with its package as `weights` and its pictures as `data`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from bench import plan, units
from bench.analyse.statistics import ratio
from bench.cache import Cache
from bench.campaign import asked, changes, phones, session
from bench.cli import terminal
from bench.devices.adb import AdbServer
from bench.devices.host import DESKTOP
from bench.export import cost, graph
from bench.findings import Findings, Statistics
from bench.records import Artifact, RunRecord, Subject

BESIDE = "fr-resident"
SCORES = ("top1", "dice")
HEADER = (
    "where", "threads", "variant", "latency (launches)", f"÷ {BESIDE}", "peak RSS (launches)", f"÷ {BESIDE}", "score",
    "max|Δ| ÷ max|output|",
)  # fmt: skip


def rows(found: Findings, model: str) -> Iterator[tuple[str, ...]]:
    """A line for each variant of a network, wherever it ran."""
    for subject in found.subjects:
        if subject.model != model:
            continue
        latency = found.summary(subject, "latency")
        virtual = " (virtual)" if latency and latency.virtual else ""
        place = (f"{subject.device}{virtual}", str(subject.threads), subject.variant)
        figures = (*_beside(found, subject, "latency"), *_beside(found, subject, "vm_hwm"))
        yield (*place, *figures, _score(found, subject), _distance(found, subject))


def _statistics(found: Findings, subject: Subject, metric: str) -> Statistics | None:
    summary = found.summary(subject, metric)
    return summary.statistics if summary and summary.metric == metric else None


def _beside(found: Findings, subject: Subject, metric: str) -> tuple[str, str]:
    """The median with the smallest and largest launch, and as a multiple of the resident form's."""
    ours = _statistics(found, subject, metric)
    theirs = _statistics(found, subject.model_copy(update={"variant": BESIDE}), metric)
    if ours is None:
        return "failed", ""
    unit = "ns" if metric == "latency" else "B"
    medians = {launch.launch: launch.median for launch in ours.launches}
    least, most = (units.quantity(value, unit) for value in (min(medians.values()), max(medians.values())))
    text = f"{units.quantity(ours.median, unit)} ({least}–{most})"
    if theirs is None or subject.variant == BESIDE:
        return text, ""
    times = ratio(medians, {launch.launch: launch.median for launch in theirs.launches})
    interval = f" [{times.interval.low:.3g}–{times.interval.high:.3g}]" if times.interval else ""
    return text, units.ratio(times.value) + interval


def _score(found: Findings, subject: Subject) -> str:
    known = (_statistics(found, subject, metric) for metric in SCORES)
    return next((units.percent(one.median) for one in known if one), "–")


def _distance(found: Findings, subject: Subject) -> str:
    delta, largest = (_statistics(found, subject, metric) for metric in ("max_abs_delta", "max_abs_reference"))
    return f"{delta.median / largest.median:.1e}" if delta and largest else "–"


def machine() -> tuple[float, float]:
    """Of one thread of this computer: multiply-adds a second in a large matrix product, and bytes a second that memcpy
    reads and writes."""
    torch.set_num_threads(1)
    matrix, blob = torch.rand(1024, 1024), np.zeros(16_000_000, np.float32)
    copy = np.empty_like(blob)
    macs = 1024**3 / best(lambda: matrix @ matrix)
    return macs, 2 * blob.nbytes / best(lambda: np.copyto(copy, blob))


def roofline(one: Artifact) -> tuple[float, str]:
    """What an inference would take, in ns, if all its multiply-adds ran at the speed of a large matrix product and
    every blob moved at that of memcpy, one after the other; and the words for it."""
    spent = sum(cost.costs(graph.parse(one.file("graph").path.read_text(encoding="ascii")), one.inputs), cost.Cost())
    macs, moved = machine()
    ns = 1e9 * (spent.macs / macs + spent.activations / moved)
    return ns, (
        f"{units.number(spent.macs)} multiply-adds at {macs / 1e9:.1f} G/s, {units.size(spent.activations)} of blobs "
        f"at {moved / 1e9:.1f} GB/s on one thread: {units.duration(ns)}"
    )


def best(work: Callable[[], object]) -> float:
    """Seconds of the fastest of ten calls."""
    found = []
    for _ in range(10):
        before = time.perf_counter()
        work()
        found.append(time.perf_counter() - before)
    return min(found)


def notes(found: Findings, run: RunRecord, model: str) -> Iterator[str]:
    yield "Median over launches (smallest–largest); ratios with their 95 % interval over launches."
    resident = next((a for a in run.artifacts if (a.model, a.variant, a.runtime) == (model, BESIDE, "ncnn")), None)
    here = Subject(model=model, variant=BESIDE, device=DESKTOP, runtime="ncnn")
    measured = _statistics(found, here, "latency")
    if resident and measured:
        ideal, words = roofline(resident)
        times = units.ratio(measured.median / ideal)
        yield f"Roofline of {BESIDE}: {words}; this computer takes {times} of that."


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.resident", description=__doc__)
    parser.add_argument("--plan", type=Path, default=Path(__file__).with_suffix(".toml"))
    parser.add_argument("--model", action="append", help="only this network of the plan")
    parser.add_argument("--launches", type=int)
    parser.add_argument("--device", action="append", help="serial of a phone")
    parser.add_argument("--adb-server", metavar="HOST:PORT")
    parser.add_argument("--results", type=Path, default=Path("results"))
    given = parser.parse_args(arguments)
    protocol = {} if given.launches is None else {"launches": given.launches}
    some = changes.Changes(models=given.model or (), protocol=protocol)
    wanted = asked.checked(changes.changed(plan.load(given.plan), some))
    with terminal.watcher(quiet=False) as watcher:
        chosen = phones.chosen(AdbServer.from_address(given.adb_server), given.device or (), watcher)
        folder, found = session.run(wanted, chosen, given.results, Cache(), watcher)
    run = folder.record()
    for case in wanted.plan.cases:
        shown = run.samples[case.label].source
        title = f"{wanted.networks[case.label].title}: {shown}"
        terminal.table(HEADER, rows(found, case.label), title=title, notes=list(notes(found, run, case.label)), words=3)
    terminal.say(f"Report: {folder.path / 'report.html'}")


if __name__ == "__main__":
    main()
