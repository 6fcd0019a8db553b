"""A `.frq` package back into a torch network: what `layers.shipped` made of one, undone."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from bench.compress.frequency import layers, norms
from bench.compress.frequency.package import Package, Tensor
from bench.errors import UsageError

if TYPE_CHECKING:
    from bench.networks import Network


def restored(network: nn.Module, package: Package) -> nn.Module:
    """A copy of an uncompressed `network` with the package's weights, its FR layers compressed.

    The values are the package's, exactly; what a tensor leaves out is zero. The tensors of a package are in the order
    of the network's modules, whose batch norms are as they were or `norms.folded`. Raises UsageError, naming the first
    difference, when they are not those of `network`.
    """
    copied = copy.deepcopy(network)
    if len(package.tensors) < len(list(layers.parts(copied))):
        copied = norms.folded(network)
    parts = list(layers.parts(copied))
    if len(parts) != len(package.tensors):
        raise _mismatch(package, f"it has {len(package.tensors)} tensors where the network has {len(parts)}")
    for number, ((name, part), tensor) in enumerate(zip(parts, package.tensors, strict=True), 1):
        site = part if isinstance(part, layers.Site) else None
        shape = site.shape if site else tuple(part.shape) or (1,)
        given = (tensor.shape, tensor.vector and site is not None, tensor.transposed)
        if given != (shape, False, site is not None and site.transposed):
            flags = ", transposed" * tensor.transposed + ", a vector" * tensor.vector
            told = "×".join(map(str, tensor.shape)) + flags
            raise _mismatch(package, f"its tensor {number} is {told} where {name} is {'×'.join(map(str, shape))}")
        _fill(part, tensor)
    return copied


def of_either_form(network: Network, ordinary: nn.Module, package: Package) -> nn.Module:
    """`restored` in evaluation, of the form of `network` that FR trains where the package is of that, else of the
    ordinary one. Raises what `restored` raises."""
    if network.learner is not None:
        try:
            return restored(network.learner(), package).eval()
        except UsageError:  # it was made of the ordinary form, or is refused with what is wrong with that
            pass
    return restored(ordinary, package).eval()


@torch.no_grad()
def _fill(part: layers.Site | torch.Tensor, tensor: Tensor) -> None:
    if not isinstance(part, layers.Site) or tensor.kind == "raw":
        values = torch.from_numpy(tensor.numbers).view(part.shape)
        if isinstance(part, layers.Site):
            part.weight.copy_(layers.regrouped(values, part.groups))
        else:
            part.copy_(values)
        return
    kept = len(tensor.values) if tensor.positions is None else int(tensor.positions[-1]) + 1
    prefix = np.zeros(kept, np.float32)
    prefix[slice(None) if tensor.positions is None else tensor.positions] = tensor.numbers
    part.compress(layers.Frequency(tensor.shape, kept, part.groups))
    part.frequency.scale = tensor.scale
    part.coefficients.copy_(torch.from_numpy(prefix))


def _mismatch(package: Package, words: str) -> UsageError:
    return UsageError(
        f"the package of {package.name!r} does not fit this network: {words}",
        "Name the network that it was made of, in the same form.",
    )
