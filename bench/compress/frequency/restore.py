"""A `.frq` package back into a torch network: what `layers.shipped` made of one, undone."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import cast

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrize

from bench.compress.frequency import layers
from bench.compress.frequency.package import Package, Tensor
from bench.errors import UsageError


def restored(network: nn.Module, package: Package) -> nn.Module:
    """A copy of an uncompressed `network` with the package's weights, its FR layers compressed.

    The values are the package's, exactly; what a tensor leaves out is zero. The tensors of a package are in the order
    of the network's modules. Raises UsageError, naming the first difference, when they are not those of `network`.
    """
    copied = copy.deepcopy(network)
    slots = list(_slots(copied))
    if len(slots) != len(package.tensors):
        raise _mismatch(package, f"it has {len(package.tensors)} tensors where the network has {len(slots)}")
    for number, ((path, module, name), tensor) in enumerate(zip(slots, package.tensors, strict=True), 1):
        parameter = cast(nn.Parameter, getattr(module, name))
        vector = not _is_weight(module, name)
        given = (tensor.shape, tensor.vector, tensor.transposed)
        if given != (tuple(parameter.shape), vector, not vector and isinstance(module, nn.ConvTranspose2d)):
            flags = ", transposed" * tensor.transposed + ", a vector" * tensor.vector
            told = "×".join(map(str, tensor.shape)) + flags
            wanted = "×".join(map(str, parameter.shape))
            raise _mismatch(package, f"its tensor {number} is {told} where {path}.{name} is {wanted}")
        _fill(module, name, tensor)
    return copied


def _slots(network: nn.Module) -> Iterator[tuple[str, nn.Module, str]]:
    """Every parameter as (path, module, name), in the order in which `layers.shipped` ships them."""
    compressed = layers.weighted(network)
    for path, module in network.named_modules():
        names = [name for name, _ in module.named_parameters(recurse=False)]
        # A layer's weight comes before whatever else it has.
        for name in sorted(names, key=lambda name: not (path in compressed and name == "weight")):
            yield path, module, name


def _is_weight(module: nn.Module, name: str) -> bool:
    return name == "weight" and isinstance(module, layers.WEIGHTED)


@torch.no_grad()
def _fill(module: nn.Module, name: str, tensor: Tensor) -> None:
    if tensor.kind == "raw":
        values = torch.from_numpy(tensor.values.astype(np.float32))
        cast(nn.Parameter, getattr(module, name)).copy_(values.view(tensor.shape))
        return
    kept = len(tensor.values) if tensor.positions is None else int(tensor.positions[-1]) + 1
    prefix = np.zeros(kept, np.float32)
    prefix[slice(None) if tensor.positions is None else tensor.positions] = tensor.values
    parametrize.register_parametrization(module, name, layers.Frequency(tensor.shape, kept))
    layers.coefficients(module).copy_(torch.from_numpy(prefix))


def _mismatch(package: Package, words: str) -> UsageError:
    return UsageError(
        f"the package of {package.name!r} does not fit this network: {words}",
        "Name the network that it was made of, in the same form.",
    )
