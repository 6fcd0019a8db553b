"""From a network to its package: trained where it is not, factored, and all layers tuned at once."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import cast

import torch
from torch import nn

from bench.compress import tuning
from bench.compress.learner import Learner
from bench.compress.method import Request
from bench.compress.tucker import factors, package
from bench.compress.tucker.method import FORMS, parsed
from bench.compress.tucker.oneshot import Whole, asked_for, within
from bench.compress.tucker.ranks import Ranks
from bench.compress.tucker.sites import DENSE
from bench.errors import UsageError
from bench.networks.count import examples
from bench.networks.settle import settle

EPOCHS = 10
"""Of the tuning where the network is trained here and no other number is asked for."""
HALF = 0.1
"""The last part of the tuning, which computes with float16 values."""


def compress(learner: Learner, request: Request) -> bytes:
    """The package of the learner's network; see `Method.compress`."""
    network = learner.network
    if _untrained(learner, request):
        return _seeded(learner, request)
    if not request.one_shot:
        learner.needed()
        request = replace(request, fine_tune=request.fine_tune or EPOCHS)
    ordinary = learner.ordinary(request)
    whole = Whole(ordinary, examples(network.inputs), network.name)
    base = asked_for(whole, learner.stage(f"find the ranks of {network.name}"))
    scaled = within(whole, base, None if request.target is None else parsed(request.target))
    made = factors.factored(ordinary, whole.found.sites, scaled.ranks)
    parts = ("tucker", repr(scaled.ranks), repr(network.trained), repr(request.epochs))
    made = tuning.tuned(learner, made, request, parts, half=HALF)
    return package.write(network, whole.found, scaled.ranks, made)


def planner(learner: Learner, request: Request) -> Callable[[str], bytes]:
    """What makes the package for a target, its factors with initial values: ranks are found once, nothing is tuned."""
    network = learner.network
    untrained = _untrained(learner, request)
    ordinary = network.build(request.seed) if untrained else learner.ordinary(request)
    whole = Whole(ordinary, examples(network.inputs), network.name)
    base = _all(whole) if untrained else asked_for(whole)

    def planned(target: str) -> bytes:
        ranks = within(whole, base, parsed(target)).ranks
        made = copy.deepcopy(ordinary)
        for path, pair in ranks.items():
            if pair != DENSE:
                made = factors.placed(made, path, factors.blank(whole.found.sites[path], pair))
        return package.write(network, whole.found, ranks, made)

    return planned


def _untrained(learner: Learner, request: Request) -> bool:
    return request.seeded and learner.data is None and not learner.network.trained


def _all(whole: Whole) -> dict[str, Ranks]:
    return {path: Ranks(site.shape[1], site.shape[0]) for path, site in whole.found.sites.items()}


@torch.no_grad()
def _seeded(learner: Learner, request: Request) -> bytes:
    """Seeded factors, with which it computes as much as a trained network and answers nothing. Its ranks are in
    proportion to its channels: weights that nobody trained ask for none."""
    network = learner.network
    made = network.build(request.seed)
    whole = Whole(made, examples(network.inputs, request.seed), network.name)
    if request.target is None:
        raise UsageError(
            f"{network.name} has no trained weights, and ranks are found in trained weights",
            f"Name weights or data, or a target. {FORMS}",
        )
    scaled = within(whole, _all(whole), parsed(request.target))
    for path, pair in scaled.ranks.items():
        if pair != DENSE:
            layer = factors.blank(whole.found.sites[path], pair)
            weighted = [cast(nn.Conv2d, part) for part in layer if hasattr(part, "weight")]
            for part in weighted[:-1]:
                part.weight.mul_(3**0.5)  # torch's own initial weights let a signal's energy fall to a third
            made = factors.placed(made, path, layer)
    settle(made, *examples(network.inputs, request.seed))
    return package.write(network, whole.found, scaled.ranks, made)
