"""LeNet-300-100, the fully connected network of LeCun et al. 1998 (Proc. IEEE 86(11)): 266,610 parameters."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class LeNet300(nn.Module):
    """(N, 1, 28, 28) grey values in 0..1 to (N, 10) logits."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(784, 300)
        self.fc2 = nn.Linear(300, 100)
        self.fc3 = nn.Linear(100, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.fc1(x.flatten(1)))
        logits: Tensor = self.fc3(F.relu(self.fc2(x)))
        return logits


def build() -> LeNet300:
    return LeNet300()
