"""`python -m benchmarks.training_size`: what more pictures to train on are worth to LeNet-5 with 776 coefficients.

Every training takes the same number of steps with the same recipe (`frequency.train.recipe`, taught by the ordinary
network that learnt from the same pictures), so that what differs is how many pictures there are and nothing else. Each
seed draws its own pictures, equally many of each class. A line of JSON a training is added to `--out`, and trainings
that are there already are not made again. Three minutes each on a core.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from bench.analyse import intervals
from bench.cli import terminal
from bench.compress import training
from bench.compress.frequency import train
from bench.compress.training import Images, accuracy, fit
from bench.data import digits
from bench.data.collection import balanced
from bench.data.readers import mnist
from bench.networks import resolve

COEFFICIENTS = 776
FULL = 4_000
"""Pictures that the recipe's epochs are meant for."""


class Pictures(NamedTuple):
    """What one data set has to train on and to test on."""

    train: Images
    test: Images


def own_digits() -> Pictures:
    found = digits.load()
    return Pictures(Images(found.train_inputs, found.train_labels), Images(found.test_inputs, found.test_labels))


def from_files(folder: Path) -> Pictures:
    """MNIST's form: `train-images-idx3-ubyte` and its three neighbours, as they are or gzipped."""

    def part(name: str) -> Images:
        images, labels = (
            mnist.read(next(folder.glob(f"{name}-{kind}-ubyte*")), axes)
            for kind, axes in (("images-idx3", 3), ("labels-idx1", 1))
        )
        return Images((images[:, None] / 255).astype(np.float32), labels.astype(np.int64))

    return Pictures(part("train"), part("t10k"))


def learnt(pictures: Pictures, count: int, seed: int, longer: float) -> dict[str, Any]:
    """Top-1 of the ordinary network and of the one with few coefficients, each after `longer` times the recipe's
    steps of `FULL` pictures, from `count` pictures."""
    chosen = balanced(pictures.train.answers, len(pictures.train), count, seed)
    own = Images(*pictures.train.read(chosen))
    network = resolve("lenet5")
    teacher = network.build(seed)
    plain, few = training.recipe(seed), train.recipe(seed)
    begun = time.monotonic()
    fit(teacher, own, replace(plain, epochs=round(plain.epochs * longer * FULL / count)), lambda *_: None)
    ordinary = accuracy(teacher, pictures.test)
    assert network.learner is not None
    regularized = network.learner(seed)
    kept = train.targets(regularized, COEFFICIENTS)
    recipe = replace(few, epochs=round(few.epochs * longer * FULL / count))
    train.train(regularized, own, kept, recipe, lambda *_: None, teacher=teacher)
    return {
        "ordinary": ordinary,
        "top1": accuracy(regularized, pictures.test),
        "top1_train": accuracy(regularized, Images(*own.read(np.arange(min(count, 4_000))))),
        "tested": len(pictures.test),
        "seconds": round(time.monotonic() - begun),
    }


def show(rows: Sequence[dict[str, Any]]) -> None:
    """One line for each set, count and length: mean and range over its seeds."""
    shown = []
    for group in sorted({(row["data"], row["longer"], row["count"]) for row in rows}):
        found = [row for row in rows if (row["data"], row["longer"], row["count"]) == group]
        cells = []
        for field in ("ordinary", "top1", "top1_train"):
            values = [100 * row[field] for row in found]
            cells.append(f"{statistics.mean(values):.2f} ({min(values):.2f} … {max(values):.2f})")
        tested = found[0]["tested"]
        right = round(statistics.mean(row["top1"] for row in found) * tested)
        low, high = (100 * end for end in intervals.wilson(right, tested))
        name, longer, count = group
        title = f"{name}, {longer:g}× the steps" if longer != 1 else name
        shown.append((title, f"{count:,}", *cells, f"{low:.1f} … {high:.1f}", f"{tested:,}", str(len(found))))
    header = (
        "data",
        "trained on",
        "ordinary %",
        f"{COEFFICIENTS} %",
        "on its own %",
        "95 % of the test",
        "tested",
        "n",
    )
    terminal.table(header, shown, title="LeNet-5, top-1: mean and range over seeds", words=1)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training_size", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/training_size.jsonl"))
    parser.add_argument("--data", type=Path, help="a folder in MNIST's form; without, the 4,000 digits of bench")
    parser.add_argument("--name", help="what the data is called in the table")
    parser.add_argument("--counts", type=int, nargs="*", default=[1_000, 2_000, 4_000])
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2, 3])
    parser.add_argument("--longer", type=float, default=1, help="times the recipe's steps")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    name = given.name or (given.data.name if given.data else "digits")
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.touch()
    pictures = None
    for seed in given.seeds:
        for count in given.counts:
            wanted = {"data": name, "count": count, "seed": seed, "longer": given.longer}
            rows = [json.loads(line) for line in given.out.read_text(encoding="utf-8").splitlines()]
            if any(wanted.items() <= row.items() for row in rows):
                continue
            pictures = pictures or (from_files(given.data) if given.data else own_digits())
            row = wanted | learnt(pictures, count, seed, given.longer)
            with given.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
    show([json.loads(line) for line in given.out.read_text(encoding="utf-8").splitlines()])


if __name__ == "__main__":
    main()
