"""`python -m benchmarks.loop`: the runner's latency beside that of ncnn's own benchmark loop, and of the `ncnn` wheel.

The same graph and weights, one thread, float32, on this computer, for pictures small enough that other processes seldom
come between and what a loop adds would show: in the runner (latency mode), in the loop of benchncnn built from the same
library with the same options (`bench-loop`), and in Python by the wheel from PyPI, which is built by others with their
compiler and options, where it can be imported. Launches are fresh processes, interleaved in random order; medians over
launches of the median inference and of the fastest, ratios with their 95 % bootstrap interval over launches. On a
computer that is busy the fastest says more: no other process came between. benchncnn counts in microseconds, so its
inferences are timed from outside in nanoseconds too.

Then what the runner's loop does beside an inference, in time of the CPU, as a share of one of 1 ms.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib import util
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench import units
from bench.analyse.statistics import ratio
from bench.cache import Cache
from bench.cli import terminal
from bench.data import packed
from bench.export import ncnn
from bench.measure import lines
from bench.measure.job import Files, Job
from bench.networks import resolve
from bench.plan import Protocol
from bench.runtimes.ncnn.build import NativeBinary, build, host_abi

SIZES = {"lenet5": (28, 28), "unet-small": (96, 144), "mobilenetv2": (96, 96)}
"""Height and width of the pictures; other networks have their own."""
WARMUP = 10
SECONDS = 0.5
"""Of inferences in a launch, about; `COUNTS` bounds how many they are."""
COUNTS = 20, 2000
ROUNDS = 2_000_000
RUNNER, LOOP, COARSE, WHEEL = "runner", "benchncnn's loop", "… by ncnn's own clock", "ncnn wheel, Python"
HEADER = ("network", "loop", "median inference", "runner ÷ it", "fastest inference", "runner ÷ it", "n")


class Case(NamedTuple):
    """A network as files in a folder, and the shape of its input."""

    folder: Path
    shape: tuple[int, ...]

    @property
    def arguments(self) -> tuple[str, ...]:
        return str(self.folder / "graph.param"), str(self.folder / "weights.bin"), "x".join(map(str, self.shape))


Times = dict[str, list[float]]
"""The inferences of one launch, in ns, by the name of the loop."""


def case(name: str, folder: Path) -> Case:
    """Initial or packaged weights: what they are makes no difference to the time."""
    network = resolve(name)
    if name in SIZES:
        network = network.sized(SIZES[name])
    samples = [np.full((1, *network.shape), 0.01, np.float32)]
    folder.mkdir()
    ncnn.write(*ncnn.convert(network.build(), network.inputs, samples), folder)
    packed.write(folder / "samples", samples)
    return Case(folder, network.shape)


def by_runner(binary: NativeBinary, one: Case, count: int) -> Times:
    graph, weights, _ = one.arguments
    files = Files(graph, weights, str(one.folder / "samples"), "-")
    protocol = Protocol(
        warmup_iterations=WARMUP, warmup_seconds=0, min_iterations=count, min_seconds=0, max_iterations=count
    )
    path = one.folder / "job"
    path.write_text(Job("latency", files, ("in0",), ("out0",), "runtime", "stock").text(protocol))
    done = subprocess.run([binary.path, path], capture_output=True, text=True, check=False)
    found = lines.read(done.stdout.splitlines(), done.returncode, done.stderr)
    return {RUNNER: [sample.value for sample in found.samples if sample.metric == "latency"]}


def by_loop(binary: NativeBinary, one: Case, count: int) -> Times:
    found = _printed([str(binary.loop), *one.arguments, str(WARMUP), str(count)])
    return {LOOP: [row["ns"] for row in found], COARSE: [1e6 * row["ms"] for row in found]}


def by_wheel(one: Case, count: int) -> Times:
    program = Path(__file__).with_name("loop_wheel.py")
    _, *found = _printed([sys.executable, str(program), *one.arguments, str(WARMUP), str(count)])
    return {WHEEL: [row["ns"] for row in found]}


def _printed(command: Sequence[str]) -> list[dict[str, float]]:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def cost(binary: NativeBinary) -> float:
    """Nanoseconds of the CPU that a round of the runner's loop takes without an inference. Not of the clock on the
    wall: other processes would count."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _printed([str(binary.loop), "--cost", str(ROUNDS)])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1e9 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / ROUNDS


def interleaved(loops: Sequence[Callable[[], Times]], launches: int) -> dict[str, dict[int, list[float]]]:
    """The inferences of each loop, by launch."""
    dice = random.Random(0)
    found: dict[str, dict[int, list[float]]] = {}
    for launch in range(launches):
        for loop in dice.sample(loops, len(loops)):
            for name, times in loop().items():
                found.setdefault(name, {})[launch] = times
    return found


def rows(title: str, found: dict[str, dict[int, list[float]]], count: int) -> list[tuple[str, ...]]:
    def beside(loop: str, of_launch: Callable[[list[float]], float]) -> tuple[str, str]:
        theirs, ours = ({n: of_launch(times) for n, times in found[one].items()} for one in (loop, RUNNER))
        least, middle, most = min(theirs.values()), statistics.median(theirs.values()), max(theirs.values())
        figure = f"{units.duration(middle)} ({units.duration(least)}–{units.duration(most)})"
        if loop == RUNNER:
            return figure, ""
        times = ratio(ours, theirs)
        return figure, f"{times.value:.3f}" + (
            f" [{times.interval.low:.3f}–{times.interval.high:.3f}]" if times.interval else ""
        )

    shown = (loop for loop in (RUNNER, LOOP, COARSE, WHEEL) if loop in found)
    return [
        (title, loop, *beside(loop, statistics.median), *beside(loop, min), f"{len(found[loop])} × {count}")
        for loop in shown
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loop", description=__doc__)
    parser.add_argument("--launches", type=int, default=15, help="of each loop")
    parser.add_argument("--network", action="append", help=f"instead of {', '.join(SIZES)}")
    given = parser.parse_args()
    binary = build(host_abi(), Cache())
    wheel = util.find_spec("ncnn") is not None
    table: list[tuple[str, ...]] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in given.network or SIZES:
            one = case(name, Path(folder, name))
            count = int(np.clip(SECONDS * 1e9 / min(by_runner(binary, one, COUNTS[0])[RUNNER]), *COUNTS))
            loops = [lambda: by_runner(binary, one, count), lambda: by_loop(binary, one, count)]  # noqa: B023
            if wheel:
                loops.append(lambda: by_wheel(one, count))  # noqa: B023
            title = f"{name} {one.shape[-2]}×{one.shape[-1]}"
            table += rows(title, interleaved(loops, given.launches), count)
    costs = [cost(binary) for _ in range(given.launches)]
    terminal.table(
        HEADER,
        table,
        title="the same network in three loops, one thread: medians over launches (smallest–largest)",
        words=2,
    )
    if not wheel:
        terminal.say("The ncnn wheel is not installed here: `pip install ncnn` for its rows.")
    middle = statistics.median(costs)
    terminal.say(
        f"Two looks at the clock, one at the CPU and the time kept: {middle:.0f} ns an inference "
        f"({min(costs):.0f}–{max(costs):.0f}; n = {len(costs)}), {middle / 1e4:.3f} % of 1 ms."
    )


if __name__ == "__main__":
    main()
