"""`make bench-resident`: networks compressed by FR, run dense, factored, resident and by cost, beside the ordinary one.

On a virtual phone and this computer, one thread and two, the same binary, launches interleaved. Writes table.md and
launches.csv into results/resident/<date>/. The UNet is the FR authors' with their four images of 640×959 where these
lie beside the project, else the one that comes with bench on as many drawn vehicles of that size.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from bench.phones import chosen
from bench.station import Station, bring, desktop_station, leave, measure, phone_station
from numpy.typing import NDArray
from torch import nn

from bench import data, exporting, terminal, units
from bench.analyse.statistics import ratio
from bench.cache import Cache, sha256_file
from bench.compress.frequency import factor, frereg, layers, package, restore, train
from bench.data import packed
from bench.devices.adb import AdbServer
from bench.export import artifact, cost, graph
from bench.measure import order
from bench.networks import Network, resolve
from bench.networks.settle import settle
from bench.plan import Case, Plan, Protocol
from bench.prepare import VARIANTS, Prepared
from bench.records import Artifact, ArtifactFile, Measurement

ROOT = Path(__file__).parents[1]
AUTHORS = ROOT.parent / "shared" / "frereg"
UNET_SIZE = (640, 959)
GRAPH_SIZE = (32, 47)
"""A UNet's graph says nothing of the size but which row or column is missing, in which 47 and 959 are alike; the
converter runs the network once, which at 640×959 takes minutes."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A network compressed by FR, images (N, C, H, W) for it, and their labels where they mean something."""

    spec: Network
    network: nn.Module
    ordinary: nn.Module
    inputs: NDArray[np.float32]
    labels: NDArray[np.int64] | None
    words: str
    graph_size: tuple[int, int] | None = None


def _learner(spec: Network) -> nn.Module:
    return (spec.learner or spec.build)()


def unet() -> Subject:
    spec = resolve("unet")
    network, ordinary = _learner(spec), spec.build()
    if AUTHORS.is_dir():
        from PIL import Image

        shipped = frereg.imported(AUTHORS / "unet_fr.pt", network, spec.name)
        pictures = [np.asarray(Image.open(p).convert("RGB")) for p in sorted((AUTHORS / "images").iterdir())]
        masks = np.stack([np.asarray(Image.open(p)) > 127 for p in sorted((AUTHORS / "masks").iterdir())])
        inputs, labels = np.stack(pictures).transpose(0, 3, 1, 2).astype(np.float32) / 255, masks.astype(np.int64)
        words = "the FR authors' UNet, 759 coefficients, their four images"
    else:
        shipped = package.read((ROOT / "bench/pretrained/unet.frq").read_bytes())
        found = data.samples(spec.data, (3, *UNET_SIZE))
        inputs, labels = found.inputs[:4], None if found.labels is None else found.labels[:4]
        words = "bench's own UNet, 759 coefficients, four drawn vehicles (it was trained at a smaller size)"
    settle(ordinary, torch.from_numpy(inputs[:1, :, :160, :240].copy()))
    return Subject(spec, restore.restored(network, shipped).eval(), ordinary.eval(), inputs, labels, words, GRAPH_SIZE)


def lenet() -> Subject:
    spec = resolve("lenet5")
    found = data.samples(spec.data, spec.shape)
    shipped = package.read((ROOT / "bench/pretrained/lenet5.frq").read_bytes())
    network = restore.restored(_learner(spec), shipped).eval()
    return Subject(spec, network, spec.build(), found.inputs, found.labels, "776 coefficients")


def untrained(name: str) -> Subject:
    spec = resolve(name)
    network, ordinary = _learner(spec), spec.build()
    inputs = data.samples(spec.data, spec.shape).inputs
    layers.compress(network, train.targets(network, spec.coefficients))
    train.seed_coefficients(network, 1, train.ENERGY)
    layers.round_to_half(network)
    for one in (network, ordinary):
        settle(one, torch.from_numpy(inputs[:1]))
    words = f"{spec.coefficients:,} coefficients, untrained: speed and fidelity only"
    return Subject(spec, network.eval(), ordinary.eval(), inputs, None, words)


def prepared(subject: Subject, folder: Path) -> Prepared:
    """Every variant's files. The reference of each is the FR network in torch, of the baseline the ordinary one."""
    shape = (subject.inputs.shape[1], *(subject.graph_size or subject.inputs.shape[2:]))
    full: cost.Shape = (subject.inputs.shape[1], subject.inputs.shape[2], subject.inputs.shape[3])
    packed.write(folder / "samples.bin", [subject.inputs])
    exporting.export_fr(subject.spec.name, subject.network, shape, folder)
    exported = exporting.read(folder)
    answers = torched(factor.factored(exporting.as_shipped(subject.network)), subject.inputs)
    own = {"baseline": torched(subject.ordinary, subject.inputs)}
    made = []
    for variant, execution in VARIANTS.items():
        place = folder / variant
        place.mkdir()
        if execution == "stock":
            artifact.export_ordinary(subject.ordinary, shape, place)
        elif execution == "resident":
            rewritten = exporting.rewrite(exported, full, "cheapest" if variant == "fr-auto" else "all")
            graph.write(rewritten.graph, place / "graph.param")
        else:
            graph.write(exported.graph, place / "graph.param")
        weights = place / "weights.bin" if execution == "stock" else folder / "weights.frq"
        files = (
            ArtifactFile(role=role, path=path, sha256=sha256_file(path), bytes=path.stat().st_size)
            for role, path in (("graph", place / "graph.param"), ("weights", weights))
        )
        made.append(
            Artifact(
                model=subject.spec.name,
                variant=variant,
                files=tuple(files),
                weights_format="runtime" if execution == "stock" else "frq",
                execution=execution,
                input_shape=full,
                output_shape=answers.shape[1:],
                task=subject.spec.task,
                parameters=sum(parameter.numel() for parameter in subject.ordinary.parameters()),
                verified_max_abs_delta=0,
                verified_max_abs_reference=1,
                tolerance=1,
            )
        )
    references = {variant: own.get(variant, answers) for variant in VARIANTS}
    return Prepared(tuple(made), folder / "samples.bin", subject.labels, references, subject.words)


@torch.no_grad()
def torched(network: nn.Module, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate([network(torch.from_numpy(one[None])).numpy() for one in inputs])


def measured(one: Prepared, plan: Plan, stations: Sequence[Station], title: str) -> Iterator[Measurement]:
    by_serial = {station.device.serial: station for station in stations}
    for station in stations:
        bring(station, [one])
    trials = order.trials(plan, [order.Place(serial, "native") for serial in by_serial])
    with terminal.watcher(quiet=False) as watcher:
        watcher.stage(title)
        for done, trial in enumerate(trials, 1):
            found = measure(trial, by_serial[trial.device], plan.cases[0], plan.protocol, one)
            watcher.trial(done, len(trials), found)
            if found.status == "failed":
                raise SystemExit(f"{trial.id}: {found.reason}")
            yield found


Launches = dict[int, float]


def medians(found: Sequence[Measurement], metric: str, variant: str, device: str, threads: int) -> Launches:
    """Per launch the median of a metric."""
    return {
        one.trial.launch: statistics.median(values)
        for one in found
        if (one.trial.variant, one.trial.device, one.trial.threads) == (variant, device, threads)
        and (values := [sample.value for sample in one.samples if sample.metric == metric])
    }


def rows(found: Sequence[Measurement], device: str, threads: int, virtual: bool) -> list[tuple[str, ...]]:
    def figure(metric: str, unit: str, variant: str) -> tuple[str, str]:
        values = medians(found, metric, variant, device, threads)
        against = ratio(values, medians(found, metric, "fr-resident", device, threads))
        spread = f" ({units.quantity(min(values.values()), unit)}–{units.quantity(max(values.values()), unit)})"
        interval = f" [{against.interval.low:.3g}–{against.interval.high:.3g}]" if against.interval else ""
        own = units.quantity(statistics.median(values.values()), unit) + spread
        return own, "" if variant == "fr-resident" else units.ratio(against.value) + interval

    made = []
    for variant in (variant for variant in VARIANTS if medians(found, "latency", variant, device, threads)):
        accuracy = medians(found, "accuracy", variant, device, threads)
        delta = medians(found, "max_abs_delta", variant, device, threads)
        largest = medians(found, "max_abs_reference", variant, device, threads)
        where = f"{device} (virtual)" if virtual else device
        right = f"{accuracy[0]:.4f}" if accuracy and variant != "baseline" else "–"
        differs = f"{delta[0] / largest[0]:.1e}" if delta else "–"
        latency, memory = figure("latency", "ns", variant), figure("vm_hwm", "B", variant)
        made.append((where, str(threads), variant, *latency, *memory, right, differs))
    return made


HEADER = (
    "where", "threads", "variant", "latency (launches)", "÷ resident", "peak RSS (launches)", "÷ resident", "accuracy",
    "max|Δ| ÷ max|logit|",
)  # fmt: skip


def roofline(one: Prepared, shape: cost.Shape) -> tuple[float, str]:
    """What a resident inference would take, in ns, if all its multiply-adds ran at the speed of a large matrix product
    and every blob moved at that of memcpy, one after the other; and the words for it."""
    resident = next(a for a in one.artifacts if a.variant == "fr-resident")
    spent = sum(cost.costs(graph.parse(resident.file("graph").path.read_text()), shape), cost.Cost())
    torch.set_num_threads(1)
    a, blob = torch.rand(1024, 1024), np.zeros(16_000_000, np.float32)
    copy = np.empty_like(blob)
    macs = 1024**3 / best(lambda: a @ a)
    moved = 2 * blob.nbytes / best(lambda: np.copyto(copy, blob))
    ns = 1e9 * (spent.macs / macs + spent.activations / moved)
    return ns, (
        f"{units.number(spent.macs)} multiply-adds at {macs / 1e9:.1f} G/s, {units.size(spent.activations)} of blobs "
        f"at {moved / 1e9:.1f} GB/s on one thread: {units.duration(ns)}"
    )


def best(work: object) -> float:
    assert callable(work)
    found = []
    for _ in range(10):
        before = time.perf_counter()
        work()
        found.append(time.perf_counter() - before)
    return min(found)


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--launches", type=int, default=5)
    words.add_argument("--networks", nargs="+", default=["unet", "lenet5", "resnet18"])
    words.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    words.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    asked = words.parse_args()
    variants = tuple(variant for variant in VARIANTS if variant in (*asked.variants, "fr-resident"))
    torch.set_num_threads(1)
    cache, watcher = Cache(), terminal.watcher(quiet=False)
    server = AdbServer.from_address(None)
    phone = phone_station(chosen(server, (), watcher)[0], cache, watcher.stage("build the native runner"))
    stations = (phone, desktop_station(cache, watcher.stage("build the native runner")))
    results = Path("results/resident") / datetime.datetime.now(tz=datetime.UTC).strftime("%Y-%m-%d-%H%M%S")
    results.mkdir(parents=True)
    report: list[str] = []
    for name in asked.networks:
        subject = unet() if name == "unet" else lenet() if name == "lenet5" else untrained(name)
        large = name == "unet"
        protocol = Protocol(
            launches=asked.launches, memory_launches=3, warmup_iterations=1 if large else 10, warmup_seconds=0.1,
            min_iterations=2 if large else 50, min_seconds=0.2, deadline_seconds=900,
        )  # fmt: skip
        case = Case(model=name, variants=variants, threads=tuple(asked.threads))
        plan = Plan(name=f"resident-{name}", cases=(case,), protocol=protocol, desktop=("native",))
        with tempfile.TemporaryDirectory() as folder:
            one = prepared(subject, Path(folder))
            title = f"{subject.spec.title}, {'×'.join(map(str, subject.inputs.shape[1:]))}: {subject.words}"
            found = list(measured(one, plan, stations, title))
            ideal, ideal_words = roofline(one, one.artifacts[0].input_shape)
        table = [
            row
            for station in stations
            for threads in case.threads
            for row in rows(found, station.device.serial, threads, station.is_phone and station.device.virtual)
        ]
        here = medians(found, "latency", "fr-resident", stations[1].device.serial, case.threads[0])
        now = statistics.median(here.values())
        notes = [
            f"Median of {asked.launches} launches (smallest–largest); ratios with their 95 % interval over launches.",
            f"Roofline of fr-resident: {ideal_words}; this computer takes {units.ratio(now / ideal)} of that.",
        ]
        terminal.table(HEADER, table, title=title, notes=notes, words=3)
        lines = [f"## {title}", "", f"| {' | '.join(HEADER)} |", "|---" * len(HEADER) + "|"]
        report += [*lines, *(f"| {' | '.join(row)} |" for row in table), "", *notes, ""]
        (results / "table.md").write_text("\n".join(report), encoding="utf-8")
        with (results / "launches.csv").open("a", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            for m in found:
                writer.writerows((m.trial.id, s.metric, s.iteration, s.value) for s in m.samples)
    for station in stations:
        leave(station)
    terminal.out.print(f"Written: {results / 'table.md'}")


if __name__ == "__main__":
    main()
