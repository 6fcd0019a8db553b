"""FR training: from seeded coefficients, by dynamic tail truncation, to float16 values."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.compress.frequency.layers import Site, compress, round_to_half, sites
from bench.compress.frequency.schedule import TailTruncation, uniform
from bench.compress.training import Recipe, fit
from bench.records import Progress

HEADROOM = 4
"""Training starts with so many times the coefficients that stay."""
ENERGY = 0.4
"""Norm of each output's weights at the start: a third of what He's rule gives. Low frequencies all add up, so that
its full size starts far too steep."""


def recipe(seed: int) -> Recipe:
    """What suits a small FR network and a few thousand digits."""
    return Recipe(epochs=45, batch=50, rate=0.08, distortion=0.7, seed=seed)


def targets(network: nn.Module, total: int) -> dict[str, int]:
    """How many coefficients each layer of an uncompressed network keeps of `total`. Raises UsageError."""
    return uniform(_sizes(network), total)


def _sizes(network: nn.Module) -> dict[str, int]:
    return {name: site.weight.numel() for name, site in sites(network).items()}


def unit(site: Site, kept: int) -> float:
    """The size of each of `kept` coefficients that gives every output's weights the norm 1, on average.

    Basis functions are orthonormal, so that the squares of a layer's coefficients sum to those of its weight.
    """
    return math.sqrt(site.frequency.shape[1 if site.transposed else 0] / kept)


@torch.no_grad()
def seed_coefficients(network: nn.Module, seed: int, energy: float) -> None:
    """Give a compressed network random coefficients, `energy` the norm of each output's weights, and no bias."""
    generator = torch.Generator().manual_seed(seed)
    for site in sites(network).values():
        site.coefficients.normal_(0, energy * unit(site, site.frequency.kept), generator=generator)
        if isinstance(site.module.bias, Tensor):
            site.module.bias.zero_()


def train(
    network: nn.Module,
    inputs: NDArray[np.float32],
    labels: NDArray[np.int64],
    total: int,
    recipe: Recipe,
    progress: Progress,
) -> None:
    """Compress `network` in place to `total` coefficients, trained on images (N, C, H, W) from seeded coefficients.

    Starts with HEADROOM times the target and cuts the tail after each step; ends with float16 values. The recipe's
    rate is of a layer's weight as a whole: coefficients take steps of rate · `unit`, so that one rate suits any number
    of them. Raises UsageError for a total that the network cannot have.
    """
    sizes, kept = _sizes(network), targets(network, total)
    compress(network, {name: min(sizes[name], HEADROOM * kept[name]) for name in kept})
    seed_coefficients(network, recipe.seed, ENERGY)
    groups = [
        {"params": [site.coefficients], "lr": recipe.rate * unit(site, kept[name])}
        for name, site in sites(network).items()
    ]
    biases = [site.module.bias for site in sites(network).values() if site.module.bias is not None]
    groups.append({"params": biases, "lr": recipe.rate / 40})
    truncation = TailTruncation(network, kept)
    fit(network, inputs, labels, recipe, progress, groups, truncation.step)
    truncation.finish()
    round_to_half(network)
