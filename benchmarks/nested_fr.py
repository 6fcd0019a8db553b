"""`python -m benchmarks.nested_fr`: one package in four capacities against four networks trained apart, on the digits.

Each capacity of `nested-fr` and a twin: plain FR with as many coefficients in every weight, the same recipe, the same
teacher and the same number of epochs. A step of the nested training computes the network three times, so that one
nested training costs less than its four twins do. Accuracy is of what is shipped, read back from its package.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from bench.cli import terminal
from bench.compress import training
from bench.compress.frequency import layers, nesting, norms, package, restore, train
from bench.compress.training import Images, accuracy, fit
from bench.data import digits
from bench.networks import resolve


@dataclass(frozen=True)
class Found:
    """Of one seed: accuracies of the capacities and of their twins, the bytes of each twin's package, of the nested
    file and of its largest capacity by itself, and seconds of both trainings."""

    capacities: tuple[float, ...]
    twins: tuple[float, ...]
    coefficients: tuple[int, ...]
    twin_bytes: tuple[int, ...]
    own_bytes: tuple[int, ...]
    bytes: int
    seconds: tuple[float, float]


class Benchmark:
    def __init__(self, model: str, total: int, epochs: int, teacher_epochs: int) -> None:
        data = digits.load()
        self.network, self.total, self.epochs = resolve(model), total, epochs
        self.train = Images(data.train_inputs, data.train_labels)
        self.test = Images(data.test_inputs, data.test_labels)
        self.teacher = self.network.build(1)
        fit(self.teacher, self.train, replace(training.recipe(1), epochs=teacher_epochs), lambda *_: None)
        terminal.err.print(f"{self.network.title}, not compressed: {accuracy(self.teacher, self.test):.1%}")

    def _untrained(self, seed: int) -> nn.Module:
        return (self.network.learner or self.network.build)(seed)

    def _accuracy(self, held: package.Package) -> float:
        return accuracy(restore.restored(self._untrained(1), held), self.test)

    def _trained(self, seed: int, capacity: int, *, nested: bool) -> bytes:
        network = self._untrained(seed)
        kept = nesting.part(train.targets(network, self.total), capacity)
        recipe = replace(train.recipe(seed), epochs=self.epochs)
        train.train(network, self.train, kept, recipe, lambda *_: None, teacher=self.teacher, nested=nested)
        if nested:
            return package.write(nesting.packed(self.network.name, network, torch.from_numpy(self.train.inputs[:256])))
        return package.write(layers.shipped(self.network.name, norms.folded(network)))

    def seed(self, seed: int, save: Path | None) -> Found:
        begun = time.process_time()
        whole = self._trained(seed, nesting.CAPACITIES, nested=True)
        between = time.process_time()
        if save:
            save.write_bytes(whole)
        held = package.read(whole)
        numbers = range(1, nesting.CAPACITIES + 1)
        found = tuple(self._accuracy(held.at(capacity)) for capacity in numbers)
        terminal.err.print(f"seed {seed}: " + ", ".join(f"{one:.1%}" for one in found))
        again = time.process_time()
        twins = [self._trained(seed, capacity, nested=False) for capacity in numbers]
        seconds = between - begun, time.process_time() - again
        scores = tuple(self._accuracy(package.read(twin)) for twin in twins)
        terminal.err.print("twins: " + ", ".join(f"{one:.1%}" for one in scores))
        coefficients = tuple(held.at(capacity).coefficients for capacity in numbers)
        own = tuple(len(package.write(held.at(capacity))) for capacity in numbers)
        return Found(found, scores, coefficients, tuple(map(len, twins)), own, len(whole), seconds)


def show(title: str, found: Sequence[Found]) -> None:
    def spread(values: Sequence[float]) -> str:
        return f"{100 * statistics.mean(values):.1f} % ({100 * min(values):.1f} … {100 * max(values):.1f})"

    rows = []
    for place, coefficients in enumerate(found[0].coefficients):
        ours, theirs = ([getattr(one, field)[place] for one in found] for field in ("capacities", "twins"))
        lost = 100 * (statistics.mean(theirs) - statistics.mean(ours))
        rows.append(
            (
                f"{place + 1} of {nesting.CAPACITIES}", f"{coefficients:,}", f"{found[0].own_bytes[place]:,} B",
                spread(ours), spread(theirs), f"{lost:+.1f}", str(len(found)),
            )
        )  # fmt: skip
    header = ("capacity", "coefficients", "alone", "nested", "twins", "points below", "seeds")
    terminal.table(header, rows, title=title, words=1)
    one = found[0]
    ratio = max(each.bytes / each.own_bytes[-1] for each in found)
    both = [statistics.mean(each.seconds[place] for each in found) for place in (0, 1)]
    terminal.out.print(
        f"One file of {one.bytes:,} B, {ratio:.4f} times its largest capacity alone; the four twins "
        f"{sum(one.twin_bytes):,} B. Processor time: nested {both[0]:.0f} s, its twins together {both[1]:.0f} s."
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nested_fr", description=__doc__)
    parser.add_argument("--model", default="lenet5", help="a network of bench for the digits (lenet5)")
    parser.add_argument("--coefficients", type=int, default=3_104, help="of the largest capacity (3,104)")
    parser.add_argument("--epochs", type=int, default=8, help="of every training (8)")
    parser.add_argument("--teacher-epochs", type=int, default=8, help="of the ordinary network that teaches all (8)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--save", type=Path, help="where the nested package of the last seed goes")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    work = Benchmark(given.model, given.coefficients, given.epochs, given.teacher_epochs)
    found = [work.seed(seed, given.save) for seed in given.seeds]
    show(f"{work.network.title}, {given.epochs} epochs each, 1,000 test digits", found)


if __name__ == "__main__":
    main()
