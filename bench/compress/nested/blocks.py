"""Which part of each tensor of a network belongs to which capacity, and how a package holds it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.compress import row
from bench.compress.narrower import structure
from bench.compress.narrower.structure import Site
from bench.compress.tensors import is_weight

Channels = Mapping[str, Mapping[str, NDArray[np.int64]]]
"""By site and side ("into", "out"), of each channel of the whole network the smallest capacity that has it, from 1."""
Floats = NDArray[np.float32]
Sides = Mapping[str, NDArray[np.int64]]


def axes(site: Site, tensor: str) -> Mapping[str, int] | None:
    """Along which axis of a layer's tensor channels go in and come out; None for one that is not of channels. Of a
    weight with one of each in every group, as a depthwise convolution's, only its outputs."""
    if site.kind is None or tensor not in site.kind.tensors:
        return None
    found = site.kind.tensors[tensor]
    return {"out": found["out"]} if site.kind.depthwise and "out" in found else found


def levels(channels: Channels, name: str, site: Site, tensor: str, capacity: int) -> Tensor | None:
    """Of each value of a layer's tensor at a capacity the smallest one that has it, in its shape; None where the layer
    has no such tensor of channels, or convolves in several groups, whose channels stay as they are."""
    along, held = axes(site, tensor), site.module._parameters.get(tensor)
    if along is None or held is None or name not in channels or (tensor == "bias" and held.dim() != 1):
        return None
    if tensor == "weight" and held.dim() < 2:
        return None
    made = torch.ones(held.shape, dtype=torch.int64)
    for side, axis in along.items():
        whole = channels[name][side]
        own = torch.from_numpy(whole[whole <= capacity])
        if len(own) != held.shape[axis]:
            return None
        shape = [1] * held.dim()
        shape[axis] = len(own)
        made = torch.maximum(made, own.view(shape))
    return made


def is_filter(site: Site) -> bool:
    """Whether its outputs are each made by weights of their own, which its bias then goes with."""
    return isinstance(site.module, nn.Linear | nn.modules.conv._ConvNd)


class Slot(NamedTuple):
    """A tensor of a network that is computed with: its name, itself, and of the layer that has it the site, if it is
    one, and the tensor's name there."""

    name: str
    tensor: Tensor
    layer: str
    own: str
    site: Site | None

    @property
    def matrix(self) -> bool:
        return is_weight(self.tensor)

    @property
    def swapped(self) -> bool:
        """Whether what comes in is along the first axis."""
        along = axes(self.site, self.own) if self.site else None
        return bool(self.matrix and along and along.get("out") == 1 and along.get("into") == 0)

    def stored(self) -> Floats:
        """Its values as a package has them: (rows, columns, kernel), rows what comes out; a vector as it is."""
        values: NDArray[Any] = self.tensor.detach().float().numpy()
        if not self.matrix:
            return values.reshape(-1)
        values = values.swapaxes(0, 1) if self.swapped else values
        return np.ascontiguousarray(values.reshape(*values.shape[:2], -1))

    @torch.no_grad()
    def fill(self, values: Floats) -> None:
        """What `stored` gave, of the right size."""
        shape = list(self.tensor.shape)
        if self.swapped:
            shape[:2] = shape[1::-1]
        given = torch.from_numpy(values).reshape(shape)
        self.tensor.copy_(given.transpose(0, 1) if self.swapped else given)


def slots(network: nn.Module) -> Iterator[Slot]:
    """All that a network in evaluation computes with, parameters first: what a package holds, in its order."""
    found = structure.sites(network)
    held = dict(network.named_parameters()) | row.buffers(network)
    for name, tensor in held.items():
        if tensor.is_floating_point():
            layer, _, own = name.rpartition(".")
            yield Slot(name, tensor, layer, own, found.get(layer))
