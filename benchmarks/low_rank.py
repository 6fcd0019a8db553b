"""`python -m benchmarks.low_rank`: networks of low rank, resident and factored, beside the ordinary ones.

VGG-16 (whole, and its convolutions alone) and ResNet-18 on pictures of 224×224, each convolution and linear layer as
three: 1×1 down to a part of the channels, the small one, 1×1 up. The factors are seeded: what a network answers means
nothing, and every form must answer alike. Launches are fresh processes of the native runner, interleaved in random
order; medians over launches of the median inference (and of the fastest, since computers are busy) and of the peak RSS
of launches that infer once; ratios with their 95 % bootstrap interval over launches.
"""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.cache import file_of
from bench.export import low_rank, ncnn
from bench.export.cost import shapes
from bench.export.graph import Graph, Layer
from bench.networks import resolve
from bench.records import Tensor

Floats = NDArray[np.float32]
SIZE = 224
INPUTS = (Tensor(name="in0", shape=(3, SIZE, SIZE)),)
FORMS = ("ordinary", "factored", "resident", "auto")
HEADER = ("network", "threads", "form", "median inference", "factored ÷ it", "fastest", "factored ÷ it", "peak RSS",
          "factored ÷ it", "max|Δ| ÷ max")  # fmt: skip
Pair = tuple[Graph, tuple[Floats, ...]]


def ordinary(name: str) -> Pair:
    """ImageNet's form of the network, seeded."""
    network = resolve(name)
    sizes = {"vgg16": {"size": "imagenet"}, "resnet18": {"stem": "imagenet"}}[name]
    built = network.build(classes=1000, **sizes)
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

    flattened: dict[str, str] = {}
    for layer in parsed.layers:
        own = [next(left) for _ in layer.blobs()]
        p = dict(layer.parameters)
        source = layer.inputs[0] if layer.inputs else ""
        to = layer.outputs[0]
        after = {key: p[key] for key in ("9", "10", "-23310") if key in p}
        if layer.type == "Flatten":
            flattened[to] = source
        few = lambda channels: max(1, round(channels * part))  # noqa: E731
        if layer.type == "Convolution" and p["1"] != "1":
            outputs, inputs = int(p["0"]), sizes[source][0]
            kernel = (int(p.get("11", p["1"])), int(p["1"]))
            rank_in, rank_out = (few(inputs) if inputs > 3 else inputs), few(outputs)
            geometry = {key: p[key] for key in ("1", "11", "2", "12", "3", "13", "4", "14", "15", "16") if key in p}
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
    done = subprocess.run([runner, job], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{case.network} {case.form}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]
