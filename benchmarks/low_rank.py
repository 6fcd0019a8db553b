"""`python -m benchmarks.low_rank`: networks of low rank, resident and factored, beside the ordinary ones.

VGG-16 (whole, and its convolutions alone) and ResNet-18 on pictures of 224×224, each convolution and linear layer as
three: 1×1 down to a part of the channels, the small one, 1×1 up. The factors are seeded: what a network answers means
nothing, and every form must answer alike. Launches are fresh processes of the native runner, interleaved in random
order; medians over launches of the median inference (and of the fastest, since computers are busy) and of the peak RSS
of launches that infer once; ratios with their 95 % bootstrap interval over launches.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench import units
from bench.analyse.statistics import ratio
from bench.cache import Cache, file_of
from bench.cli import terminal
from bench.data import packed
from bench.export import graph as param
from bench.export import low_rank, ncnn
from bench.export.cost import Cost, costs, shapes
from bench.export.graph import Graph, Layer
from bench.networks.builtin import resnet18, vgg16
from bench.records import Tensor
from bench.runtimes.ncnn.build import build, host_abi
from benchmarks.resident import machine

Floats = NDArray[np.float32]
SIZE = 224
INPUTS = (Tensor(name="in0", shape=(3, SIZE, SIZE)),)
FORMS = ("ordinary", "factored", "resident", "auto")
HEADER = ("network", "threads", "form", "median inference", "factored ÷ it", "fastest", "factored ÷ it", "peak RSS",
          "factored ÷ it", "max|Δ| ÷ max")  # fmt: skip
PRIORITY = ("chrt", "-f", "10") if subprocess.run(["chrt", "-f", "10", "true"], check=False).returncode == 0 else ()
"""Before whatever else the computer does, where this user may."""
Pair = tuple[Graph, tuple[Floats, ...]]


def ordinary(name: str) -> Pair:
    """ImageNet's form of the network, seeded."""
    built = vgg16.build(1000, "imagenet") if name == "vgg16" else resnet18.build(1000, "imagenet")
    sample = np.random.default_rng(0).uniform(size=(1, *INPUTS[0].shape)).astype(np.float32)
    return ncnn.convert(built.eval(), INPUTS, [sample])


def convolutions(pair: Pair) -> Pair:
    """All up to the first Flatten or linear layer, then the mean of each channel."""
    parsed, values = pair
    left = iter(values)
    layers: list[Layer] = []
    kept: list[Floats] = []
    for layer in parsed.layers:
        if layer.type in ("Flatten", "InnerProduct"):
            break
        layers.append(layer)
        kept += [next(left) for _ in layer.blobs()]
    last = Layer("Pooling", "-", layers[-1].outputs, ("out0",), {"0": "1", "4": "1"})
    return Graph((*layers, last)), tuple(kept)


def factored(pair: Pair, part: float) -> Pair:
    """The same network with every convolution of 3×3 or more and every linear layer as two or three layers."""
    parsed, values = pair
    random_ = np.random.default_rng(7)
    sizes = shapes(parsed, INPUTS)
    left = iter(values)
    layers: list[Layer] = []
    blobs: list[Floats] = []

    def add(kind: str, source: str, to: str, weight: tuple[int, ...], own: dict[str, str], bias: Floats | None) -> str:
        fan = math.prod(weight[1:])
        made = (random_.normal(size=math.prod(weight)) * (1.4 / fan) ** 0.5).astype(np.float16).astype(np.float32)
        size = {"6" if kind == "Convolution" else "2": str(made.size)}
        flag = {"5" if kind == "Convolution" else "1": "1"} if bias is not None else {}
        layers.append(Layer(kind, "-", (source,), (to,), {"0": str(weight[0]), **own, **size, **flag}))
        blobs.extend([made] if bias is None else [made, bias])
        return to

    def few(channels: int) -> int:
        return max(1, round(channels * part))

    flattened: dict[str, str] = {}
    for layer in parsed.layers:
        own = [next(left) for _ in layer.blobs()]
        p: dict[str, str] = dict(layer.parameters)
        source = layer.inputs[0] if layer.inputs else ""
        to = layer.outputs[0]
        after: dict[str, str] = {key: p[key] for key in ("9", "10", "-23310") if key in p}
        if layer.type == "Flatten":
            flattened[to] = source
        if layer.type == "Convolution" and p["1"] != "1":
            outputs, inputs = int(p["0"]), sizes[source][0]
            kernel = (int(p.get("11", p["1"])), int(p["1"]))
            rank_in, rank_out = (few(inputs) if inputs > 3 else inputs), few(outputs)
            geometry: dict[str, str] = {
                key: p[key] for key in ("1", "11", "2", "12", "3", "13", "4", "14", "15", "16") if key in p
            }
            if inputs > 3:
                source = add("Convolution", source, f"{to}u", (rank_in, inputs, 1, 1), {"1": "1"}, None)
            source = add("Convolution", source, f"{to}z", (rank_out, rank_in, *kernel), geometry, None)
            bias = own[1] if len(own) > 1 else None
            add("Convolution", source, to, (outputs, rank_out, 1, 1), {"1": "1", **after}, bias)
        elif layer.type == "InnerProduct" and source in flattened:
            outputs, (inputs, height, width) = int(p["0"]), sizes[flattened[source]]
            image = flattened[source]
            layers = [one for one in layers if one.outputs != (source,)]
            rank_in, rank_out = few(inputs), few(outputs)
            u = add("Convolution", image, f"{to}u", (rank_in, inputs, 1, 1), {"1": "1"}, None)
            core = {"1": str(width), "11": str(height)}
            z = add("Convolution", u, f"{to}z", (rank_out, rank_in, height, width), core, None)
            y = add("Convolution", z, f"{to}y", (outputs, rank_out, 1, 1), {"1": "1", **after}, own[1])
            layers.append(Layer("Flatten", "-", (y,), (to,), {}))
        elif layer.type == "InnerProduct":
            outputs = int(p["0"])
            inputs = int(p["2"]) // outputs
            u = add("InnerProduct", source, f"{to}u", (few(min(inputs, outputs)), inputs), {}, None)
            add("InnerProduct", u, to, (outputs, few(min(inputs, outputs))), after, own[1])
        else:
            layers.append(layer)
            blobs.extend(own)
    return Graph(tuple(layers)), tuple(blobs)


@dataclass
class Case:
    """One form of one network as files."""

    network: str
    form: str
    folder: Path
    times: dict[int, dict[int, list[float]]] = field(default_factory=dict)
    """Inferences in ns, by threads and launch."""
    memory: dict[int, dict[int, float]] = field(default_factory=dict)
    """Peak RSS in bytes, by threads and launch."""
    answers: Floats | None = None


def cases(name: str, part: float, folder: Path, half: bool) -> Iterator[Case]:
    network, _, alone = name.partition("-")
    pair = ordinary(network)
    pair = convolutions(pair) if alone else pair
    small = factored(pair, part)
    for form in FORMS:
        own = folder / f"{name}-{form}"
        own.mkdir(parents=True)
        ncnn.write(*(pair if form == "ordinary" else small), own, half=half and form != "ordinary")
        if form in ("resident", "auto"):
            files = (file_of(own / "graph.param", "graph"), file_of(own / "weights.bin", "weights"))
            low_rank.rewrite(files, INPUTS, own, "all" if form == "resident" else "cheapest")
        yield Case(name, form, own)


def speed() -> tuple[float, float]:
    """`machine()`, before whatever else the computer does, as the runner is measured."""
    if PRIORITY:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    try:
        return machine()
    finally:
        if PRIORITY:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def spent(case: Case, macs: float, moved: float) -> str:
    """Multiply-adds and blobs of the graph, and how long they would take at the speed of this computer."""
    costs_ = costs(param.parse((case.folder / "graph.param").read_text(encoding="ascii")), INPUTS)
    whole = sum(costs_, Cost())
    ns = 1e9 * (whole.macs / macs + (whole.activations + whole.weights) / moved)
    return (
        f"{case.network} {case.form}: {units.number(whole.macs)} multiply-adds at {macs / 1e9:.1f} G/s, "
        f"{units.size(whole.activations)} of blobs and {units.size(whole.weights)} of weights "
        f"at {moved / 1e9:.1f} GB/s: {units.duration(ns)}"
    )


def run(runner: Path, case: Case, samples: Path, threads: int, mode: str, seconds: float) -> list[dict[str, object]]:
    words = {
        "contract": 3, "mode": mode, "graph": case.folder / "graph.param", "weights": case.folder / "weights.bin",
        "weights_format": "runtime", "execution": "stock", "inputs": "in0", "outputs": "out0", "samples": samples,
        "threads": threads, "affinity": 0, "precision": "fp32",
    }  # fmt: skip
    if mode == "latency":
        words |= {
            "warmup_iterations": 2, "warmup_ms": 50, "min_iterations": 5, "min_ms": round(1000 * seconds),
            "max_iterations": 2000, "beside": 0, "load": 0,
        }  # fmt: skip
    if mode == "accuracy":
        words["answers"] = case.folder / "answers"
    job = case.folder / "job"
    job.write_text("".join(f"{key} = {value}\n" for key, value in words.items()))
    done = subprocess.run([*PRIORITY, runner, job], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{case.network} {case.form}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def measured(runner: Path, some: Sequence[Case], samples: Path, threads: int, launches: int, seconds: float) -> None:
    dice = random.Random(0)
    for launch in range(launches):
        for case in dice.sample(some, len(some)):
            events = run(runner, case, samples, threads, "latency", seconds)
            times = [float(str(event["ns"])) for event in events if event["event"] == "iteration"]
            case.times.setdefault(threads, {})[launch] = times
            events = run(runner, case, samples, threads, "memory", seconds)
            peak = max(float(str(event["vm_hwm"])) for event in events if "vm_hwm" in event)
            case.memory.setdefault(threads, {})[launch] = peak


def rows(some: Sequence[Case], threads: int) -> Iterator[tuple[str, ...]]:
    beside = next(case for case in some if case.form == "factored")
    assert beside.answers is not None

    def against(case: Case, of: Callable[[Case], dict[int, float]], unit: str) -> tuple[str, str]:
        ours, theirs = of(case), of(beside)
        least, middle, most = min(ours.values()), statistics.median(ours.values()), max(ours.values())
        text = f"{units.quantity(middle, unit)} ({units.quantity(least, unit)}–{units.quantity(most, unit)})"
        if case is beside:
            return text, ""
        times = ratio(theirs, ours)
        interval = f" [{times.interval.low:.3g}–{times.interval.high:.3g}]" if times.interval else ""
        return text, units.ratio(times.value) + interval

    for case in some:
        each = case.times[threads]
        middle = against(case, lambda one: {n: statistics.median(t) for n, t in one.times[threads].items()}, "ns")
        fastest = against(case, lambda one: {n: min(t) for n, t in one.times[threads].items()}, "ns")
        memory = against(case, lambda one: one.memory[threads], "B")
        assert case.answers is not None
        distance = "–"
        if case.form != "ordinary":
            distance = f"{np.abs(case.answers - beside.answers).max() / np.abs(beside.answers).max():.0e}"
        yield case.network, str(threads), f"{case.form} (n = {len(each)})", *middle, *fastest, *memory, distance


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.low_rank", description=__doc__)
    parser.add_argument("--launches", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.5, help="of inferences in a launch, about")
    parser.add_argument("--part", type=float, default=0.25, help="ranks as a part of the channels")
    parser.add_argument("--threads", type=int, action="append")
    parser.add_argument("--network", action="append", help="instead of vgg16, vgg16-convolutions and resnet18")
    parser.add_argument("--runner", type=Path, help="another build of the runner, e.g. one for lesser CPUs")
    given = parser.parse_args()
    runner = given.runner or build(host_abi(), Cache()).path
    table: list[tuple[str, ...]] = []
    notes: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        samples = Path(folder, "samples")
        packed.write(samples, [np.random.default_rng(1).uniform(size=(1, *INPUTS[0].shape)).astype(np.float32)])
        for name in given.network or ("vgg16", "vgg16-convolutions", "resnet18"):
            some = list(cases(name, given.part, Path(folder), half=True))
            for case in some:
                run(runner, case, samples, 1, "accuracy", 0)
                case.answers = np.fromfile(case.folder / "answers", "<f4")
            for threads in given.threads or (1, 2):
                measured(runner, some, samples, threads, given.launches, given.seconds)
                table += rows(some, threads)
            notes += [spent(case, *speed()) for case in some]
    terminal.table(HEADER, table, title=f"ranks of {given.part:g} of the channels, {SIZE}×{SIZE}", notes=notes, words=3)


if __name__ == "__main__":
    main()
