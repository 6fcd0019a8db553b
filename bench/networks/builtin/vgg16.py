"""VGG-16 without norms, exactly torchvision's (138,357,544 parameters), and its usual cut to CIFAR-10's 32×32.

Simonyan and Zisserman, arXiv 1409.1556, configuration D. The small one has the same convolutions, which leave a single
pixel, and a classifier 512 wide.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from bench.networks.builtin.initial import he

_BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class VGG16(nn.Module):
    """(N, 3, H, W) colours to (N, classes) logits; H = W = 32 ("cifar") or 224 ("imagenet")."""

    def __init__(self, classes: int, size: Literal["cifar", "imagenet"]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for block in _BLOCKS:
            for width in block:
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        inputs, width = (512, 512) if size == "cifar" else (512 * 7 * 7, 4096)
        self.classifier = nn.Sequential(
            nn.Linear(inputs, width),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(width, classes),
        )
        he(self)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(x).flatten(1))
        return logits


def build(classes: int = 10, size: Literal["cifar", "imagenet"] = "cifar") -> VGG16:
    return VGG16(classes, size)
