"""`python -m benchmarks.frequency`: what FR's training costs, and what a better budget than the uniform one is worth.

A training step with FR weights and a plain one run in turn, in one process and on one thread; the ratio is taken of
neighbours, so that what else the machine does falls on both. Takes some minutes; less with fewer rounds and epochs.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from bench.cli import terminal
from bench.compress import training
from bench.compress.frequency import factor, layers, oneshot, train
from bench.compress.frequency.budget import budget, sizes
from bench.compress.frequency.schedule import TailTruncation
from bench.compress.frequency.sensitivity import sensitivity
from bench.compress.frequency.train import HEADROOM
from bench.compress.target import Target
from bench.compress.training import Images, accuracy, fit
from bench.data import digits
from bench.networks import resolve


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
        return f"{resolve(self.model).title}, {size}, from {self.start:,} coefficients"


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


def overhead(work: Workload, rounds: int) -> dict[str, list[float]]:
    """Seconds of each plain step and of the FR steps after it: through whole weights, and through their factors."""
    torch.manual_seed(0)
    spec = resolve(work.model)
    plain, dense = ((spec.learner or spec.build)() for _ in range(2))
    target = budget("uniform", dense)(work.target)
    oneshot.compress(dense, Target("count", work.start), "uniform")
    factored = copy.deepcopy(dense)
    images = torch.rand(work.batch, spec.shape[0], *work.pixels)
    classes = plain(images[:1]).shape[1]
    labels = torch.randint(classes, (work.batch, *((*work.pixels,) if spec.task == "segmentation" else ())))
    steps = {
        "plain": step(plain, images, labels),
        "dense": step(dense, images, labels, TailTruncation(dense, target)),
        "factored": step(factor.learner(factored), images, labels, TailTruncation(factored, target)),
    }
    found: dict[str, list[float]] = {form: [] for form in steps}
    for round_ in range(rounds + 2):
        for form, run in steps.items():
            before = time.perf_counter()
            run()
            if round_ >= 2:  # The first ones make the optimiser's state and warm the caches.
                found[form].append(time.perf_counter() - before)
    return found


def show_overhead(rounds: int | None) -> None:
    rows = []
    for work in WORKLOADS:
        found = overhead(work, rounds or work.rounds)
        medians = {form: f"{1e3 * statistics.median(seconds):.3g} ms" for form, seconds in found.items()}
        for form in ("dense", "factored"):
            ratios = [b / a for a, b in zip(found["plain"], found[form], strict=True)]
            low, middle, high = statistics.quantiles(ratios)
            told = f"{middle:.2f}", f"{low:.2f} … {high:.2f}", str(len(ratios))
            rows.append((str(work), medians["plain"], f"{medians[form]} {form}", *told))
    header = ("training step", "plain", "FR", "ratio", "middle half", "n")
    terminal.table(header, rows, title="Training overhead of Frequency Regularization, one thread", words=1)


def show_budgets(epochs: int | None) -> None:
    """Top-1 of two trained LeNet-5, truncated without any training afterwards."""
    data = digits.load()
    training_set = Images(data.train_inputs, data.train_labels)
    test_set = Images(data.test_inputs, data.test_labels)
    torch.manual_seed(1)
    lenet = resolve("lenet5")
    ordinary, regularized = lenet.build(), (lenet.learner or lenet.build)()
    fit(ordinary, training_set, replace(training.recipe(1), epochs=epochs or 8), lambda *_: None)
    kept = train.targets(regularized, 7_668)
    train.train(regularized, training_set, kept, replace(train.recipe(1), epochs=epochs or 15), lambda *_: None)
    images, labels = map(torch.from_numpy, training_set.read(np.arange(0, len(training_set), 4)))
    rows = []
    for title, network, parts in (("ordinary", ordinary, (3, 4, 8, 16)), ("FR, 7,668", regularized, (1.2, 1.5, 2))):
        splits = (
            budget("uniform", network),
            budget("energy", network),
            sensitivity(network, lambda found: float(F.cross_entropy(found(images), labels))),
        )
        for part in parts:
            total = int(sum(sizes(network).values()) / part)
            found = []
            for split in splits:
                trial = layers.decoded(network)
                layers.compress(trial, split(total))
                found.append(f"{accuracy(trial, test_set):.1%}")
            rows.append((title, f"{accuracy(network, test_set):.1%}", f"{total:,}", *found))
    header = ("LeNet-5", "top-1", "truncated to", "uniform", "energy", "sensitivity")
    terminal.table(header, rows, title="One-shot, 1,000 test digits, by budget", words=1)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.frequency", description=__doc__)
    parser.add_argument("--rounds", type=int, help="how often each step is timed, at least 2")
    parser.add_argument("--epochs", type=int, help="of the networks that are truncated")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    show_overhead(given.rounds)
    show_budgets(given.epochs)


if __name__ == "__main__":
    main()
