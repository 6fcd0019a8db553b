"""Layers in int8: the runner's answers against arithmetic in whole numbers, here and on arm64; and files that lie."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest

from bench.cache import Cache
from bench.runtimes.ncnn.build import build
from tests.e2e.native_kit import EXITS, Run, graph, measure, ncnn_weights

QEMU = "qemu-aarch64-static"
CPUS = {"here": "", "dotprod-i8mm": "max", "first-armv8": "cortex-a53"}
"""Which kernels: those of this processor, arm64's with dot products and matrix products, arm64's without either."""
RANDOM = np.random.default_rng(7)


def rounded(values: np.ndarray) -> np.ndarray:
    """To whole numbers, halves away from zero."""
    whole: np.ndarray = np.sign(values) * np.floor(np.abs(values) + np.float32(0.5))
    return whole


def windows(values: np.ndarray, kernel: int, stride: int) -> np.ndarray:
    """(N, C, H, W), padded to keep its size → (N, C, H', W', kernel, kernel), in whole numbers of 64 bits."""
    edge = kernel // 2
    bordered = np.pad(values.astype(np.int64), ((0, 0), (0, 0), (edge, edge), (edge, edge)))
    seen = np.lib.stride_tricks.sliding_window_view(bordered, (kernel, kernel), (2, 3))
    return seen[:, :, ::stride, ::stride]


def stored(codes: np.ndarray, scales: np.ndarray, into: float | np.float32, bias: np.ndarray) -> bytes:
    """A layer's blobs: int8 weights behind their type, padded; bias; scales of weights; scale of the input."""
    weights = codes.astype(np.int8).tobytes()
    rest = np.concatenate((bias, scales, np.array([into]))).astype("<f4").tobytes()
    return b"\x38\x4b\x0d\x00" + weights + bytes(-len(weights) % 4) + rest


def answered(folder: Path, cpu: str, param: str, weights: bytes, samples: np.ndarray) -> np.ndarray:
    run = measure(folder, param, weights, samples, weights_format="runtime", execution="stock", precision="int8")
    assert run.status == 0, (run.events, run.stderr)
    if not CPUS[cpu]:
        assert run.outputs is not None
        return run.outputs
    if shutil.which(QEMU) is None:
        pytest.skip("qemu-user-static is not installed")
    (folder / "answers.f32").unlink()
    command = [QEMU, "-cpu", CPUS[cpu], str(build("arm64-v8a", Cache()).path), str(folder / "job")]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return np.fromfile(folder / "answers.f32", "<f4")


def layer(into: int, out: int, kernel: int, groups: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Codes and scales of a weight."""
    codes = RANDOM.integers(-127, 128, (out, into // groups, kernel, kernel))
    return codes, RANDOM.uniform(50, 4000, groups if groups > 1 else out).astype(np.float32)


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize(
    ("into", "out", "kernel", "stride", "side"),
    [(3, 5, 3, 1, 9), (16, 32, 3, 1, 12), (16, 32, 3, 2, 12), (32, 16, 1, 1, 7), (12, 20, 5, 1, 9)],
)
def test_a_convolution_is_bit_equal(
    tmp_path: Path, cpu: str, into: int, out: int, kernel: int, stride: int, side: int
) -> None:
    codes, scales = layer(into, out, kernel)
    samples, scale = RANDOM.normal(size=(2, into, side, side)).astype("<f4"), np.float32(41.3)
    param = graph(
        "Input in0 0 1 in0",
        f"Convolution c 1 1 in0 out0 0={out} 1={kernel} 3={stride} 4={kernel // 2} 5=1 6={codes.size} 8=2",
    )
    steps = np.clip(rounded(samples * scale), -127, 127)
    sums = np.einsum("nchwij,ocij->nohw", windows(steps, kernel, stride), codes, optimize=True)
    wanted = sums.astype(np.float32) * (np.float32(1) / (scale * scales))[:, None, None]
    found = answered(tmp_path, cpu, param, stored(codes, scales, scale, np.zeros(out)), samples)
    np.testing.assert_array_equal(found, wanted.ravel())


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize(("channels", "kernel", "stride"), [(16, 3, 1), (16, 3, 2), (6, 3, 1), (8, 5, 1), (5, 5, 2)])
def test_a_depthwise_convolution_is_bit_equal(
    tmp_path: Path, cpu: str, channels: int, kernel: int, stride: int
) -> None:
    codes, scales = layer(channels, channels, kernel, channels)
    samples, scale = RANDOM.normal(size=(2, channels, 10, 10)).astype("<f4"), np.float32(37.7)
    param = graph(
        "Input in0 0 1 in0",
        f"ConvolutionDepthWise c 1 1 in0 out0 0={channels} 1={kernel} 3={stride} 4={kernel // 2} 5=1 6={codes.size} "
        f"7={channels} 8=1",
    )
    steps = np.clip(rounded(samples * scale), -127, 127)
    sums = np.einsum("nchwij,cij->nchw", windows(steps, kernel, stride), codes[:, 0])
    wanted = sums.astype(np.float32) * (np.float32(1) / (scale * scales))[:, None, None]
    found = answered(tmp_path, cpu, param, stored(codes, scales, scale, np.zeros(channels)), samples)
    if channels == 5:  # ncnn does these group by group, with another way to 1/scale: the whole numbers are the same
        np.testing.assert_allclose(found, wanted.ravel(), rtol=3e-7)
    else:
        np.testing.assert_array_equal(found, wanted.ravel())


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize(("into", "out"), [(75, 10), (512, 128), (64, 3)])
def test_an_inner_product_is_bit_equal(tmp_path: Path, cpu: str, into: int, out: int) -> None:
    codes, scales = layer(into, out, 1)
    samples, scale = RANDOM.normal(size=(3, into)).astype("<f4"), np.float32(29.1)
    param = graph("Input in0 0 1 in0", f"InnerProduct c 1 1 in0 out0 0={out} 1=1 2={codes.size} 8=2")
    steps = np.clip(rounded(samples * scale), -127, 127).astype(np.int64)
    sums = steps @ codes.reshape(out, into).T
    wanted = sums.astype(np.float32) * (np.float32(1) / (scale * scales))
    found = answered(tmp_path, cpu, param, stored(codes, scales, scale, np.zeros(out)), samples)
    np.testing.assert_array_equal(found, wanted.ravel())


WIDENED = b"\x75\xb1\xc8\x7f"
DENSE = graph("Input in0 0 1 in0", "InnerProduct c 1 1 in0 out0 0=3 1=1 2=21")
CODES, SCALES = RANDOM.integers(-127, 128, (3, 7)).astype(np.int8), np.array([3.7, 911.0, 0.02], np.float32)
SAMPLES = RANDOM.normal(size=(2, 7)).astype("<f4")


def widened(count: int = 3, scales: np.ndarray = SCALES, codes: np.ndarray = CODES) -> bytes:
    weights = codes.tobytes()
    head = WIDENED + struct.pack("<I", count) + scales.astype("<f4").tobytes()
    return head + weights + bytes(-len(weights) % 4) + np.arange(3, dtype="<f4").tobytes()


def dense(folder: Path, weights: bytes, precision: str = "fp32", param: str = DENSE) -> Run:
    return measure(
        folder, param, weights, SAMPLES, weights_format="runtime", execution="stock", precision=precision
    )  # fmt: skip


def test_int8_weights_of_float_layers_are_widened_to_the_very_float32(tmp_path: Path) -> None:
    weights = CODES.astype(np.float32) * (np.float32(1) / SCALES)[:, None]
    whole = dense(tmp_path, ncnn_weights((True, weights), (False, np.arange(3))))
    small = dense(tmp_path, widened())
    assert (whole.status, small.status) == (0, 0), small.events
    np.testing.assert_array_equal(small.outputs, whole.outputs)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (widened(count=0), "no room for the 0 scales"),
        (widened(count=2**32 - 1), "no room for the 4294967295 scales"),
        (widened(count=2, scales=SCALES[:2]), "2 scales for 21 int8 weights"),
        (widened(scales=np.array([1, 0, 1], np.float32)), "not a number above zero"),
        (widened(scales=np.array([1, np.nan, 1], np.float32)), "not a number above zero"),
        (widened(scales=np.array([1, -1, 1], np.float32)), "not a number above zero"),
        (WIDENED, "ends before the scales"),
        (widened()[:30], "ends inside int8 weights"),
        (widened() + b"\0\0\0\0", "uses"),
    ],
)
def test_widened_weights_that_lie_are_refused(tmp_path: Path, weights: bytes, words: str) -> None:
    run = dense(tmp_path, weights)
    assert run.status == EXITS["bad_weights"]
    assert words in run.event("error")["message"]


def test_int8_weights_for_a_layer_that_computes_in_float_are_refused(tmp_path: Path) -> None:
    run = dense(tmp_path, stored(CODES, SCALES, 1.0, np.zeros(3)), "int8")
    assert run.status == EXITS["bad_weights"]
    assert "does not compute in int8" in run.event("error")["message"]


@pytest.mark.parametrize("left", range(1, 60, 7))
def test_a_file_of_int8_weights_that_ends_too_early_is_refused(tmp_path: Path, left: int) -> None:
    param = DENSE.replace("2=21", "2=21 8=2")
    whole = stored(CODES, SCALES, 1.0, np.zeros(3))
    assert dense(tmp_path, whole, "int8", param).status == 0
    assert dense(tmp_path, whole[:-left], "int8", param).status == EXITS["bad_weights"]


def test_int8_weights_in_another_precision_are_refused(tmp_path: Path) -> None:
    run = dense(tmp_path, stored(CODES, SCALES, 1.0, np.zeros(3)), "fp32", DENSE.replace("2=21", "2=21 8=2"))
    assert run.status == EXITS["unsupported"]
