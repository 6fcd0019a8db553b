"""Batch norms as what they are once trained: a factor and a term for each channel."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from bench.compress.frequency import layers

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class PerChannel(nn.Module):
    """(N, C, …) times `weight` (C,) plus `bias` (C,): two numbers a channel where a batch norm has four.

    `images`: whether its input is always (N, C, H, W).
    """

    def __init__(self, weight: Tensor, bias: Tensor, images: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)
        self.images = images

    def forward(self, x: Tensor) -> Tensor:
        shape = (-1,) + (1,) * (x.dim() - 2)
        return x * self.weight.view(shape) + self.bias.view(shape)

    def convolution(self) -> nn.Conv2d:
        """The same as a convolution of each channel with itself."""
        channels = len(self.bias)
        layer = nn.Conv2d(channels, channels, 1, groups=channels).to(self.bias)
        layer.load_state_dict({"weight": self.weight.reshape(-1, 1, 1, 1), "bias": self.bias})
        return layer


@torch.no_grad()
def folded(network: nn.Module) -> nn.Module:
    """A copy of `network`, in evaluation, with every batch norm that has running statistics as a `PerChannel`."""
    plain = copy.deepcopy(network).eval()
    for name, norm in list(plain.named_modules()):
        if isinstance(norm, _NORMS) and norm.running_mean is not None and norm.running_var is not None:
            weight = torch.rsqrt(norm.running_var + norm.eps)
            if norm.weight is not None:
                weight *= norm.weight
            bias = -norm.running_mean * weight
            if norm.bias is not None:
                bias += norm.bias
            plain = layers.placed(plain, name, PerChannel(weight, bias, isinstance(norm, nn.BatchNorm2d)))
    return plain


def convolved(network: nn.Module) -> nn.Module:
    """A copy of `network` with every `PerChannel` of images as a convolution: one layer of an exported graph, with the
    ReLU in it, where a product and a sum are four. Torch itself is two hundred times slower at it."""
    plain = copy.deepcopy(network)
    for name, layer in list(plain.named_modules()):
        if isinstance(layer, PerChannel) and layer.images:
            plain = layers.placed(plain, name, layer.convolution())
    return plain
