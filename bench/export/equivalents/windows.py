"""Padding and pooling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.export.equivalents.table import of


@of(F.pad)
def _pad(x: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    if mode == "constant" and min(pad, default=0) < 0:
        for number in range(len(pad) // 2):
            before, after = (max(-each, 0) for each in pad[2 * number : 2 * number + 2])
            axis = x.dim() - 1 - number
            x = x.narrow(axis, before, x.shape[axis] - before - after)
        left = [max(each, 0) for each in pad]
        return F.pad(x, left, value=value) if any(left) else x
    if mode != "circular":
        return NotImplemented
    for number in range(len(pad) // 2):
        before, after = pad[2 * number : 2 * number + 2]
        axis = x.dim() - 1 - number
        size = x.shape[axis]
        parts = [x.narrow(axis, size - before, before)] if before else []
        parts += [x] + ([x.narrow(axis, 0, after)] if after else [])
        x = torch.cat(parts, axis) if len(parts) > 1 else x
    return x


@of(F.avg_pool2d)
def _avg_pool2d(
    x: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Any:  # fmt: skip
    kernel, pads = _pair(kernel_size), _pair(padding)
    strides = _pair(stride) if stride else kernel
    if divisor_override:
        mean = F.avg_pool2d(x, kernel, strides, pads, ceil_mode, True)
        return NotImplemented if ceil_mode else mean * (math.prod(kernel) / divisor_override)
    if not (ceil_mode and count_include_pad and any(pads)):
        return NotImplemented
    sizes = []
    for size, k, s, p in zip(x.shape[-2:], kernel, strides, pads, strict=True):
        out = -(-(size + 2 * p - k) // s) + 1
        sizes.append(out - ((out - 1) * s >= size + p))
    padded = F.pad(x, (pads[1], pads[1], pads[0], pads[0]))
    pooled = F.avg_pool2d(padded, kernel, strides, 0, True, False)
    return pooled[..., : sizes[0], : sizes[1]]


@of(F.lp_pool2d)
def _lp_pool2d(x: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Any:
    if ceil_mode:
        return NotImplemented
    mean = F.avg_pool2d(x**norm_type, kernel_size, stride)
    return (mean * math.prod(_pair(kernel_size))) ** (1 / norm_type)


@of(F.pixel_unshuffle)
def _pixel_unshuffle(x: Tensor, downscale_factor: int) -> Tensor:
    batch, channels, height, width = x.shape
    n = downscale_factor
    parts = x.reshape(batch, channels, height // n, n, width // n, n).permute(0, 1, 3, 5, 2, 4)
    return parts.reshape(batch, channels * n * n, height // n, width // n)


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (tuple(value) * 2)[:2]
