"""UNet with transposed convolutions, names as in milesial's Pytorch-UNet: 31,043,586 parameters with batch norm.

The FR authors train it with per-image statistics, no affine parameters and no biases (23 weight tensors and nothing
else): norm "instance" here.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Norm = Literal["batch", "instance"]


def _norm(kind: Norm, channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels) if kind == "batch" else nn.InstanceNorm2d(channels)


class DoubleConv(nn.Module):
    """Twice: convolution 3×3, norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, norm: Norm) -> None:
        super().__init__()
        bias = norm == "batch"
        self.double_conv = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias),
            _norm(norm, outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=bias),
            _norm(norm, outputs),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.double_conv(x)
        return y


class Down(nn.Module):
    """Half the size, then a double convolution."""

    def __init__(self, inputs: int, outputs: int, norm: Norm) -> None:
        super().__init__()
        self.maxpool_conv = nn.Sequential(nn.MaxPool2d(2), DoubleConv(inputs, outputs, norm))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.maxpool_conv(x)
        return y


class Up(nn.Module):
    """Twice the size, the skip connection beside it, then a double convolution."""

    def __init__(self, inputs: int, outputs: int, norm: Norm) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(inputs, inputs // 2, 2, stride=2, bias=norm == "batch")
        self.conv = DoubleConv(inputs, outputs, norm)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = self.up(x)
        rows, columns = skip.shape[2] - x.shape[2], skip.shape[3] - x.shape[3]
        if rows or columns:
            x = F.pad(x, [columns // 2, columns - columns // 2, rows // 2, rows - rows // 2])
        y: Tensor = self.conv(torch.cat([skip, x], dim=1))
        return y


class OutConv(nn.Module):
    def __init__(self, inputs: int, classes: int, norm: Norm) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, classes, 1, bias=norm == "batch")

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y


class UNet(nn.Module):
    """(N, 3, H, W) colours in 0..1 to (N, classes, H, W) logits, for any H and W of at least 32.

    `width` is the channels of the first level; each level down has twice those of the one above.
    """

    def __init__(self, norm: Norm = "batch", channels: int = 3, classes: int = 2, width: int = 64) -> None:
        super().__init__()
        self.inc = DoubleConv(channels, width, norm)
        self.down1 = Down(width, 2 * width, norm)
        self.down2 = Down(2 * width, 4 * width, norm)
        self.down3 = Down(4 * width, 8 * width, norm)
        self.down4 = Down(8 * width, 16 * width, norm)
        self.up1 = Up(16 * width, 8 * width, norm)
        self.up2 = Up(8 * width, 4 * width, norm)
        self.up3 = Up(4 * width, 2 * width, norm)
        self.up4 = Up(2 * width, width, norm)
        self.outc = OutConv(width, classes, norm)

    def forward(self, x: Tensor) -> Tensor:
        x1 = self.inc(x)
        x2 = self.down1(x1)
        x3 = self.down2(x2)
        x4 = self.down3(x3)
        x = self.down4(x4)
        x = self.up1(x, x4)
        x = self.up2(x, x3)
        x = self.up3(x, x2)
        x = self.up4(x, x1)
        logits: Tensor = self.outc(x)
        return logits


def build() -> UNet:
    return UNet("batch")


def learner() -> UNet:
    return UNet("instance")


def twin() -> UNet:
    """A quarter as wide as the learner, which learns its coefficients through this one."""
    return UNet("instance", width=16)
