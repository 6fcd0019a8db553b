"""What goes into the layers of a network, seen on pictures that it is not tested on; and the scales chosen by that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.compress.int8 import scales

if TYPE_CHECKING:
    from bench.compress.learner import Learner
    from bench.compress.method import Request

RULES = ("kl", "absmax")
"""How a scale is chosen, the default first."""
_PICTURES = 200
_VALUES = 2**23
"""Of all pictures together, at most, so that large ones take seconds and not minutes."""
_FEWEST = 16
_AT_ONCE = 2**20

Batch = tuple[Tensor, ...]


def pictures(learner: Learner, request: Request) -> list[Batch]:
    """A seeded part of what the learner is trained with, in batches; of seeded weights, whose answers mean nothing,
    seeded values; empty where there is neither."""
    from bench.networks.count import examples

    if learner.data is not None and len(learner.network.inputs) == 1:
        train = learner.data.train
        size = int(np.prod(learner.network.inputs[0].shape))
        count = min(len(train), _PICTURES, max(_FEWEST, _VALUES // size))
        chosen = np.sort(np.random.default_rng(request.seed).choice(len(train), count, replace=False))
        step = max(1, _AT_ONCE // size)
        return [(torch.from_numpy(train.read(chosen[at : at + step])[0]),) for at in range(0, count, step)]
    if request.seeded:
        return [examples(learner.network.inputs, seed) for seed in range(request.seed, request.seed + 4)]
    return []


def inputs(network: nn.Module, names: Sequence[str], batches: Sequence[Batch], rule: str) -> dict[str, float]:
    """The scale of what goes into each of these layers, by a rule of RULES."""
    largest = dict.fromkeys(names, 0.0)

    def widest(name: str, values: Tensor) -> None:
        largest[name] = max(largest[name], float(values.abs().max()))

    _watched(network, names, batches, widest)
    if rule == "absmax":
        return {name: scales.absmax(one) for name, one in largest.items()}
    counts: dict[str, NDArray[np.float64]] = {name: np.zeros(scales.BINS) for name in names}

    def counted(name: str, values: Tensor) -> None:
        if largest[name] > 0:
            seen = values.abs()
            counts[name] += torch.histc(seen[seen > 0], scales.BINS, 0, largest[name]).double().numpy()

    _watched(network, names, batches, counted)
    return {name: scales.divergence(counts[name], largest[name]) for name in names}


@torch.no_grad()
def _watched(
    network: nn.Module, names: Sequence[str], batches: Sequence[Batch], see: Callable[[str, Tensor], None]
) -> None:
    def hook(name: str) -> Callable[[nn.Module, Any], None]:
        return lambda _, given: see(name, given[0].float())

    hooks = [network.get_submodule(name).register_forward_pre_hook(hook(name)) for name in names]
    try:
        for batch in batches:
            network(*batch)
    finally:
        for one in hooks:
            one.remove()
