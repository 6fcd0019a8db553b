"""`python -m benchmarks.tucker_ranks`: is the rank that EVBMF finds in a trained weight the best one?

All ranks of a network times a factor, from a quarter to twice what EVBMF finds, each tuned for equally many epochs from
the same trained network with the same recipe. A line of JSON for each is added to `--out`, and those that are there
already are not made again. LeNet-5 on bench's digits; another network with `--model` and `--data`, as `bench compress`
takes them: `--model benchmarks/gtsrb.py:network --data signs/`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench import networks
from bench.analyse import intervals
from bench.cache import Cache
from bench.cli import terminal
from bench.compress import training, tuning
from bench.compress.learner import Data, with_epochs
from bench.compress.method import Request
from bench.compress.tucker import factors, package, scaling
from bench.compress.tucker.learning import HALF
from bench.compress.tucker.oneshot import Whole, asked_for
from bench.networks import Network
from bench.networks.count import count, examples
from bench.plan import Data as Named
from bench.prepare.compression import learner_of

FACTORS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
DENSE = 0.0
"""The factor of the row that is not factored at all, and tuned as long."""


def quiet(title: str) -> Any:
    return lambda done, words: None


def trained(network: Network, data: Data, seed: int, epochs: int | None) -> nn.Module:
    made = network.build(seed)
    training.fit(made, data.train, with_epochs(training.recipe(seed, network.task), epochs), lambda *_: None)
    return made


def measured(network: Network, data: Data, given: argparse.Namespace, seed: int) -> Iterator[dict[str, Any]]:
    """One row for each factor, and one for the network as it is."""
    teacher = trained(network, data, seed, given.epochs)
    whole = Whole(teacher, examples(network.inputs), network.name)
    base = asked_for(whole)
    beside, rest = package.overhead(teacher, whole.inputs, whole.found)
    recipe = tuning.recipe(Request(seed=seed, fine_tune=given.tune), network.task, HALF)
    for factor in (DENSE, *given.factors):
        ranks = {} if factor == DENSE else scaling.as_asked(whole.found.sites, base, factor)
        made = factors.factored(teacher, whole.found.sites, ranks)
        before, begun = training.accuracy(made, data.test), time.monotonic()
        training.fit(made, data.train, recipe, lambda *_: None, teacher=teacher)
        yield {
            "factor": factor,
            "bytes": beside + 2 * (rest + scaling.price(whole.found.sites, ranks).parameters),
            "macs": count(made, network.inputs).macs,
            "before": before,
            "top1": training.accuracy(made, data.test),
            "tested": len(data.test),
            "seconds": round(time.monotonic() - begun, 1),
            "ranks": {path: list(pair) for path, pair in ranks.items()},
            "asked": {path: list(pair) for path, pair in base.items()},
        }


def show(rows: Sequence[Mapping[str, Any]], title: str) -> None:
    """One line for each factor: means over seeds, the range, and the 95 % interval of the pictures tested."""
    lines = []
    for factor in sorted({row["factor"] for row in rows}):
        found = [row for row in rows if row["factor"] == factor]
        top1 = [100 * row["top1"] for row in found]
        tested = found[0]["tested"]
        chance = intervals.wilson(round(statistics.mean(top1) / 100 * tested), tested)
        lines.append(
            (
                "dense" if factor == DENSE else f"{factor:g}×",
                f"{statistics.mean(row['bytes'] for row in found):,.0f}",
                f"{statistics.mean(row['macs'] for row in found):,.0f}",
                f"{100 * statistics.mean(row['before'] for row in found):.1f}",
                f"{statistics.mean(top1):.2f} ({min(top1):.1f} … {max(top1):.1f})",
                f"{100 * chance.low:.1f} … {100 * chance.high:.1f}",
                str(len(found)),
            )
        )
    header = ("ranks", "bytes", "multiply-adds", "% untuned", "% tuned, range over seeds", "95 % of the test", "n")
    terminal.table(header, lines, title=title)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tucker_ranks", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/tucker_ranks.jsonl"))
    parser.add_argument("--model", default="lenet5")
    parser.add_argument("--data", type=Path, help="what to train with, as bench compress takes it")
    parser.add_argument("--epochs", type=int, help="of the ordinary network (default: its recipe's)")
    parser.add_argument("--tune", type=int, default=3, help="epochs of each tuning")
    parser.add_argument("--factors", type=float, nargs="*", default=list(FACTORS))
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2, 3])
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    network = networks.resolve(given.model)
    named = None if given.data is None else Named(path=given.data)
    data = learner_of(network, named, Cache(), quiet).needed()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.touch()
    wanted = {"model": network.name, "data": data.source, "epochs": given.epochs, "tune": given.tune}

    def stored() -> list[dict[str, Any]]:
        rows = [json.loads(line) for line in given.out.read_text(encoding="utf-8").splitlines()]
        return [row for row in rows if wanted.items() <= row.items()]

    for seed in given.seeds:
        have = {row["factor"] for row in stored() if row["seed"] == seed}
        if have >= {DENSE, *given.factors}:
            continue
        for row in measured(network, data, given, seed):
            if row["factor"] not in have:
                with given.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(wanted | {"seed": seed} | row) + "\n")
    title = f"{network.name}, ranks times those of EVBMF; each tuned for {given.tune} epochs. {data.source}"
    show(stored(), title)


if __name__ == "__main__":
    main()
