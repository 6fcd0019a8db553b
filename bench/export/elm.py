"""The graph of an extreme learning machine for the native runner, which makes its weights of a package."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

_NAMES = {1: (0,), 2: (0, 1), 3: (0, 1, 2), 4: (0, 1, 11, 2)}
"""The numbers of ncnn's parameters of an Input layer, innermost extent first, by rank."""
_SUB, _DIV = 1, 3


def graph(shape: Sequence[int], neurons: int, classes: int, mean: float, deviation: float) -> str:
    """An ncnn param file. Its second layer's weights are those of ModelBin type 0, as of any InnerProduct."""
    extents = " ".join(f"{key}={extent}" for key, extent in zip(_NAMES[len(shape)], reversed(shape), strict=True))
    inputs = math.prod(shape)
    lines = [
        "7767517",
        "7 7",
        f"Input in0 0 1 in0 {extents}",
        "Flatten flat 1 1 in0 flat",
        f"BinaryOp centred 1 1 flat centred 0={_SUB} 1=1 2={_number(mean)}",
        f"BinaryOp scaled 1 1 centred scaled 0={_DIV} 1=1 2={_number(deviation)}",
        f"InnerProduct hidden 1 1 scaled hidden 0={neurons} 1=1 2={inputs * neurons}",
        "TanH bent 1 1 hidden bent",
        f"InnerProduct output 1 1 bent out0 0={classes} 1=0 2={neurons * classes}",
        "",
    ]
    return "\n".join(lines)


def _number(value: float) -> str:
    """So many digits that a float32 comes back as itself; with a point, by which ncnn tells it from a whole number."""
    return f"{np.float32(value):.9e}"
