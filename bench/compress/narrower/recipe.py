"""What a small network starts from and how it is trained."""

from __future__ import annotations

import torch
from torch import nn

from bench.compress.training import Recipe
from bench.networks import Network
from bench.records import Task

HALF = 0.1
"""The last part of the training, which computes with float16 values."""


def recipe(seed: int, task: Task = "classification") -> Recipe:
    """As many epochs, steps and distortions as FR's training has, so that neither is better only for having learnt
    longer."""
    if task == "segmentation":
        return Recipe(epochs=8, batch=8, rate=2e-3, distortion=0, seed=seed, half=HALF)
    return Recipe(epochs=60, batch=50, rate=5e-3, distortion=0.7, seed=seed, half=HALF)


@torch.no_grad()
def initial(network: Network, seed: int) -> nn.Module:
    """The ordinary network with initial weights: those of the seed as it builds them, or, where it comes trained,
    those that its layers begin with. What no layer of torch's begins with is drawn anew, of the same mean and spread.
    """
    module = network.build(seed)
    if not network.trained:
        return module
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for layer in module.modules():
            if callable(reset := getattr(layer, "reset_parameters", None)):
                reset()
                continue
            for parameter in layer.parameters(recurse=False):
                values = parameter.float()
                spread = values.std() if values.numel() > 1 else torch.zeros(())
                parameter.normal_().mul_(spread).add_(values.mean())
    return module
