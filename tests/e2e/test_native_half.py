"""Weights stored in float16: the runner computes the very same with half the bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.export import graph, half
from tests.e2e.native_kit import graph as param
from tests.e2e.native_kit import measure, ncnn_weights

LAYERS = param(
    "Input in0 0 1 in0",
    "Convolution conv 1 1 in0 a 0=5 1=3 5=1 6=135",
    "InnerProduct fc 1 1 a out0 0=7 1=1 2=420",
)


def float16(*shape: int) -> np.ndarray:
    """Numbers of every size that float16 has, the subnormal ones too."""
    random = np.random.default_rng(3)
    return (random.normal(size=shape) * 2.0 ** random.integers(-24, 3, shape)).astype("<f2").astype("<f4")


def test_weights_in_float16_compute_the_same(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    weights = ncnn_weights(
        (True, float16(135)), (False, random.normal(size=5)), (True, float16(420)), (False, random.normal(size=7))
    )
    small = half.stored(weights, graph.parse(LAYERS).blobs())
    assert len(weights) - len(small) == 2 * 134 + 2 * 420  # an odd number of values is padded
    inputs = random.random((2, 3, 5, 6)).astype("<f4")
    whole, again = (
        measure(tmp_path, LAYERS, stored, inputs, weights_format="runtime", execution="stock")
        for stored in (weights, small)
    )
    assert (whole.status, again.status) == (0, 0), (whole.stderr, again.stderr)
    np.testing.assert_array_equal(again.outputs, whole.outputs)
    assert np.ptp(whole.outputs) > 0


def test_only_what_loses_nothing_is_stored_in_float16() -> None:
    blobs = (graph.Blob("a", 3, True), graph.Blob("b", 2, True), graph.Blob("c", 2, False))
    exact, inexact, bias = np.array([1.5, -2.0, 2.0**-24]), np.array([1.0, 0.1]), np.array([1.0, 2.0])
    made = half.stored(ncnn_weights((True, exact), (True, inexact), (False, bias)), blobs)
    tag = b"\x47\x6b\x30\x01"
    assert made == tag + exact.astype("<f2").tobytes() + b"\0\0" + ncnn_weights((True, inexact), (False, bias))
