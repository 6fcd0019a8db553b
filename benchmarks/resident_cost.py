"""`python -m benchmarks.resident_cost`: what the layers of a network cost on this computer, for `bench/export/cost.py`.

Times chains of four equal layers in the native runner, one thread, and fits to them, by least squares of the relative
error, the constants with which `fr-auto` compares forms: multiply-adds by kind of layer, bytes, calls. Prints each
measured time beside the fitted one. All in multiply-adds of a large matrix product, which is measured first.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.optimize

from bench.cache import Cache
from bench.cli import terminal
from bench.data import packed
from bench.export import cost, graph
from bench.records import Tensor
from bench.runtimes.ncnn.build import build, host_abi
from benchmarks.resident import machine

CHAIN = 4


@dataclass(frozen=True)
class Case:
    """A chain of layers on an image of `channels` × `size` × `size`."""

    title: str
    channels: int
    size: int
    lines: tuple[str, ...]

    def text(self) -> str:
        # The answer is copied, so it is a small one.
        lines = ("Input in0 0 1 in0", *self.lines, "Pooling last 1 1 last out0 0=1 4=1")
        return "\n".join((graph.MAGIC, f"{len(lines)} {2 * len(lines)}", *lines, ""))


def convolutions() -> Iterator[Case]:
    sizes = (
        (4, 128), (8, 96), (16, 4), (16, 24), (16, 64), (32, 4), (32, 16), (32, 32), (32, 96), (64, 8), (64, 32),
        (128, 8), (128, 16), (256, 4), (256, 16), (512, 4),
    )  # fmt: skip
    for kernel in (1, 3, 5):
        for channels, size in sizes:
            own = f"0={channels} 1={kernel} 4={kernel // 2} 6={channels * channels * kernel * kernel} 9=1"
            lines = tuple(f"Convolution c{i} 1 1 {_blob(i)} {_blob(i + 1)} {own}" for i in range(CHAIN))
            yield Case(f"convolution {kernel}×{kernel}, {channels} channels, {size}²", channels, size, lines)


def channelwise() -> Iterator[Case]:
    for channels, size in ((16, 24), (16, 128), (64, 8), (64, 16), (64, 32), (64, 96), (256, 4), (256, 8), (256, 64)):
        own = f"0={channels} 1=1 5=1 6={channels} 7={channels} 9=1"
        lines = tuple(f"ConvolutionDepthWise c{i} 1 1 {_blob(i)} {_blob(i + 1)} {own}" for i in range(CHAIN))
        yield Case(f"a factor and a term, {channels} channels, {size}²", channels, size, lines)


def residents() -> Iterator[Case]:
    for rank in (4, 6, 8, 12, 16):
        for channels, size in ((8, 96), (16, 24), (16, 96), (64, 8), (64, 32), (64, 96), (256, 8), (256, 32), (512, 4)):
            if rank > channels:
                continue
            lines = [f"RankCore e 1 2 in0 z0 m0 0={rank} 1=1 6={rank * rank} 20=1"]
            for i in range(CHAIN):
                norm = f"RankPass p{i} 2 1 z{i} m{i} u{i} 0={channels} 1={rank} 2={rank} 5=1 7=1 20=1 21=1"
                core = f"RankCore c{i} 1 2 u{i} {_z(i + 1)} m{i + 1} 0={rank} 1=3 4=1 6={9 * rank * rank} 20=1"
                lines += [norm, core]
            yield Case(f"resident {rank}, {channels} channels, {size}²", rank, size, tuple(lines))


def low_ranks() -> Iterator[Case]:
    for channels, rank, size in (
        (64, 16, 112), (64, 16, 32), (64, 8, 56), (64, 4, 56), (128, 32, 56), (128, 32, 16), (130, 23, 28),
        (256, 64, 28), (256, 64, 8), (512, 128, 14), (512, 128, 7), (512, 32, 14),
    ):  # fmt: skip
        own = f"0={channels} 1={rank} 2={rank} 3=1"
        lines = tuple(f"LowRankPass p{i} 1 1 {_blob(i)} {_blob(i + 1)} {own}" for i in range(CHAIN))
        yield Case(f"low rank {rank}, {channels} channels, {size}²", rank, size, lines)


def _blob(number: int) -> str:
    return {0: "in0", CHAIN: "last"}.get(number, f"b{number}")


def _z(number: int) -> str:
    return "last" if number == CHAIN else f"z{number}"


KINDS = {"convolutions": convolutions, "channelwise": channelwise, "residents": residents, "low-ranks": low_ranks}


def nanoseconds(runner: Path, case: Case, folder: Path, launches: int) -> float:
    """Median over launches of the median over inferences."""
    parsed = graph.parse(case.text())
    random = np.random.default_rng(0)
    blobs = parsed.blobs()
    weights = [random.normal(size=blob.count).astype(np.float32) / blob.count**0.5 for blob in blobs]
    (folder / "graph").write_text(case.text())
    (folder / "weights").write_bytes(graph.joined(blobs, weights))
    packed.write(folder / "samples", [random.random((1, case.channels, case.size, case.size), np.float32)])
    words = {
        "contract": 3, "mode": "latency", "graph": folder / "graph", "weights": folder / "weights",
        "weights_format": "runtime", "execution": "stock", "inputs": "in0", "outputs": "out0",
        "samples": folder / "samples", "threads": 1, "affinity": 0, "precision": "fp32", "warmup_iterations": 3,
        "warmup_ms": 20, "min_iterations": 15, "min_ms": 60, "max_iterations": 2000, "beside": 0, "load": 0,
    }  # fmt: skip
    (folder / "job").write_text("".join(f"{key} = {value}\n" for key, value in words.items()))
    found: list[float] = []
    for _ in range(launches):
        done = subprocess.run([runner, folder / "job"], capture_output=True, text=True, check=True)
        events = [json.loads(line) for line in done.stdout.splitlines()]
        found.append(statistics.median(event["ns"] for event in events if event["event"] == "iteration"))
    return statistics.median(found)


def features(case: Case) -> dict[str, float]:
    """What the fitted constants are multiplied with."""
    inputs = (Tensor(name="in0", shape=(case.channels, case.size, case.size)),)
    return {**cost.terms(graph.parse(case.text()), inputs), "an inference": 1.0}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.resident_cost", description=__doc__)
    parser.add_argument("--launches", type=int, default=5)
    parser.add_argument("--runner", type=Path, help="another build of the runner, e.g. one for lesser CPUs")
    parser.add_argument("--only", action="append", choices=tuple(KINDS), help="some of the chains")
    given = parser.parse_args()
    runner = given.runner or build(host_abi(), Cache()).path
    rate, _ = machine()
    cases = [case for name in given.only or KINDS for case in KINDS[name]()]
    with tempfile.TemporaryDirectory() as folder:
        times = [nanoseconds(runner, case, Path(folder), given.launches) for case in cases]
    measured = np.array(times) * rate / 1e9
    rows = [features(case) for case in cases]
    names = sorted({name for row in rows for name in row})
    matrix = np.array([[row.get(name, 0.0) for name in names] for row in rows])
    fitted, _ = scipy.optimize.nnls(matrix / measured[:, None], np.ones(len(measured)))
    ratios = matrix @ fitted / measured
    table = [
        (case.title, f"{value / 1e6:.3f} M", f"{ratio:.2f}")
        for case, value, ratio in zip(cases, measured, ratios, strict=True)
    ]
    terminal.table(("chain", "multiply-adds' time", "fitted ÷ measured"), table, words=1)
    terminal.table(("constant", "fitted"), [(n, f"{v:,.3g}") for n, v in zip(names, fitted, strict=True)], words=1)


if __name__ == "__main__":
    main()
