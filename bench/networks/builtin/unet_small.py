"""A dense UNet of adjustable width, as one would pick it for a phone: 122,098 weights at width 4.

Convolutions without bias before batch norms, transposed convolutions and the last 1×1 with bias; four levels, each with
twice the channels of the one above.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_LEVELS = 4


def _double(inputs: int, outputs: int) -> nn.Sequential:
    """Twice: convolution 3×3, norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class SmallUNet(nn.Module):
    """(N, 3, H, W) colours in 0..1 to (N, 2, H, W) logits, for H and W that are multiples of 16.

    `width` is the channels of the first level.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        channels = [width << level for level in range(_LEVELS + 1)]
        pairs = list(pairwise(channels))
        self.first = _double(3, width)
        self.down = nn.ModuleList(_double(above, below) for above, below in pairs)
        self.up = nn.ModuleList(nn.ConvTranspose2d(below, above, 2, stride=2) for above, below in reversed(pairs))
        self.merge = nn.ModuleList(_double(2 * above, above) for above, _ in reversed(pairs))
        self.last = nn.Conv2d(width, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips = [self.first(x)]
        for down in self.down:
            skips.append(down(F.max_pool2d(skips[-1], 2)))
        y = skips.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            y = merge(torch.cat([skips.pop(), up(y)], dim=1))
        logits: Tensor = self.last(y)
        return logits


def build(width: int = 4) -> SmallUNet:
    return SmallUNet(width)
