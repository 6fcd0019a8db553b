"""LeNet-5 as Caffe defines it and the FR paper compresses it: 431,080 parameters, no ReLU after the convolutions."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from bench.models import Form


class LeNet5(nn.Module):
    """(N, 1, 28, 28) grey values in 0..1 to (N, 10) logits."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 20, 5)
        self.conv2 = nn.Conv2d(20, 50, 5)
        self.fc1 = nn.Linear(800, 500)
        self.fc2 = nn.Linear(500, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.conv1(x), 2)
        x = F.max_pool2d(self.conv2(x), 2)
        x = F.relu(self.fc1(x.flatten(1)))
        logits: Tensor = self.fc2(x)
        return logits


def build(form: Form) -> LeNet5:
    """FR changes nothing in this network but how its weights are made: both forms are one."""
    return LeNet5()
