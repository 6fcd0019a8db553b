"""How wide each layer of a network is, and the same network with other widths. Knows nothing of who chose them."""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_CHANNEL_NORMS = (
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d),
    *(nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d),
)


class Width(NamedTuple):
    """Channels that go into a layer and come out of it; of a norm or a bare parameter the same."""

    into: int
    out: int


Widths = Mapping[str, Width]
"""Of sites by name; a site that is not named is as wide as it was."""


@dataclass(frozen=True)
class Kind:
    """What decides the shape of a layer: its attributes of both widths, and for each of its tensors the axes along
    which channels go in and come out. `groups` are those of a convolution; in a depthwise one they go with the width.
    """

    into: str
    out: str
    tensors: Mapping[str, Mapping[str, int]]
    groups: int = 1
    depthwise: bool = False
    tuples: bool = False
    """Whether the attributes are tuples of one, as a layer norm's."""


@dataclass(frozen=True, eq=False)
class Site:
    """A layer whose width can be another one, or a bare parameter of the network's own (`kind` is None)."""

    name: str
    width: Width
    kind: Kind | None
    axis: int = 0
    """Of a bare parameter: the one of its channels."""
    module: nn.Module = field(default_factory=nn.Identity)

    @property
    def single(self) -> bool:
        """Whether as many channels come out as go in, by its kind."""
        return self.kind is None or self.kind.into == self.kind.out or self.kind.depthwise

    @property
    def groups(self) -> int:
        """What both widths have to be a multiple of."""
        return 1 if self.kind is None or self.kind.depthwise else self.kind.groups


def sites(network: nn.Module) -> dict[str, Site]:
    """By name, in the network's order. Layers that share a tensor with another one, that compute it from others, or of
    a kind that is not known here are left out: these stay as they are."""
    owners = Counter(id(held) for module in network.modules() for held in module._parameters.values())
    found: dict[str, Site] = {}
    for name, module in network.named_modules():
        own = [held for held in module._parameters.values() if held is not None]
        if any(owners[id(held)] > 1 for held in own):
            continue
        if (kind := _kind(module)) is not None:
            into, out = (getattr(module, attribute) for attribute in (kind.into, kind.out))
            width = Width(into[0], out[0]) if kind.tuples else Width(into, out)
            found[name] = Site(name, width, kind, module=module)
            continue
        if isinstance(module, nn.MultiheadAttention | nn.RNNBase) or hasattr(module, "parametrizations"):
            continue
        for parameter, held in module._parameters.items():
            if held is not None and (axis := _last_wide(held)) is not None:
                path = f"{name}.{parameter}" if name else parameter
                found[path] = Site(path, Width(held.shape[axis], held.shape[axis]), None, axis, module)
    return found


def _last_wide(parameter: Tensor) -> int | None:
    """The last axis of more than one, which torch-pruning takes for the channels of a bare parameter."""
    wide = [axis for axis, size in enumerate(parameter.shape) if size > 1]
    return wide[-1] if wide else None


def _kind(module: nn.Module) -> Kind | None:
    one = {"out": 0}
    if isinstance(module, _CONVOLUTIONS + _TRANSPOSED):
        weight = {"out": 1, "into": 0} if isinstance(module, _TRANSPOSED) else {"out": 0, "into": 1}
        depthwise = module.groups == module.in_channels == module.out_channels > 1
        kind = Kind("in_channels", "out_channels", {"weight": weight, "bias": one}, module.groups, depthwise)
    elif isinstance(module, nn.Linear):
        kind = Kind("in_features", "out_features", {"weight": {"out": 0, "into": 1}, "bias": one})
    elif isinstance(module, _CHANNEL_NORMS):
        names = ["weight", "bias", "running_mean", "running_var"]
        return Kind("num_features", "num_features", dict.fromkeys(names, one))
    elif isinstance(module, nn.GroupNorm):
        return Kind("num_channels", "num_channels", dict.fromkeys(("weight", "bias"), one), module.num_groups)
    elif isinstance(module, nn.LayerNorm) and len(module.normalized_shape) == 1:
        names = ["weight", "bias"]
        return Kind("normalized_shape", "normalized_shape", dict.fromkeys(names, one), tuples=True)
    elif isinstance(module, nn.PReLU) and module.num_parameters > 1:
        return Kind("num_parameters", "num_parameters", {"weight": one})
    elif isinstance(module, nn.Embedding):
        return Kind("embedding_dim", "embedding_dim", {"weight": {"out": 1}})
    else:
        return None
    # A parametrization computes it, or it has no shape yet.
    held = module._parameters.get("weight")
    return None if held is None or isinstance(held, nn.parameter.UninitializedParameter) else kind


def sides_of(site: Site, out: bool) -> tuple[str, ...]:
    """Which sides of a site change with its outputs, or with what goes in."""
    if site.single:
        return ("into", "out")
    return ("out",) if out else ("into",)


def possible(site: Site, width: Width) -> bool:
    """Whether the layer can be that wide: no wider than it was, and in whole groups."""
    if not (1 <= width.into <= site.width.into and 1 <= width.out <= site.width.out):
        return False
    if site.single and width.into != width.out:
        return False
    return width.into % site.groups == width.out % site.groups == 0


@torch.no_grad()
def resized(network: nn.Module, widths: Widths) -> nn.Module:
    """A copy of `network` whose sites of these names are that wide. What is left of a weight are its first channels,
    larger by √(inputs before / inputs now), so that seeded initial weights stay what its family calls initial weights.
    """
    made = copy.deepcopy(network)
    found = sites(made)
    for name, width in widths.items():
        site = found[name]
        if width == site.width:
            continue
        if site.kind is None:
            _replace(site, range(width.out))
        else:
            _resize(site.module, site.kind, width, partial(_first, site.kind, site.width, width))
    return made


Stay = Mapping[str, Sequence[int]]
"""Which channels of a site are left, ascending, on its sides "into" and "out"."""


@torch.no_grad()
def selected(network: nn.Module, left: Mapping[str, Stay]) -> nn.Module:
    """A copy of `network` of whose sites of these names only those channels are left, with the values that they have.

    Raises ValueError where the groups of a convolution or norm would not be left with equally many channels each.
    """
    made = copy.deepcopy(network)
    found = sites(made)
    for name, stay in left.items():
        site = found[name]
        width = Width(len(stay["into"]), len(stay["out"]))
        if site.kind is None:
            _replace(site, stay["out"])
        else:
            for side, size in site.width._asdict().items():
                _in_groups(stay[side], size, site.groups)
            _resize(site.module, site.kind, width, partial(_picked, site.kind, site.width, stay))
    return made


def _replace(site: Site, stay: Sequence[int]) -> None:
    """Of a bare parameter only those channels are left."""
    parameter = site.name.rpartition(".")[2]
    held = site.module._parameters[parameter]
    assert held is not None
    left = held.index_select(site.axis, torch.tensor(stay, device=held.device))
    site.module._parameters[parameter] = _parameter(held, left)


def _first(kind: Kind, before: Width, now: Width, tensor: Tensor, axes: Mapping[str, int]) -> Tensor:
    shape, sizes = list(tensor.shape), now._asdict()
    groups = now.out if kind.depthwise else kind.groups
    for side, axis in axes.items():
        # Axis 0 counts the channels of all groups, axis 1 those of one.
        shape[axis] = sizes[side] // (groups if axis == 1 and len(axes) == 2 else 1)
    less = tensor[tuple(slice(size) for size in shape)]
    return less * math.sqrt(before.into / now.into) if "into" in axes and not kind.depthwise else less


def _picked(kind: Kind, before: Width, stay: Stay, tensor: Tensor, axes: Mapping[str, int]) -> Tensor:
    sizes = before._asdict()
    for side, axis in sorted(axes.items(), key=lambda one: -one[1]):
        if axis == 0 or len(axes) == 1:
            tensor = tensor.index_select(axis, torch.tensor(stay[side], device=tensor.device))
        elif not kind.depthwise:
            places = _in_groups(stay[side], sizes[side], kind.groups)
            rows = zip(tensor.chunk(kind.groups, 0), places, strict=True)
            tensor = torch.cat([row.index_select(1, torch.tensor(of, device=row.device)) for row, of in rows])
    return tensor


def _in_groups(stay: Sequence[int], channels: int, groups: int) -> list[list[int]]:
    """For each group of so many `channels` the places within it. Raises ValueError unless they are equally many."""
    each = channels // groups
    found = [[place - number * each for place in stay if place // each == number] for number in range(groups)]
    if len({len(places) for places in found}) > 1:
        raise ValueError("the groups would be left with different numbers of channels")
    return found


def _resize(module: Any, kind: Kind, now: Width, part: Callable[[Tensor, Mapping[str, int]], Tensor]) -> None:
    """Give the layer other widths; `part` makes of each of its tensors, with its axes, what is left."""
    for name, axes in kind.tensors.items():
        held = module._parameters.get(name)
        tensor = held if held is not None else module._buffers.get(name)
        if tensor is None:
            continue
        less = part(tensor, axes)
        if held is not None:
            module._parameters[name] = _parameter(held, less)
        else:
            module._buffers[name] = less.clone()
    for attribute, size in ((kind.into, now.into), (kind.out, now.out)):
        setattr(module, attribute, (size,) if kind.tuples else size)
    if kind.depthwise:
        module.groups = now.out


def _parameter(old: Tensor, values: Tensor) -> nn.Parameter:
    return nn.Parameter(values.clone(), requires_grad=old.requires_grad)


def numbers(found: Mapping[str, Site], widths: Widths) -> list[int]:
    """Both widths of each site in order: what a package says of the structure."""
    return [size for name, site in found.items() for size in widths.get(name, site.width)]


def widths_of(found: Mapping[str, Site], told: Sequence[int]) -> Widths | None:
    """What `numbers` made; None where there are more or fewer numbers than this network needs."""
    if len(told) != 2 * len(found):
        return None
    pairs: Iterator[int] = iter(told)
    return {name: Width(into, out) for name, into, out in zip(found, pairs, pairs, strict=True)}
