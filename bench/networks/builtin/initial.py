"""Initial weights: torch's own shrink the signal from layer to layer until it is gone, and so do norms that have seen
nothing."""

from __future__ import annotations

from torch import nn


def he(network: nn.Module) -> None:
    """Weights of variance 2 / inputs, which keeps the size of what passes through ReLUs, and no biases, in place.

    He et al. 2015, arXiv 1502.01852.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
