"""AlexNet, exactly torchvision's for 224×224 pixels (61,100,840 parameters), and its usual cut to CIFAR-10's 32×32.

Krizhevsky, arXiv 1404.5997. The small one has 3×3 kernels at the start and 2×2 pooling, so that 2×2 values are left.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from bench.networks.builtin.initial import he


class AlexNet(nn.Module):
    """(N, 3, H, W) colours to (N, classes) logits; H = W = 32 ("cifar") or 224 ("imagenet")."""

    def __init__(self, classes: int, size: Literal["cifar", "imagenet"]) -> None:
        super().__init__()
        small = size == "cifar"
        left = 2 if small else 6

        def pool() -> nn.Module:
            return nn.MaxPool2d(2) if small else nn.MaxPool2d(3, stride=2)

        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 3, stride=2, padding=1) if small else nn.Conv2d(3, 64, 11, stride=4, padding=2),
            nn.ReLU(),
            pool(),
            nn.Conv2d(64, 192, 3, padding=1) if small else nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(),
            pool(),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(),
            pool(),
        )
        self.classifier = nn.Sequential(
            nn.Dropout(),
            nn.Linear(256 * left * left, 4096),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Linear(4096, classes),
        )
        he(self)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(x).flatten(1))
        return logits


def build(classes: int = 10, size: Literal["cifar", "imagenet"] = "cifar") -> AlexNet:
    return AlexNet(classes, size)
