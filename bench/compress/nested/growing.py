"""From a trained network to one in several capacities: pruned along a roadmap to a seed, then frozen and grown back.

NestDNN, Fang et al., MobiCom 2018, arXiv 1810.10090, section 4.1. A capacity's weights are the block of the whole
network's that its channels read and make. Growing trains what is around the block before it: the new filters, and what
the old ones read of the new channels, which the smaller capacities do not have and so do not notice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from bench.compress import fuse, tuning
from bench.compress.narrower import recipe, structure
from bench.compress.narrower.family import Family
from bench.compress.nested import blocks
from bench.compress.nested.blocks import Channels
from bench.compress.nested.target import Nesting
from bench.compress.prune import cutting, pruning
from bench.compress.tensors import half
from bench.errors import UsageError
from bench.networks.count import examples

if TYPE_CHECKING:
    from bench.compress.learner import Learner
    from bench.compress.method import Request


@dataclass(frozen=True, eq=False)
class Grown:
    """The network at each capacity, the smallest first, and of each channel the smallest capacity that has it."""

    modules: tuple[nn.Module, ...]
    channels: Channels


@dataclass(frozen=True)
class _Epochs:
    """Of each step of the roadmap, and of each capacity that is grown."""

    steps: tuple[int, ...]
    grown: int


def grown(learner: Learner, request: Request, family: Family, nesting: Nesting) -> Grown:
    """The learner's network nested, its channels ranked by `request.budget`. Raises UsageError for a target that leaves
    no room for so many capacities, and what pruning raises."""
    network, count = learner.network, nesting.capacities
    roadmap = pruning.steps(family, family.within(nesting.smallest), nesting.smallest, count - 1)
    _expect_room(family, roadmap, network.name)
    epochs = _epochs(request, count, recipe.recipe(request.seed, network.task).epochs)
    parts = [request.budget, repr(roadmap), repr(epochs), repr(network.trained), repr(family.lanes)]

    def tuned(module: nn.Module, title: str, some: int) -> nn.Module:
        request_ = replace(request, fine_tune=some)
        return tuning.tuned(learner, module, request_, (f"nested by {request.budget}, {title}", *parts), recipe.HALF)

    module = learner.ordinary(request)
    places = {
        name: {side: np.arange(n) for side, n in site.width._asdict().items()} for name, site in family.found.items()
    }
    channels = {name: {side: np.full(len(own), count) for side, own in sides.items()} for name, sides in places.items()}
    whole = [module]
    inputs = examples(network.inputs)
    for number, (kept, some) in enumerate(zip(roadmap, epochs.steps, strict=True)):
        stay = cutting.left(module, family.groups, kept, pruning.ranked(learner, request, module), inputs, network.name)
        module = tuned(structure.selected(module, stay), f"step {number + 1} of {count - 1} to the seed", some)
        whole.append(module)
        for name, sides in places.items():
            for side in sides:
                sides[side] = sides[side][list(stay[name][side])] if name in stay else sides[side]
                channels[name][side][sides[side]] = count - 1 - number

    seed = _rounded(whole.pop())
    made = [seed]
    for capacity in range(2, count + 1):
        around = _frozen(whole.pop(), made[-1], channels, capacity, nested_biases(seed, inputs))
        module = tuned(around.module, f"grown to capacity {capacity} of {count}", epochs.grown)
        around.thaw()
        made.append(_rounded(module))
    return Grown(tuple(made), channels)


def _expect_room(family: Family, roadmap: Sequence[tuple[int, ...]], title: str) -> None:
    for wider, narrower in zip([family.whole, *roadmap], roadmap, strict=False):
        if wider == narrower:
            raise UsageError(
                f"{title} has no room for {len(roadmap) + 1} capacities: two of them would have the same channels",
                "Ask for fewer, or for a smaller first one.",
            )


def _epochs(request: Request, count: int, usual: int) -> _Epochs:
    """As many to the seed as pruning takes to a network of its size, and half as many for each capacity above."""
    if request.one_shot:
        return _Epochs((*(0,) * (count - 2), request.fine_tune), request.fine_tune)
    total = request.epochs or usual
    each = max(1, total // (2 * max(1, count - 2)))
    return _Epochs((*(each,) * (count - 2), max(1, total - each * (count - 2))), max(1, total // 2))


def nested_biases(network: nn.Module, inputs: Sequence[Tensor]) -> Callable[[str, blocks.Sides], bool]:
    """Whether the bias of a layer belongs to its filters, frozen with them: not where a norm of each capacity's own is
    behind it, nor where all its channels are in every capacity, as those of a classifier."""
    normed = {layer for layer, _ in fuse.pairs(network, inputs)}
    filters = {name for name, site in structure.sites(network).items() if blocks.is_filter(site)}

    def nested(name: str, sides: blocks.Sides) -> bool:
        return name in filters and name not in normed and max(sides["out"]) > 1

    return nested


class _Kept(nn.Module):
    """A tensor of which some values are given and the others are learnt."""

    def __init__(self, given: Tensor, which: Tensor) -> None:
        super().__init__()
        self.register_buffer("given", given, persistent=False)
        self.register_buffer("which", which, persistent=False)

    def forward(self, learnt: Tensor) -> Tensor:
        return torch.where(self.which, self.given, learnt)  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class _Frozen:
    module: nn.Module
    held: Sequence[tuple[nn.Module, str]]

    def thaw(self) -> None:
        for owner, name in self.held:
            parametrize.remove_parametrizations(owner, name, leave_parametrized=True)


@torch.no_grad()
def _frozen(
    wide: nn.Module, narrow: nn.Module, channels: Channels, capacity: int,
    nested_bias: Callable[[str, blocks.Sides], bool],
) -> _Frozen:  # fmt: skip
    """`wide`, which has a capacity's channels, with the weights of the capacity before it in their places, for good."""
    before = dict(narrow.named_parameters())
    found, held = structure.sites(wide), list[tuple[nn.Module, str]]()
    for path, parameter in list(wide.named_parameters()):
        layer, _, own = path.rpartition(".")
        site = found.get(layer)
        which = blocks.levels(channels, layer, site, own, capacity) if site else None
        if parameter.dim() < 2:
            if which is None or own != "bias" or not nested_bias(layer, channels[layer]):
                continue  # each capacity's own
        elif which is None and parameter.shape == before[path].shape:
            which = torch.ones(parameter.shape, dtype=torch.int64)
        elif which is None:
            raise UsageError(
                f"{path} cannot be nested: its layer has groups of channels, or computes it from others",
                "Prune that network to several sizes instead: --method prune.",
            )
        _keep(wide.get_submodule(layer), own, before[path], which < capacity, held)
    return _Frozen(wide, held)


def _keep(owner: nn.Module, name: str, values: Tensor, which: Tensor, held: list[tuple[nn.Module, str]]) -> None:
    given = torch.zeros(which.shape)
    given[which] = values.flatten()
    parametrize.register_parametrization(owner, name, _Kept(given, which))
    held.append((owner, name))


@torch.no_grad()
def _rounded(module: nn.Module) -> nn.Module:
    """With the float16 values that are shipped. Raises UsageError for what float16 cannot hold."""
    for name, parameter in module.named_parameters():
        parameter.copy_(half(name, parameter))
    return module.eval()
