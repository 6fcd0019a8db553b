"""The proofs that exported files compute what the network does: it is asked for every sample, and so are they."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bench.errors import ExportRefused
from bench.export.eager import Answers
from bench.records import Execution, Verified, WeightsFormat

Array = NDArray[Any]
Floats = NDArray[np.float32]

RunNative = Callable[[Mapping[str, Path], WeightsFormat, Execution, Sequence[Array]], Sequence[Floats]]
"""Runs the native runner here: files by role ("graph", "weights"), each input (N, *shape) → each output (N, *shape),
or flat."""

TOLERANCE = 1e-3
"""Of the largest |value| of a slice of an output: how far a float32 runtime may be from torch."""
SPREAD = 100
"""A channel or column whose largest |value| is this many times smaller than the output's is a slice by itself."""
ROUNDING = 1e-5
"""Of the largest |output| of a sample: what rounding in float32 makes of a deep network, however small the slice."""


def check_finite(network: nn.Module) -> None:
    """Raise ExportRefused, with its name, for a parameter or buffer that holds NaN or infinity.

    Attention masks are kept in buffers as -inf; that is allowed.
    """
    for kind, tensors in (("parameter", network.named_parameters()), ("buffer", network.named_buffers())):
        for name, tensor in tensors:
            if not tensor.is_floating_point():
                continue
            good = torch.isfinite(tensor) | (torch.isneginf(tensor) if kind == "buffer" else False)
            if not good.all():
                raise ExportRefused(
                    f"{int((~good).sum())} of {tensor.numel()} values of the {kind} {name!r} are NaN or infinite",
                    "Train the network again, or take a checkpoint from before it diverged.",
                )


def allowed(expected: Floats, tolerance: float = TOLERANCE) -> Floats:
    """How far each value of an output (N, *shape) may be from `expected`, as an array that broadcasts to it.

    Each sample is held to its own largest value, so that a loud one does not excuse a quiet one; and so is each channel
    (first axis) and column (last axis) that is SPREAD times smaller, like scores from 0 to 1 beside boxes in pixels.
    A sample that is a vector has columns of one value; their scale is the largest over all samples.
    """
    magnitude = np.abs(expected)
    whole = magnitude.max(axis=tuple(range(1, magnitude.ndim)), keepdims=True)
    scale = whole
    for axis in {1, magnitude.ndim - 1}:
        others = tuple(a for a in range(magnitude.ndim) if a != axis and (a or magnitude.ndim == 2))
        largest = magnitude.max(axis=others, keepdims=True)
        scale = np.minimum(scale, np.where(largest * SPREAD < whole, largest, whole))
    return np.asarray(np.maximum(tolerance * scale, ROUNDING * whole), np.float32)


def compare(
    expected: Answers, found: Sequence[Floats], runtime: str, tolerance: float = TOLERANCE
) -> tuple[Verified, ...]:
    """Compare what `runtime` computed with what the network answers, output by output.

    Raises ExportRefused, with the place of the largest excess, where a value is further away than it may be.
    """
    if len(found) != len(expected.values):
        raise ExportRefused(f"{runtime} gave {len(found)} outputs where the network gives {len(expected.values)}")
    verified = []
    for number, (wanted, got) in enumerate(zip(expected.values, found, strict=True)):
        title, output = expected.title(number), expected.outputs[number]
        if got.size != wanted.size:
            raise ExportRefused(f"{runtime} gave {got.size} values for {title} where the network gives {wanted.size}")
        delta = np.abs(got.reshape(wanted.shape) - wanted)
        limit = np.broadcast_to(allowed(wanted, tolerance), wanted.shape)
        # Written so that not-a-number is refused too.
        if not (delta <= limit).all():
            sample, *place = (int(index) for index in _worst(delta, limit))
            at = (sample, *place)
            raise ExportRefused(
                f"{title} of the exported network differs from the network's by {delta[at]:.3g} at {tuple(place)} of "
                f"sample {sample}, where {limit[at]:.3g} is allowed ({got.reshape(wanted.shape)[at]:.6g} instead of "
                f"{wanted[at]:.6g})",
                f"{runtime} does not compute what the network does; the files are not used.",
            )
        headroom = float(np.divide(delta, limit, out=np.zeros_like(delta), where=limit > 0).max())
        verified.append(
            Verified(
                output=output.name,
                max_abs_delta=float(delta.max()),
                max_abs_reference=float(np.abs(wanted).max()),
                headroom=headroom,
            )
        )
    return tuple(verified)


def _worst(delta: Floats, limit: Floats) -> tuple[np.intp, ...]:
    excess = np.where(
        delta <= limit, 0, np.nan_to_num(delta / np.maximum(limit, np.finfo(np.float32).tiny), nan=np.inf)
    )
    return np.unravel_index(int(np.argmax(excess)), delta.shape)


def verify(
    run_native: RunNative,
    files: Mapping[str, Path],
    form: tuple[WeightsFormat, Execution],
    samples: Sequence[Array],
    expected: Answers,
) -> tuple[Verified, ...]:
    """Compare the native runner with the network on all `samples`. Raises ExportRefused where they differ too much."""
    return compare(expected, run_native(files, *form, samples), "the native runner")
