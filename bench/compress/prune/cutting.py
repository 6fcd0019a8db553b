"""The network without those channels that matter least."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from bench.compress.narrower import scaling, structure
from bench.compress.narrower.scaling import Group, Kept
from bench.compress.prune.rankings import Rank
from bench.errors import UsageError


def cut(
    network: nn.Module, groups: Sequence[Group], kept: Kept, rank: Rank, inputs: tuple[Tensor, ...], title: str
) -> nn.Module:
    """A copy of `network`, which is one of the family with these `groups`, of each of which so many channels are left:
    those that `rank` puts first, in their order. `inputs` is one sample of each input.

    Raises UsageError where channels cannot be told apart as the layers that have them would need it.
    """
    return _cut(network, left(network, groups, kept, rank, inputs, title), title)


def left(
    network: nn.Module, groups: Sequence[Group], kept: Kept, rank: Rank, inputs: tuple[Tensor, ...], title: str
) -> dict[str, structure.Stay]:
    """Which channels `cut` leaves, of the sites that lose some. Raises as it does."""
    found = structure.sites(network)
    by_root = {coupled.root: coupled for coupled in scaling.dependencies(network, inputs, title)}
    try:
        gone: dict[tuple[str, str], set[int]] = {}
        for group, few in zip(groups, kept, strict=True):
            coupled = by_root[group.root]
            if few < coupled.channels:
                stay = set(staying(rank(coupled), few, _blocks(group, found)))
                for name, out, places, roots in coupled.sides:
                    assert name is not None  # of a group that can be smaller every layer is known
                    for side in structure.sides_of(found[name], out):
                        lost = {place for place, root in zip(places, roots, strict=True) if root not in stay}
                        gone.setdefault((name, side), set()).update(lost)
        return {
            name: {
                side: [place for place in range(size) if place not in gone.get((name, side), ())]
                for side, size in found[name].width._asdict().items()
            }
            for name in dict.fromkeys(name for name, _ in gone)
        }
    except ValueError as error:
        raise _uneven(title, error) from None


def _cut(network: nn.Module, stay: Mapping[str, structure.Stay], title: str) -> nn.Module:
    try:
        return structure.selected(network, stay)
    except ValueError as error:
        raise _uneven(title, error) from None


def _uneven(title: str, error: ValueError) -> UsageError:
    return UsageError(
        f"{title} cannot be pruned: of one of its layers in groups {error}",
        "Train a narrower network of the same family instead: --method dense-small.",
    )


def staying(scores: Tensor, few: int, blocks: int) -> list[int]:
    """The places of the `few` highest scores, of several equal ones the first; of `blocks`, equal parts of a group of
    which as many have to stay in each, the same places in all. Raises ValueError where it has no such parts."""
    if len(scores) % blocks or few % blocks:
        raise ValueError(f"the groups, {blocks}, do not divide its channels")
    of_block = scores.view(blocks, -1).mean(0)
    best = torch.argsort(of_block, descending=True, stable=True)[: few // blocks]
    return [int(place) + block * len(of_block) for block in range(blocks) for place in best]


def _blocks(group: Group, found: Mapping[str, structure.Site]) -> int:
    """Into how many equal parts the channels fall, of each of which as many have to stay."""
    return math.lcm(*(found[name].groups for name, _ in group.sides))
