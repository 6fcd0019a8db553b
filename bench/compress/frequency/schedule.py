"""Which layer keeps how much, and dynamic tail truncation: how it gets there during training."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import nn

from bench.compress.frequency.layers import coefficients, frequency, weighted
from bench.errors import UsageError

GAMMA = 0.01  # as published


def uniform(sizes: Mapping[str, int], total: int) -> dict[str, int]:
    """`total` coefficients shared equally over tensors of these sizes, as published.

    What a small tensor cannot use goes to the others; what does not divide goes to the first ones.
    Raises UsageError unless len(sizes) ≤ total ≤ the sum of sizes.
    """
    if not len(sizes) <= total <= sum(sizes.values()):
        raise UsageError(
            f"{total:,} coefficients cannot be shared over {len(sizes)} tensors with {sum(sizes.values()):,} weights",
            f"Ask for between {len(sizes)} and {sum(sizes.values()):,}.",
        )
    kept: dict[str, int] = {}
    for name in sorted(sizes, key=lambda name: sizes[name]):
        kept[name] = min(sizes[name], math.ceil((total - sum(kept.values())) / (len(sizes) - len(kept))))
    return {name: kept[name] for name in sizes}


class TailTruncation:
    """keep ← keep − γ (keep − target), for every layer of a compressed network, at each `step`.

    Call it once an optimiser step; it never acts by itself.
    """

    def __init__(self, network: nn.Module, targets: Mapping[str, int], gamma: float = GAMMA) -> None:
        self._layers = {name: frequency(layer) for name, layer in weighted(network).items()}
        self._coefficients = {name: coefficients(layer) for name, layer in weighted(network).items()}
        self._keep = {name: float(layer.kept) for name, layer in self._layers.items()}
        self._targets = dict(targets)
        self._gamma = gamma

    def step(self) -> None:
        for name, layer in self._layers.items():
            target = self._targets[name]
            self._keep[name] -= self._gamma * (self._keep[name] - target)
            # Less than one coefficient above the target counts as there: the series alone never arrives.
            kept = max(target, math.floor(self._keep[name]))
            if kept < layer.kept:
                layer.truncate(kept)

    @property
    def finished(self) -> bool:
        return all(layer.kept <= self._targets[name] for name, layer in self._layers.items())

    def finish(self) -> None:
        """Cut what is still above the target, and drop the coefficients that were cut."""
        for name, layer in self._layers.items():
            if layer.kept > self._targets[name]:
                layer.truncate(self._targets[name])
            vector = self._coefficients[name]
            vector.grad, vector.data = None, vector.data[: layer.kept].clone()
