"""Batch norms as what they are once trained: a factor and a term for each channel."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PerChannel(nn.Module):
    """(N, C, H, W) times `weight` (C, 1, 1, 1) plus `bias` (C,): two numbers a channel where a batch norm has four."""

    def __init__(self, factors: Tensor, terms: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(factors.reshape(-1, 1, 1, 1))
        self.bias = nn.Parameter(terms)

    def forward(self, x: Tensor) -> Tensor:
        # A convolution of each channel with itself is one layer of the exported graph, ReLU included; a product and a
        # sum are four. Unlike a norm, it is not folded into the weight before it, which has to stay its coefficients.
        return F.conv2d(x, self.weight, self.bias, groups=len(self.bias))


@torch.no_grad()
def folded(network: nn.Module) -> nn.Module:
    """A copy of `network`, in evaluation, with every batch norm that has running statistics as a `PerChannel`."""
    plain = copy.deepcopy(network).eval()
    for name, norm in list(plain.named_modules()):
        if isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None:
            factors = torch.rsqrt(norm.running_var + norm.eps)
            if norm.weight is not None:
                factors *= norm.weight
            terms = -norm.running_mean * factors
            if norm.bias is not None:
                terms += norm.bias
            plain.set_submodule(name, PerChannel(factors, terms))
    return plain
