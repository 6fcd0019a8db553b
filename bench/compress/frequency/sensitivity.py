"""The budget that measures: which coefficients a trained network misses least."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.compress.frequency.budget import Split, check, sizes
from bench.compress.frequency.layers import Frequency, decoded, sites

Loss = Callable[[nn.Module], float]

BLOCK = 0.1
"""The share of a weight's remaining coefficients that is tried and removed at once."""


def sensitivity(network: nn.Module, loss: Loss) -> Split:
    """From all coefficients down, again and again that block of a site's last ones goes which raises `loss` least for
    each of them.

    `network` is trained, compressed or not, and stays as it is. `loss` computes what shall stay small (over some
    hundred samples, say) of a network in evaluation with ordinary weights. A block is measured in the network as
    truncated so far, and again before it is taken, so that layers which depend on each other are accounted for.
    """
    start = sizes(network)
    further = _path(network, loss)
    found: list[tuple[str, int]] = []

    def split(total: int) -> dict[str, int]:
        check(total, start)
        kept, over, taken = dict(start), sum(start.values()) - total, 0
        while over > 0:
            if taken == len(found):
                found.append(next(further))
            name, end = found[taken]
            cut = min(over, kept[name] - end)
            kept[name] -= cut
            over -= cut
            taken += 1
        return kept

    return split


@dataclass(order=True)
class _Block:
    """The last coefficients of a site, down to `end`: what each costs, and the network's loss without them."""

    cost: float
    place: int
    name: str
    end: int
    loss: float
    age: int
    """How many blocks had gone when it was measured."""


@torch.no_grad()
def _path(network: nn.Module, loss: Loss) -> Iterator[tuple[str, int]]:
    """The blocks that go, in turn, each as its site and what that keeps afterwards; until every site keeps one."""
    kept = sizes(network)
    plain = decoded(network).eval()
    found = sites(plain)
    weights: dict[str, Tensor] = {name: site.weight for name, site in found.items()}
    making = {name: Frequency(site.shape, kept[name], site.groups).to(weights[name]) for name, site in found.items()}
    coefficients = {name: making[name].right_inverse(weight) for name, weight in weights.items()}
    current, gone = loss(plain), 0

    def cut(name: str, end: int) -> None:
        making[name].truncate(end)
        weights[name].copy_(making[name](coefficients[name]))

    def measured(name: str) -> _Block:
        whole, end = weights[name].clone(), max(1, min(kept[name] - 1, int(kept[name] * (1 - BLOCK))))
        cut(name, end)
        found = loss(plain)
        weights[name].copy_(whole)
        return _Block((found - current) / (kept[name] - end), list(kept).index(name), name, end, found, gone)

    heap = [measured(name) for name in kept if kept[name] > 1]
    heapq.heapify(heap)
    while heap:
        block = heapq.heappop(heap)
        if block.age < gone:
            heapq.heappush(heap, measured(block.name))
            continue
        cut(block.name, block.end)
        kept[block.name], current, gone = block.end, block.loss, gone + 1
        yield block.name, block.end
        if block.end > 1:
            heapq.heappush(heap, measured(block.name))
