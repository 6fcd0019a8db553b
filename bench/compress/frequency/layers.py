"""FR on a network: every weight becomes the IDCT of its first few coefficients (a torch parametrization).

The layers stay torch's own, so whatever they do (stride, padding, groups) still works; biases and norms are untouched.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from bench.compress.frequency import dct, order, package
from bench.compress.frequency.package import Package

WEIGHTED = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


class Frequency(nn.Module):
    """From coefficients, in the order that `order` defines, to a weight of `shape`, through fixed matrices.

    Takes a vector of at least `kept` coefficients; those beyond `kept` have no influence.
    """

    def __init__(self, shape: tuple[int, ...], kept: int) -> None:
        super().__init__()
        self.shape = shape
        self.truncate(kept)

    def truncate(self, kept: int) -> None:
        """Keep the first `kept` coefficients, 1 … product of shape, from now on."""
        coords = order.prefix(self.shape, kept)
        self.kept = kept
        self.box = order.box(coords)
        self.register_buffer("index", torch.from_numpy(_flat(coords, self.box)), persistent=False)
        for axis, (n, columns) in enumerate(zip(self.shape, self.box, strict=True)):
            matrix = torch.tensor(dct.basis(n, columns), dtype=torch.float32)
            self.register_buffer(f"basis{axis}", matrix, persistent=False)

    def _bases(self) -> list[Tensor]:
        return [cast(Tensor, getattr(self, f"basis{axis}")) for axis in range(len(self.shape))]

    def forward(self, coefficients: Tensor) -> Tensor:
        index = cast(Tensor, self.index)
        core = coefficients.new_zeros(math.prod(self.box)).index_copy(0, index, coefficients[: self.kept])
        core = core.view(self.box)
        # Always the last axis is expanded and comes out first: after N turns the axes are in order again.
        for matrix in reversed(self._bases()):
            core = torch.tensordot(matrix.to(core.dtype), core, dims=([1], [core.dim() - 1]))
        return core

    def right_inverse(self, weight: Tensor) -> Tensor:
        """The nearest coefficients to a weight: its DCT, truncated."""
        for matrix in reversed(self._bases()):
            weight = torch.tensordot(matrix.T.to(weight.dtype), weight, dims=([1], [weight.dim() - 1]))
        return weight.flatten()[cast(Tensor, self.index)]


def _flat(coords: order.Integers, box: tuple[int, ...]) -> order.Integers:
    strides = [math.prod(box[axis + 1 :]) for axis in range(len(box))]
    return coords @ strides


def weighted(network: nn.Module) -> dict[str, nn.Module]:
    """The layers that FR compresses, by name, in the order of the network's modules."""
    return {name: layer for name, layer in network.named_modules() if isinstance(layer, WEIGHTED)}


def compress(network: nn.Module, kept: Mapping[str, int]) -> None:
    """Make every weighted layer of `network` an FR layer, in place: `kept[name]` coefficients nearest its weight."""
    for name, layer in weighted(network).items():
        weight = cast(Tensor, layer.weight)
        parametrize.register_parametrization(layer, "weight", Frequency(tuple(weight.shape), kept[name]))


def frequency(layer: nn.Module) -> Frequency:
    """The parametrization of a compressed layer."""
    return cast(Frequency, cast(parametrize.ParametrizationList, layer.parametrizations["weight"])[0])  # type: ignore[index]


def coefficients(layer: nn.Module) -> nn.Parameter:
    """The coefficients of a compressed layer; those beyond `frequency(layer).kept` are dead."""
    return cast(nn.Parameter, layer.parametrizations["weight"].original)  # type: ignore[index,union-attr]


def decoded(network: nn.Module) -> nn.Module:
    """A copy of a compressed network with ordinary weights."""
    plain = copy.deepcopy(network)
    for layer in weighted(plain).values():
        weight = cast(Tensor, layer.weight).detach()
        # torch's own removal also takes the property off the class, which a copy shares with its original.
        layer.__class__ = parametrize.type_before_parametrizations(layer)
        del layer.parametrizations
        layer.weight = nn.Parameter(weight)
    return plain


def shipped(name: str, network: nn.Module) -> Package:
    """What is shipped of a compressed network: float16 coefficients, and its other parameters raw in float16.

    Tensors are in the network's own order; whoever writes them for a graph puts them in that graph's load order.
    """
    tensors: list[package.Tensor] = []
    compressed = weighted(network)
    for path, module in network.named_modules():
        if path in compressed:
            kept = coefficients(module).detach()[: frequency(module).kept].numpy().astype(np.float16)
            transposed = isinstance(module, nn.ConvTranspose2d)
            tensors.append(package.Tensor(frequency(module).shape, kept, "prefix", transposed=transposed))
        if "parametrizations" not in path:
            for parameter in module.parameters(recurse=False):
                values = parameter.detach().flatten().numpy().astype(np.float16)
                tensors.append(package.Tensor(tuple(parameter.shape), values, "raw", vector=True))
    return Package(name, tuple(tensors))


@torch.no_grad()
def round_to_half(network: nn.Module) -> None:
    """Round every parameter of a compressed network to a float16 value, as the package stores it, in place."""
    for parameter in network.parameters():
        parameter.copy_(parameter.half().float())
