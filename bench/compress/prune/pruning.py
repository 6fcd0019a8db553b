"""From trained weights and a target to the package: channels go in steps, with training between and after."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import nn

from bench.compress import training, tuning
from bench.compress.narrower import package, recipe, structure
from bench.compress.narrower.family import Family, Limit
from bench.compress.narrower.scaling import Kept
from bench.compress.prune import rankings
from bench.compress.prune.cutting import cut
from bench.errors import UsageError
from bench.networks.count import examples

if TYPE_CHECKING:
    from bench.compress.learner import Learner
    from bench.compress.method import Request
    from bench.compress.target import Target
    from bench.records import Task

STEPS = 3
"""In which channels go, where there are as many epochs: each leaves the same part of what there was."""


def pruned(learner: Learner, request: Request, family: Family, target: Target) -> bytes:
    """The package of the learner's network, pruned to the target by the ranking `request.budget`."""
    network = learner.network
    final = family.within(target)
    module = learner.ordinary(request)
    epochs = epochs_of(request, network.task)
    parts = ["one-shot" if request.one_shot else "iterative", repr(request.epochs), repr(network.trained)]
    for number, (kept, some) in enumerate(zip(steps(family, final, target, len(epochs)), epochs, strict=True)):
        rank = ranked(learner, request, module)
        module = cut(module, family.groups, kept, rank, examples(network.inputs), network.name)
        title = f"pruned by {request.budget}, step {number + 1} of {len(epochs)}"
        parts += [request.budget, repr(kept), repr(some)]
        module = tuning.tuned(learner, module, replace(request, fine_tune=some), (title, *parts))
    found = structure.sites(module)
    return package.write(network, {name: site.width for name, site in found.items()}, module, family.method)


def epochs_of(request: Request, task: Task) -> tuple[int, ...]:
    """Of each step. Half of them follow the last."""
    if request.one_shot:
        return (request.fine_tune,)
    total = request.epochs or recipe.recipe(request.seed, task).epochs
    steps = min(STEPS, total)
    each = total // (2 * (steps - 1)) if steps > 1 else 0
    before = [max(1, each)] * (steps - 1)
    return (*before, total - sum(before))


def steps(family: Family, final: Kept, target: Target, count: int) -> list[Kept]:
    """Channels of each group after each of `count` steps: each step leaves the same part of what the target counts."""
    limit = family.limit(target)
    whole = family.amount(family.whole, limit.unit)
    made, now = [], family.whole
    for step in range(1, count):
        between = Limit(int(whole * (limit.most / whole) ** (step / count)), limit.unit)
        wide = family.widest(between) or final
        now = tuple(min(before, max(few, last)) for before, few, last in zip(now, wide, final, strict=True))
        made.append(now)
    return [*made, final]


def ranked(learner: Learner, request: Request, module: nn.Module) -> rankings.Rank:
    """Raises UsageError without what the ranking looks at."""
    if request.budget == "l1":
        return rankings.l1()
    data = learner.needed()
    if request.budget == "taylor":
        if request.labels:
            return rankings.taylor(module, rankings.Sampled.of(data.train, rankings.PICTURES, request.seed))
        seen = rankings.Sampled.of(training.Unlabelled(data.train), rankings.PICTURES, request.seed)
        return rankings.taylor(module, replace(seen, answers=_classes(learner, request, seen)))
    seen = rankings.Sampled.of(data.train, 2 * rankings.PICTURES, request.seed)
    if seen.answers.dim() != 1 or seen.answers.is_floating_point():
        raise UsageError(
            f"the ranking trr compares pictures by their classes, and {data.source} has no class for each",
            "Rank by l1 or taylor.",
        )
    return rankings.trr(module, seen, rankings.triplets(seen.answers.numpy(), rankings.PICTURES, request.seed))


@torch.no_grad()
def _classes(learner: Learner, request: Request, seen: rankings.Sampled) -> torch.Tensor:
    """What the ordinary network takes the pictures for. Where nothing has gone yet its own outputs are right to the
    last bit and a divergence from them has no gradient; the loss of its classes has one."""
    ordinary = learner.ordinary(request)
    outputs = [ordinary(part.inputs) for part in seen.parts()]
    classes = learner.network.task in ("classification", "segmentation")
    if not classes or not isinstance(outputs[0], torch.Tensor) or outputs[0].shape[1] == 1:
        raise UsageError(
            f"{learner.network.name} does not answer with a score for each class, and how far values are from the "
            "ordinary network's has no gradient where that begins: taylor would rank nothing",
            "Rank by l1, or leave --unlabelled out and name data with labels.",
        )
    return torch.cat(outputs).argmax(1)
