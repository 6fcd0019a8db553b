"""Training of a small classifier on the CPU: what ordinary and compressed networks share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.records import Progress


@dataclass(frozen=True)
class Recipe:
    """How to train: Adam, its rate rising over the first twentieth and then falling to nothing along a cosine.

    `distortion` scales random affine changes of the images: 1 is up to 0.2 rad of turn and shear, 12 % of size and 2
    pixels in 28 of shift; 0 is none.
    """

    epochs: int
    batch: int
    rate: float
    distortion: float
    seed: int


def recipe(seed: int) -> Recipe:
    """What suits an ordinary small network and a few thousand digits."""
    return Recipe(epochs=20, batch=100, rate=2e-3, distortion=1.0, seed=seed)


def fit(
    network: nn.Module,
    inputs: NDArray[np.float32],
    labels: NDArray[np.int64],
    recipe: Recipe,
    progress: Progress,
    groups: Iterable[dict[str, Any]] | None = None,
    after_step: Callable[[], None] = lambda: None,
) -> None:
    """Train `network` in place on images (N, C, H, W) by cross-entropy, reproducibly.

    `groups` are Adam's parameter groups (by default all parameters at the recipe's rate). `after_step` is called after
    each step.
    """
    generator = torch.Generator().manual_seed(recipe.seed)
    images, answers = torch.from_numpy(inputs), torch.from_numpy(labels)
    optimiser = torch.optim.Adam(list(groups) if groups else network.parameters(), lr=recipe.rate)
    batches = math.ceil(len(images) / recipe.batch)
    steps = batches * recipe.epochs
    warm = max(1, steps // 20)
    rates = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1, (step + 1) / warm) * 0.5 * (1 + math.cos(math.pi * step / steps))
    )
    network.train()
    for epoch in range(recipe.epochs):
        for chosen in torch.split(torch.randperm(len(images), generator=generator), recipe.batch):
            seen = distorted(images[chosen], recipe.distortion, generator)
            loss = F.cross_entropy(network(seen), answers[chosen])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            # A truncated network's early steps are steep; without this some seeds never recover.
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            rates.step()
            after_step()
        progress((epoch + 1) / recipe.epochs, f"epoch {epoch + 1} of {recipe.epochs}, loss {loss.item():.3f}")
    network.eval()


def distorted(images: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    """Each image turned, sheared, scaled and shifted a little, at random."""

    def some(scale: float, *shape: int) -> Tensor:
        return (torch.rand(len(images), *shape, generator=generator) * 2 - 1) * scale * amount

    angle, shear, size, shift = some(0.2), some(0.2), 1 + some(0.12, 2), some(4 / 28, 2)
    turn = torch.stack((angle.cos(), shear - angle.sin(), angle.sin(), angle.cos()), dim=1).view(-1, 2, 2)
    grid = F.affine_grid(torch.cat((turn * size[:, :, None], shift[:, :, None]), dim=2), list(images.shape), False)
    return F.grid_sample(images, grid, align_corners=False)


@torch.no_grad()
def top1(network: nn.Module, inputs: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The fraction of images (N, C, H, W) that the network names right."""
    found = network(torch.from_numpy(inputs)).argmax(1)
    return float((found == torch.from_numpy(labels)).double().mean())
