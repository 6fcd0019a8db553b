"""Which channels of a network go together, by torch-pruning's dependency graph, and how many of each to keep.

Fang et al., DepGraph: Towards Any Structural Pruning, CVPR 2023, arXiv 2301.12900. Nothing of a network's weights is
looked at, and what comes out are widths alone: reading a package back needs none of this.
"""

from __future__ import annotations

import bisect
import copy
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn

from bench.compress.narrower.structure import Site, Width, possible, resized, sides_of, sites
from bench.errors import UsageError
from bench.guest import guest
from bench.networks.count import run

_GRID = 4096
"""Scales that are told apart."""
LANES = 4
"""What odd widths cost by ncnn: docs/methods.md has the figures."""
_FEW = 4
"""With fewer channels than these a layer is a bottleneck. LeNet-5 in 1.6 kB, 30 epochs: 91.3 % by one factor (1, 2
and 20 channels), 94.9 % by one power (2, 3 and 8)."""
_SPARE = 1.25
"""How much wider than its share a group may become."""
NARROWER = "Scale it down by a narrower network of your own, and measure that."
_ROOTS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Linear)
_WEIGHTLESS = ("CONCAT", "SPLIT", "ELEMENTWISE", "RESHAPE", "UNBIND", "EXPAND", "SLICE", "OUTPUT")
"""torch-pruning's kinds of nodes that are no layers with weights."""


@dataclass(frozen=True)
class Group:
    """Channels that can only go together. Of `channels` a multiple of `step` can be kept; `sides` is how many of the
    channels on a side ("into", "out") of a site are theirs when all are there. `root` is the layer that makes them."""

    channels: int
    step: int
    sides: Mapping[tuple[str, str], int]
    root: str = ""
    lanes: int = LANES

    def nearest(self, width: float) -> int:
        """The possible number of channels that is closest, at least one step; from four on a multiple of four if that
        can be, since kernels take so many at once, and from `lanes` on of these."""
        unit = self.step
        for lanes in dict.fromkeys((LANES, self.lanes)):
            if width >= lanes and (together := math.lcm(self.step, lanes)) <= max(self.step, lanes):
                unit = together
        return min(self.channels, unit * max(1, round(width / unit)))


Kept = tuple[int, ...]
"""Channels of each group."""


def widths(found: Mapping[str, Site], groups: Sequence[Group], kept: Kept) -> dict[str, Width]:
    """Of the sites that change when of each group so many channels are kept."""
    left: dict[str, dict[str, int]] = {}
    for group, few in zip(groups, kept, strict=True):
        for (name, side), count in group.sides.items():
            sizes = left.setdefault(name, found[name].width._asdict())
            sizes[side] -= count - count * few // group.channels
    return {name: Width(**sizes) for name, sizes in left.items()}


def groups(network: nn.Module, inputs: Sequence[torch.Tensor], title: str, lanes: int = LANES) -> list[Group]:
    """The groups that can be made smaller with the outputs left as they are, widest structure first as torch-pruning
    finds them; those of fewer than two times `lanes` channels keep the usual ones. `inputs` is one sample of each
    input. Raises UsageError, naming why, where there is none."""
    probe, shown = light(network, inputs)
    found = sites(network)  # on a device without values tied weights are not tied any more
    shapes = [output.shape for output in run(probe, shown)]
    told = [_group(coupled, found, lanes) for coupled in dependencies(probe, shown, title)]
    good = []
    for group in filter(None, told):
        fewer = group.channels - group.step
        if fewer < 2:  # one channel would be broadcast where another number does not fit
            continue
        made = widths(found, [group], (fewer,))
        if all(possible(found[name], width) for name, width in made.items()) and _runs(probe, made, shown, shapes):
            good.append(group)
    if not good:
        raise UsageError(
            f"{title} cannot be scaled down: none of its {len(told)} groups of channels can be fewer without changing "
            "what its forward computes with (attention, fixed shapes) or its outputs",
            NARROWER,
        )
    return good


def light(network: nn.Module, inputs: Sequence[torch.Tensor]) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    """The network without values, where its forward does not ask for them; a copy of it elsewhere."""
    plain = copy.deepcopy(network).eval()
    for parameter in plain.parameters():
        parameter.requires_grad_(parameter.is_floating_point())  # the graph is found by what gradients pass through
    try:
        meta, shown = copy.deepcopy(plain).to("meta"), tuple(tensor.to("meta") for tensor in inputs)
        run(meta, shown)
    except (UsageError, RuntimeError, NotImplementedError):
        return plain, tuple(inputs)
    return meta, shown


def _runs(network: nn.Module, made: Mapping[str, Width], inputs: Sequence[torch.Tensor], shapes: list[Any]) -> bool:
    try:
        return [output.shape for output in run(resized(network, made), inputs)] == shapes
    except (UsageError, RuntimeError):
        return False


class Side(NamedTuple):
    """Of a layer (None: one without a name), whether it is its outputs, which of its channels, and of the whole group
    the channel that each of these goes with."""

    name: str | None
    out: bool
    places: list[int]
    roots: list[int]


@dataclass(frozen=True, eq=False)
class Coupled:
    """A group as torch-pruning found it (`group`), which its importances take."""

    root: str | None
    channels: int
    sides: list[Side]
    group: Any


def dependencies(network: nn.Module, inputs: tuple[torch.Tensor, ...], title: str) -> list[Coupled]:
    """torch-pruning's groups, all that it finds. Raises UsageError where it cannot follow."""
    import torch_pruning
    from torch_pruning.ops import OPTYPE

    weightless = {getattr(OPTYPE, name) for name in _WEIGHTLESS}
    names = {id(module): name for name, module in network.named_modules()}
    names |= {id(parameter): name for name, parameter in network.named_parameters()}
    try:
        with torch.enable_grad(), guest(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph = torch_pruning.DependencyGraph().build_dependency(network, example_inputs=inputs, verbose=False)
            return [
                Coupled(
                    names.get(id(group[0].dep.target.module)),
                    len(group[0].idxs),
                    [
                        Side(
                            names.get(id(item.dep.target.module)),
                            graph.is_out_channel_pruning_fn(item.dep.handler),
                            list(item.idxs),
                            list(item.root_idxs),
                        )
                        for item in group.items
                        if item.dep.target.type not in weightless
                    ],
                    group,
                )
                for group in graph.get_all_groups(root_module_types=_ROOTS)
            ]
    except Exception as error:  # of any kind: it walks over a stranger's network
        words = " ".join(str(error).split())[:200] or type(error).__name__
        raise UsageError(
            f"{title} cannot be scaled down: torch-pruning cannot follow its forward ({type(error).__name__}: {words})",
            NARROWER,
        ) from None


def _group(coupled: Coupled, found: Mapping[str, Site], lanes: int) -> Group | None:
    """None for channels of a layer that has to stay as it is, or of too few to say."""
    sides: dict[tuple[str, str], int] = {}
    channels = coupled.channels
    for name, out, places, _ in coupled.sides:
        if name is None or name not in found:
            return None
        for side in sides_of(found[name], out):
            sides[name, side] = max(sides.get((name, side), 0), len(places))

    def whole(step: int) -> bool:
        """Whether every side of a site changes by whole channels, and whole groups of channels."""
        return all(step * n % (channels * found[name].groups) == 0 for (name, _), n in sides.items())

    step = next((step for step in range(1, channels // 2 + 1) if channels % step == 0 and whole(step)), None)
    if step is None:
        return None
    return Group(channels, step, sides, coupled.root or "", lanes if channels >= 2 * lanes else LANES)


def fitting(groups: Sequence[Group], fits: Callable[[Kept], bool]) -> Kept | None:
    """The widest network of the family that `fits`; None where not even the narrowest does.

    All groups are narrower by one factor. Where that leaves one of them with next to nothing, since the wide ones take
    all that there is, widths are one power of what they were instead.
    """
    kept, shares = _widest(groups, fits, lambda channels, scale: channels * scale)
    if all(share >= min(_FEW, group.channels) for share, group in zip(shares, groups, strict=True)):
        return kept
    return _widest(groups, fits, lambda channels, scale: channels**scale)[0]


def _widest(
    groups: Sequence[Group], fits: Callable[[Kept], bool], law: Callable[[int, float], float]
) -> tuple[Kept | None, list[float]]:
    """At the largest scale in 0..1, by bisection; then what room is left goes to the groups that rounding has cut most.
    `law` gives the width of so many channels at a scale; also returns what that is for each group."""

    def at(steps: int) -> Kept:
        return tuple(group.nearest(law(group.channels, steps / _GRID)) for group in groups)

    most = bisect.bisect_left(range(1, _GRID + 1), True, key=lambda steps: not fits(at(steps)))
    if most == 0:
        return None, [0.0] * len(groups)
    kept, shares = at(most), [law(group.channels, most / _GRID) for group in groups]
    for place in sorted(range(len(groups)), key=lambda place: kept[place] / shares[place]):
        group = groups[place]
        more = range(kept[place], group.nearest(_SPARE * shares[place] + group.step) + 1, group.step)
        wider = [(*kept[:place], few, *kept[place + 1 :]) for few in more if few == group.nearest(few)]
        kept = wider[bisect.bisect_left(wider, True, 1, key=lambda tried: not fits(tried)) - 1]
    return kept, shares
