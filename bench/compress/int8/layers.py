"""Layers that compute in int8, in torch's terms: exactly what ncnn's integer kernels do, by sums that float32 holds.

From `forward_int8` in `src/layer/convolution.cpp`, `convolutiondepthwise.cpp` and `innerproduct.cpp` of ncnn.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.compress.int8 import scales
from bench.export.steps import Rounding
from bench.networks.count import run

Layer = nn.Conv2d | nn.Linear

_SEALED = (nn.MultiheadAttention, nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)
"""These have fast paths that take the weights of the layers inside them and do not call those."""


@dataclass(frozen=True, eq=False)
class Quantised:
    """A layer's weight in int8, (out, …), with the scales of its output channels; and the scale of what goes into the
    layer, None where that was not calibrated."""

    codes: NDArray[np.int8]
    scales: NDArray[np.float32]
    input: float | None = None

    @classmethod
    def of(cls, layer: Layer) -> Quantised:
        return cls(*scales.quantised(layer.weight.detach().float().numpy()))

    def weight(self) -> Tensor:
        """In float32, (out, …)."""
        return torch.from_numpy(scales.dequantised(self.codes, self.scales))


class _Int8(nn.Module):
    """A layer whose input is rounded to int8, as its weight has been. Its sums are whole numbers; each is then
    multiplied by 1/(input scale × weight scale) and gets its bias, in float32."""

    def __init__(self, layer: Layer, made: Quantised, axes: int) -> None:
        super().__init__()
        assert made.input is not None
        into = np.float32(made.input)
        factor = (np.float32(1) / (into * made.scales)).astype(np.float32)

        def channels(values: Tensor) -> Tensor:
            return values.reshape(-1, *[1] * axes)

        self.rounding = Rounding(scales.LEVELS)
        self.codes = _fixed(torch.from_numpy(made.codes.astype(np.float32)))
        self.factor = _fixed(channels(torch.from_numpy(factor)))
        self.bias = None if layer.bias is None else _fixed(channels(layer.bias.detach().clone()))
        self.into = _fixed(torch.tensor(into))

    def sums(self, steps: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, values: Tensor) -> Tensor:
        found = self.sums(self.rounding(values * self.into)) * self.factor
        return found if self.bias is None else found + self.bias


def _fixed(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values, requires_grad=False)


class Int8Linear(_Int8):
    def __init__(self, layer: nn.Linear, made: Quantised) -> None:
        super().__init__(layer, made, axes=0)

    def sums(self, steps: Tensor) -> Tensor:
        return F.linear(steps, self.codes)


class Int8Convolution(_Int8):
    def __init__(self, layer: nn.Conv2d, made: Quantised) -> None:
        super().__init__(layer, made, axes=2)
        self.mode, self.border = layer.padding_mode, list(layer._reversed_padding_repeated_twice)
        self.padding = layer.padding if layer.padding_mode == "zeros" else 0
        self.stride, self.dilation, self.groups = layer.stride, layer.dilation, layer.groups

    def sums(self, steps: Tensor) -> Tensor:
        if self.mode != "zeros":
            steps = F.pad(steps, self.border, mode=self.mode)
        return F.conv2d(steps, self.codes, None, self.stride, self.padding, self.dilation, self.groups)


def sites(network: nn.Module, inputs: Sequence[Tensor]) -> dict[str, Layer]:
    """The layers that ncnn has integer kernels for, by name: convolutions of pictures, those in groups only where each
    channel is one, and linear layers of vectors; with a weight of their own, and called by the forward of one sample.

    Other groups are left out: on x86 with AVX ncnn loses what they compute if a group has a multiple of 8 outputs
    (`ConvolutionDepthWise_x86::forward_int8_x86` expects of each group another packing than `Convolution_x86` has).
    """
    owners = Counter(id(held) for module in network.modules() for held in module._parameters.values())
    sealed = {id(inner) for module in network.modules() if isinstance(module, _SEALED) for inner in module.modules()}
    ranks: dict[str, set[int]] = {}
    found: dict[str, Layer] = {}
    hooks = []
    for name, module in network.named_modules():
        # Only torch's own: what is derived from one may do more with its weight.
        if type(module) not in (nn.Conv2d, nn.Linear) or id(module) in sealed or owners[id(module.weight)] > 1:
            continue
        assert isinstance(module, Layer)
        if isinstance(module, nn.Conv2d) and not _whole_or_each(module):
            continue
        found[name] = module

        def noted(_: nn.Module, given: tuple[Tensor, ...], name: str = name) -> None:
            ranks.setdefault(name, set()).add(given[0].dim())

        hooks.append(module.register_forward_pre_hook(noted))
    try:
        run(network, inputs)
    finally:
        for hook in hooks:
            hook.remove()
    ranked = {name: 2 if isinstance(layer, nn.Linear) else 4 for name, layer in found.items()}
    return {name: layer for name, layer in found.items() if ranks.get(name) == {ranked[name]}}


def _whole_or_each(layer: nn.Conv2d) -> bool:
    return layer.groups == 1 or layer.groups == layer.in_channels == layer.out_channels


def left(network: nn.Module, taken: Mapping[str, object]) -> dict[str, str]:
    """The layers with weights of two axes and more that are not among `taken`, and what kind each is."""
    return {
        name: type(module).__name__
        for name, module in network.named_modules()
        if name not in taken and any(held is not None and held.dim() > 1 for held in module._parameters.values())
    }


@torch.no_grad()
def dequantised(network: nn.Module, made: Mapping[str, Quantised]) -> nn.Module:
    """A copy of `network` with the weights that the codes stand for, and float arithmetic."""
    plain = copy.deepcopy(network).eval()
    for name, one in made.items():
        weight = plain.get_submodule(name)._parameters["weight"]
        assert weight is not None
        weight.copy_(one.weight())
    return plain


def integer(network: nn.Module, made: Mapping[str, Quantised]) -> nn.Module:
    """A copy of `network` in which these layers compute in int8."""
    copied = copy.deepcopy(network).eval()
    for name, one in made.items():
        layer = copied.get_submodule(name)
        assert isinstance(layer, Layer)
        integer = Int8Linear(layer, one) if isinstance(layer, nn.Linear) else Int8Convolution(layer, one)
        if not name:  # the network is that layer
            return integer.eval()
        copied.set_submodule(name, integer)
    return copied.eval()
