"""FR training: from seeded coefficients, by dynamic tail truncation, to float16 values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from bench.compress.checkpoint import Checkpoint
from bench.compress.frequency import factor
from bench.compress.frequency.budget import sizes, uniform
from bench.compress.frequency.int8 import rounding
from bench.compress.frequency.layers import Site, compress, round_to_half, sites
from bench.compress.frequency.nesting import Nest, gain
from bench.compress.frequency.schedule import GAMMA, TailTruncation
from bench.compress.objective import Matching
from bench.compress.training import Recipe, Samples, best_device, fit, half
from bench.records import Progress, Task

HEADROOM = 4
"""Training starts with this many times the final number of coefficients."""
ENERGY = 0.4
"""Norm of each output's weights at the start: a third of what He's rule gives. Low frequencies all add up, so that
its full size starts far too steep."""
HALF = 0.1
"""The last part of the training, which computes with float16 values."""


def recipe(seed: int, task: Task = "classification") -> Recipe:
    """What suits a small FR network and some thousand small images, or a UNet without biases and images with a class
    for each pixel."""
    if task == "segmentation":
        return Recipe(epochs=8, batch=8, rate=0.05, distortion=0, seed=seed, half=HALF)
    return Recipe(epochs=60, batch=50, rate=0.04, distortion=0.7, seed=seed, half=HALF)


def recipe_of_fine_tuning(seed: int, task: Task = "classification") -> Recipe:
    """What suits a network that was trained and then truncated; its epochs are usually few."""
    batch, distortion = (8, 0.0) if task == "segmentation" else (50, 0.7)
    return Recipe(epochs=5, batch=batch, rate=0.02, distortion=distortion, seed=seed, half=HALF)


def targets(network: nn.Module, total: int) -> dict[str, int]:
    """How many coefficients each layer of an uncompressed network keeps of `total`. Raises UsageError."""
    return uniform(sizes(network), total)


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
        # An attention's projections have their biases elsewhere, zero from the start.
        if isinstance(bias := getattr(site.module, "bias", None), Tensor):
            bias.zero_()


def train(
    network: nn.Module,
    samples: Samples,
    kept: Mapping[str, int],
    recipe: Recipe,
    progress: Progress,
    *,
    twin: nn.Module | None = None,
    teacher: nn.Module | None = None,
    matching: Matching | None = None,
    test: Samples | None = None,
    checkpoint: Checkpoint | None = None,
    int8: bool = False,
    nested: bool = False,
) -> None:
    """Compress `network` in place to `kept` coefficients per site, trained from seeded ones; see `training.fit`.

    Starts with HEADROOM times the target and cuts the tail after each step; ends with float16 values, or with `int8`
    with values that learnt to be rounded to 8 bits (`int8.quantize`) and are not yet. Computes through the layers'
    factors, of that narrower network where there is a `twin`; see `factor.learner`. Where it is `nested`, every
    capacity of `nesting` learns beside the whole, and the training starts with the target.
    """
    # The smallest of several capacities would begin with next to nothing of a network of many times its coefficients.
    most, headroom = sizes(network), 1 if nested else HEADROOM
    compress(network, {name: min(most[name], headroom * kept[name]) for name in kept})
    seed_coefficients(network, recipe.seed, ENERGY)
    steps = recipe.epochs * math.ceil(len(samples) / recipe.batch)
    gamma = _gamma(kept, steps)
    _fit(network, samples, kept, recipe, progress, gamma, twin, teacher, matching, test, checkpoint, int8, nested)


def fine_tune(
    network: nn.Module,
    samples: Samples,
    recipe: Recipe,
    progress: Progress,
    *,
    teacher: nn.Module | None = None,
    matching: Matching | None = None,
    test: Samples | None = None,
    checkpoint: Checkpoint | None = None,
    int8: bool = False,
    nested: bool = False,
) -> None:
    """Train a compressed `network` on, with the coefficients that it has, to float16 values; see `training.fit` and
    `train`."""
    kept = {name: site.frequency.kept for name, site in sites(network).items()}
    _fit(network, samples, kept, recipe, progress, GAMMA, None, teacher, matching, test, checkpoint, int8, nested)


def _fit(
    network: nn.Module,
    samples: Samples,
    kept: Mapping[str, int],
    recipe: Recipe,
    progress: Progress,
    gamma: float,
    twin: nn.Module | None,
    teacher: nn.Module | None,
    matching: Matching | None,
    test: Samples | None,
    checkpoint: Checkpoint | None,
    int8: bool,
    nested: bool,
) -> None:
    truncation = TailTruncation(network, kept, gamma)
    groups = _groups(network, kept, recipe.rate, nested)
    network.to(best_device())  # before the learner is made, which shares its tensors
    learner = factor.learner(network, twin)
    fit(
        learner, samples, recipe, progress,
        groups=groups, truncation=truncation, rounding=rounding(network) if int8 else half,
        teacher=teacher, matching=matching, test=test, checkpoint=checkpoint,
        nest=Nest(network, kept) if nested else None,
    )  # fmt: skip
    truncation.finish()
    network.cpu().eval()
    if not int8:
        round_to_half(network)


def _groups(network: nn.Module, kept: Mapping[str, int], rate: float, nested: bool) -> list[dict[str, Any]]:
    """Adam's parameter groups. The rate is of a layer's weight as a whole: coefficients take steps of rate · `unit`, so
    that one rate suits any number of them; biases and norms take a fortieth of it. In a network of several capacities a
    coefficient's number is that of the smallest which has it."""
    found = sites(network)
    groups: list[dict[str, Any]] = []
    for name, site in found.items():
        groups.append({"params": [site.coefficients], "lr": rate * unit(site, kept[name])})
        if nested:
            groups[-1]["gain"] = gain(kept[name]).to(best_device())
    ours = {id(site.coefficients) for site in found.values()}
    others = [parameter for parameter in network.parameters() if id(parameter) not in ours]
    return [*groups, {"params": others, "lr": rate / 40}] if others else groups


def _gamma(kept: Mapping[str, int], steps: int) -> float:
    """As published, or more where a short training would not reach its target by half its steps otherwise."""
    excess = (HEADROOM - 1) * max(kept.values())
    return max(GAMMA, 1 - math.pow(excess, -2 / steps))
