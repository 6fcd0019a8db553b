"""A small CNN for pictures of 32×32 pixels, of the 43 German traffic signs unless told otherwise."""

from __future__ import annotations

from torch import nn


def build() -> nn.Module:
    """(N, 3, 32, 32) colours in 0..1 to (N, 43) logits; 127,179 parameters."""
    layers: list[nn.Module] = []
    for before, after in ((3, 16), (16, 32), (32, 64)):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(64 * 4 * 4, 96), nn.ReLU(), nn.Dropout(0.2), nn.Linear(96, 43)
    )
