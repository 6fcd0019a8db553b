"""VDSR, Kim, Lee and Lee, CVPR 2016 (arXiv 1511.04587): a picture that was enlarged becomes sharp. 667,008 weights.

Of its public forms the one without biases, on RGB instead of brightness alone.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from bench.networks.builtin.initial import he

DEPTH, WIDTH = 20, 64


class VDSR(nn.Module):
    """(N, 3, H, W) enlarged colours in 0..1 to the colours that should have been there, for any H and W.

    Twenty convolutions say what is missing, and it is added to the input.
    """

    def __init__(self) -> None:
        super().__init__()
        channels = (3, *[WIDTH] * (DEPTH - 1), 3)
        convolutions = [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False) for inputs, outputs in pairwise(channels)]
        he(nn.Sequential(*convolutions))
        between = [layer for convolution in convolutions for layer in (convolution, nn.ReLU())]
        self.body = nn.Sequential(*between[:-1])

    def forward(self, x: Tensor) -> Tensor:
        sharp: Tensor = x + self.body(x)
        return sharp


def build() -> VDSR:
    return VDSR()
