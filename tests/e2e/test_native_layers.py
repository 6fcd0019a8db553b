"""Layers of ncnn beyond those of plain convolutional networks: they are in the build, and compute what torch does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.e2e.native_kit import graph, measure, ncnn_weights

RNG = np.random.default_rng(9)
WANTED = """
    BatchNorm CELU Convolution1D Convolution3D ConvolutionDepthWise3D CumulativeSum Deconvolution1D Deconvolution3D
    DeformableConv2D Diag Einsum Embed Erf Flip Fold GLU GRU GridSample GroupNorm LRN LSTM MultiHeadAttention Normalize
    PReLU Pooling1D Pooling3D RMSNorm RNN RotaryEmbed SDPA SELU Shrink Softplus Unfold
"""


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def torched(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array).double()


@pytest.mark.parametrize("layer", WANTED.split())
def test_a_layer_is_in_the_build(tmp_path: Path, layer: str) -> None:
    """Whatever else may be wrong with it here."""
    run = measure(
        tmp_path, graph("Input in0 0 1 in0", f"{layer} one 1 1 in0 out0"), bytes(64), normal(1, 4),
        weights_format="runtime", execution="stock",
    )  # fmt: skip
    messages = [event["message"] for event in run.events if event["event"] == "error"]
    assert not any("no such layer" in message for message in messages)


SCALE, SHIFT, SLOPE = normal(8), normal(8), normal(8)
KERNEL = normal(4, 3, 2, 2, 2)

Case = tuple[str, tuple[int, ...], list[tuple[bool, np.ndarray]], Callable[[torch.Tensor], torch.Tensor]]
CASES: list[Case] = [
    ("CELU 0=0.7", (3, 5, 7), [], lambda x: F.celu(x, 0.7)),
    ("SELU", (3, 5, 7), [], F.selu),
    ("Softplus", (3, 5, 7), [], F.softplus),
    (
        "Shrink 0=0.1 1=0.4",
        (3, 5, 7),
        [],
        lambda x: torch.where(x > 0.4, x - 0.1, torch.where(x < -0.4, x + 0.1, 0 * x)),
    ),
    ("Erf", (3, 5, 7), [], torch.erf),
    ("GLU 0=0", (6, 5, 7), [], lambda x: F.glu(x, 1)),
    ("CumulativeSum 0=2", (3, 5, 7), [], lambda x: x.cumsum(-1)),
    ("PReLU 0=8", (8, 5, 7), [(False, SLOPE)], lambda x: F.prelu(x, torched(SLOPE))),
    (
        "GroupNorm 0=4 1=8 2=1e-5 3=1",
        (8, 5, 7),
        [(False, SCALE), (False, SHIFT)],
        lambda x: F.group_norm(x, 4, torched(SCALE), torched(SHIFT), 1e-5),
    ),
    (
        "RMSNorm 0=8 1=1e-5 2=1",
        (5, 8),
        [(False, SCALE)],
        lambda x: F.rms_norm(x, (8,), torched(SCALE), 1e-5),
    ),
    ("Convolution3D 0=4 1=2 5=0 6=96", (3, 4, 5, 6), [(True, KERNEL)], lambda x: F.conv3d(x, torched(KERNEL))),
    ("Pooling1D 0=0 1=3 2=3 5=1", (4, 12), [], lambda x: F.max_pool1d(x, 3)),
]


@pytest.mark.parametrize(("layer", "shape", "weights", "wanted"), CASES, ids=[case[0].split()[0] for case in CASES])
def test_a_layer_computes_what_torch_does(
    tmp_path: Path,
    layer: str,
    shape: tuple[int, ...],
    weights: list[tuple[bool, np.ndarray]],
    wanted: Callable[[torch.Tensor], torch.Tensor],
) -> None:
    kind, _, parameters = layer.partition(" ")
    x = normal(2, *shape)
    text = graph("Input in0 0 1 in0", f"{kind} one 1 1 in0 out0 {parameters}")
    run = measure(tmp_path, text, ncnn_weights(*weights), x, weights_format="runtime", execution="stock")
    assert run.outputs is not None, (run.events, run.stderr)
    expected = wanted(torched(x)).numpy().ravel()
    assert run.outputs.shape == expected.shape
    assert np.abs(run.outputs - expected).max() <= 1e-4 * np.abs(expected).max()
