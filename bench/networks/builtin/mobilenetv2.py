"""MobileNetV2, exactly torchvision's: 3,504,872 parameters with 1,000 classes. Sandler et al., arXiv 1801.04381."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from bench.networks.builtin.initial import he

_STAGES = (  # expansion, channels, blocks, stride of the first block: table 2 of the paper
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip


def _layer(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution, norm, ReLU6."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU6())


class InvertedResidual(nn.Module):
    """Expand 1×1, filter each channel 3×3, project 1×1; the input is added where its shape allows."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.adds = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            *([_layer(inputs, hidden, 1)] if expansion > 1 else []),
            _layer(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return x + y if self.adds else y


class MobileNetV2(nn.Module):
    """(N, 3, H, W) colours to (N, classes) logits, for any H and W of at least 32."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        blocks: list[nn.Module] = [_layer(3, 32, 3, stride=2)]
        channels = 32
        for expansion, width, count, stride in _STAGES:
            for number in range(count):
                blocks.append(InvertedResidual(channels, width, stride if number == 0 else 1, expansion))
                channels = width
        self.features = nn.Sequential(*blocks, _layer(channels, 1280, 1))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, classes))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(F.adaptive_avg_pool2d(self.features(x), 1).flatten(1))
        return logits


def build(classes: int = 1000) -> MobileNetV2:
    network = MobileNetV2(classes)
    he(network)  # torch's own weights give the same answer to every picture: nothing is left of it behind 53 layers
    return network
