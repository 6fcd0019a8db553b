"""`python -m benchmarks.frequency`: a training step with FR weights beside a plain one.

Both steps run in turn, in one process and on one thread; the ratio is taken of neighbours, so that what else the
machine does falls on both.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from bench import terminal
from bench.compress.frequency import oneshot
from bench.compress.frequency.budget import budget
from bench.compress.frequency.schedule import TailTruncation
from bench.compress.frequency.target import Target
from bench.compress.frequency.train import HEADROOM
from bench.models import model


class Workload(NamedTuple):
    """One network's training step: from how many coefficients FR is being truncated and to how many, the images of a
    step, and how often it is timed."""

    model: str
    start: int
    target: int
    batch: int
    pixels: tuple[int, int]
    rounds: int

    def __str__(self) -> str:
        size = "×".join(map(str, (self.batch, *self.pixels)))
        return f"{model(self.model).title}, {size}, from {self.start:,} coefficients"


WORKLOADS = (
    Workload("lenet5", HEADROOM * 776, 776, 50, (28, 28), 200),
    Workload("lenet5", HEADROOM * 7_668, 7_668, 50, (28, 28), 200),
    Workload("unet", HEADROOM * 759, 759, 2, (64, 96), 15),
)


def step(
    network: nn.Module, images: torch.Tensor, labels: torch.Tensor, truncation: TailTruncation | None = None
) -> Callable[[], None]:
    """One step of Adam on always the same images, and of the truncation."""
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-4)

    def run() -> None:
        optimiser.zero_grad()
        F.cross_entropy(network(images), labels).backward()
        optimiser.step()
        if truncation:
            truncation.step()

    return run


def overhead(work: Workload) -> tuple[list[float], list[float]]:
    """Seconds of each plain step and of the FR step after it."""
    torch.manual_seed(0)
    spec = model(work.model)
    plain, compressed = (spec.build("frequency") for _ in range(2))
    target = budget("uniform", compressed)(work.target)
    oneshot.compress(compressed, Target("coefficients", work.start), "uniform")
    images = torch.rand(work.batch, spec.input_shape[0], *work.pixels)
    classes = plain(images[:1]).shape[1]
    labels = torch.randint(classes, (work.batch, *((*work.pixels,) if spec.task == "segmentation" else ())))
    steps = step(plain, images, labels), step(compressed, images, labels, TailTruncation(compressed, target))
    found: tuple[list[float], list[float]] = ([], [])
    for round_ in range(work.rounds + 2):
        for run, seconds in zip(steps, found, strict=True):
            before = time.perf_counter()
            run()
            if round_ >= 2:  # The first ones make the optimiser's state and warm the caches.
                seconds.append(time.perf_counter() - before)
    return found


def main() -> None:
    torch.set_num_threads(1)
    rows = []
    for work in WORKLOADS:
        plain, compressed = overhead(work)
        ratios = [b / a for a, b in zip(plain, compressed, strict=True)]
        low, _, high = statistics.quantiles(ratios)
        rows.append(
            (
                str(work),
                f"{1e3 * statistics.median(plain):.3g} ms",
                f"{1e3 * statistics.median(compressed):.3g} ms",
                f"{statistics.median(ratios):.2f}",
                f"{low:.2f} … {high:.2f}",
                str(len(ratios)),
            )
        )
    header = ("training step", "plain", "FR", "ratio", "middle half", "n")
    terminal.table(header, rows, title="Training overhead of Frequency Regularization, one thread", words=1)


if __name__ == "__main__":
    main()
