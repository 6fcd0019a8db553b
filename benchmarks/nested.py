"""`python -m benchmarks.nested`: what it costs a network to be one of several in one file.

Each capacity of `nested` against a network of as many parameters that was pruned from the same trained one by itself
(`prune`, same ranking, same epochs to each), on the pictures that both were not trained on; rankings beside each other,
after retraining; and the file against the largest capacity alone. A line of JSON for each row is added to `--out`, and
those that are there already are not made again. LeNet-5 on bench's digits; another network with `--model` and `--data`,
as `bench compress` takes them: `--model benchmarks/gtsrb.py:network --data gtsrb.npz`.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from bench import networks
from bench.analyse import intervals
from bench.cache import Cache
from bench.cli import terminal
from bench.compress import method, training
from bench.compress.learner import Learner
from bench.compress.method import Request
from bench.compress.nested import package, packing
from bench.compress.prune.method import RANKINGS
from bench.errors import UsageError
from bench.plan import Data as Named
from bench.prepare.compression import learner_of

Row = Mapping[str, Any]


def said(title: str) -> Any:
    print(title, flush=True)
    return lambda done, words: None


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def rows(learner: Learner, given: argparse.Namespace, ranking: str, seed: int) -> Iterator[dict[str, Any]]:
    """One for each capacity, with its twin where these are asked for."""
    request = Request(given.target, seed=seed, epochs=given.epochs, budget=ranking)
    data = learner.needed()
    packed = method("nested").compress(learner, request)
    made = package.read(packed)
    for capacity in range(1, made.count + 1):
        module = packing.restored(learner.network, made, capacity)
        row = {
            "model": given.model, "target": given.target, "ranking": ranking, "seed": seed, "epochs": given.epochs,
            "capacity": capacity, "of": made.count, "parameters": parameters(module), "tested": len(data.test),
            "top1": training.accuracy(module, data.test), "alone": len(package.write(made.alone(capacity))),
            "file": len(packed),
        }  # fmt: skip
        yield row | twin(learner, request, row, given)


def twin(learner: Learner, request: Request, row: Row, given: argparse.Namespace) -> dict[str, Any]:
    """A network of as many parameters made by itself; for the largest capacity the one that all were pruned from."""
    if request.budget not in given.twins:
        return {}
    data, pruned = learner.needed(), method("prune")
    if row["capacity"] == row["of"]:
        whole = learner.ordinary(request)
        return {"twin": training.accuracy(whole, data.test), "twin_parameters": parameters(whole)}
    own = Request(str(row["parameters"]), seed=request.seed, epochs=request.epochs, budget=request.budget)
    module = pruned.restored(learner.network, pruned.compress(learner, own), "stock")
    return {"twin": training.accuracy(module, data.test), "twin_parameters": parameters(module)}


def show(found: Sequence[Row]) -> None:
    """One line for each ranking and capacity: means over seeds, the 95 % interval of the pictures tested."""
    lines = []
    for ranking, capacity in dict.fromkeys((row["ranking"], row["capacity"]) for row in found):
        mine = [row for row in found if (row["ranking"], row["capacity"]) == (ranking, capacity)]
        ours, tested = statistics.mean(row["top1"] for row in mine), mine[0]["tested"]
        chance = intervals.wilson(round(ours * tested), tested)
        twins = [row for row in mine if "twin" in row]
        theirs = statistics.mean(row["twin"] for row in twins) if twins else None
        largest = next(row["alone"] for row in found if row["ranking"] == ranking and row["capacity"] == row["of"])
        lines.append(
            (
                ranking,
                f"{capacity} of {mine[0]['of']}",
                f"{mine[0]['parameters']:,}",
                f"{100 * ours:.2f} %",
                f"{100 * chance.low:.1f} to {100 * chance.high:.1f}",
                "–" if theirs is None else f"{100 * theirs:.2f} %",
                "–" if theirs is None else f"{100 * (ours - theirs):+.2f}",
                f"{mine[0]['alone']:,}",
                f"{mine[0]['file'] / largest:.4f}",
                f"{len(mine)}",
            )
        )
    header = (
        "ranking", "capacity", "parameters", "nested", "95 % of the pictures", "by itself", "points", "alone, bytes",
        "file ÷ largest alone", "seeds",
    )  # fmt: skip
    terminal.table(header, lines, words=2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="lenet5")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--target", default="16x:5")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--rankings", nargs="+", choices=RANKINGS, default=list(RANKINGS))
    parser.add_argument("--twins", nargs="*", choices=RANKINGS, default=[RANKINGS[0]], help="rankings that get twins")
    parser.add_argument("--out", type=Path, default=Path("nested.jsonl"))
    given = parser.parse_args()
    network = networks.resolve(given.model)
    named = Named(path=given.data) if given.data else None
    known: list[Row] = [json.loads(line) for line in given.out.read_text().splitlines()] if given.out.is_file() else []
    mine = [
        row
        for row in known
        if (row["model"], row["target"], row["epochs"]) == (given.model, given.target, given.epochs)
    ]
    done = {(row["ranking"], row["seed"]) for row in mine if row["capacity"] == row["of"]}
    learner = learner_of(network, named, Cache(), said)
    for seed in given.seeds:
        for ranking in given.rankings:
            if (ranking, seed) in done:
                continue
            try:
                made = list(rows(learner, given, ranking, seed))
            except UsageError as error:
                parser.exit(2, f"{error}\n")
            mine += made
            with given.out.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(row) + "\n" for row in made)
    show(mine)


if __name__ == "__main__":
    main()
