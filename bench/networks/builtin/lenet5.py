"""LeNet-5 as Caffe defines it and the FR paper compresses it: 431,080 parameters, no ReLU after the convolutions."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class LeNet5(nn.Module):
    """(N, 1, 28, 28) grey values in 0..1 to (N, 10) logits.

    Unless it is `flat`, it is the form that FR trains, with the same weights and no bias but the last. There `fc1` is
    the convolution of 4×4 over a 4×4 map that LeCun's C5 is, the same function: along 800 flattened inputs low
    frequencies can hardly tell one place of the map from the next, along channels, rows and columns they can.
    """

    def __init__(self, flat: bool = True) -> None:
        super().__init__()
        self._flat = flat
        self.conv1 = nn.Conv2d(1, 20, 5, bias=flat)
        self.conv2 = nn.Conv2d(20, 50, 5, bias=flat)
        self.fc1 = nn.Linear(800, 500) if flat else nn.Conv2d(50, 500, 4, bias=False)
        self.fc2 = nn.Linear(500, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.conv1(x), 2)
        x = F.max_pool2d(self.conv2(x), 2)
        x = F.relu(self.fc1(x.flatten(1) if self._flat else x))
        logits: Tensor = self.fc2(x.flatten(1))
        return logits


def build() -> LeNet5:
    return LeNet5()


def learner() -> LeNet5:
    return LeNet5(flat=False)
