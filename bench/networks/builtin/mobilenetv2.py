"""MobileNetV2, exactly torchvision's: 3,504,872 parameters with 1,000 classes. Sandler et al., arXiv 1801.04381.

There may be fewer channels, or more, by the paper's width multiplier.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from bench.errors import UsageError
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

    def __init__(self, classes: int, width: float) -> None:
        super().__init__()
        channels, last = _channels(32, width), _channels(1280, max(width, 1.0))
        blocks: list[nn.Module] = [_layer(3, channels, 3, stride=2)]
        for expansion, whole, count, stride in _STAGES:
            for number in range(count):
                outputs = _channels(whole, width)
                blocks.append(InvertedResidual(channels, outputs, stride if number == 0 else 1, expansion))
                channels = outputs
        self.features = nn.Sequential(*blocks, _layer(channels, last, 1))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, classes))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(F.adaptive_avg_pool2d(self.features(x), 1).flatten(1))
        return logits


def _channels(whole: int, width: float) -> int:
    """The multiple of 8 that is nearest to the part `width` of them, and not more than a tenth below it, as the authors
    round."""
    found = max(8, int(whole * width + 4) // 8 * 8)
    return found + 8 if found < 0.9 * whole * width else found


def build(classes: int = 1000, width: float = 1.0) -> MobileNetV2:
    """Raises UsageError for a width that the paper's rule does not make."""
    if not 0.1 <= width <= 2:
        raise UsageError(f"MobileNetV2 is not made with a width of {width}", "Ask for one from 0.1 to 2.")
    network = MobileNetV2(classes, width)
    he(network)  # torch's own weights give the same answer to every picture: nothing is left of it behind 53 layers
    return network
