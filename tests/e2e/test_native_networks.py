"""What the runner computes, against torch and scipy: weights from every kind of package, dense and factored."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as nn

from bench.runtimes.ncnn.build import host_abi
from tests.e2e.native_kit import Tensor, graph, measure, ncnn_weights, package, vector

RNG = np.random.default_rng(7)
INPUT = "Input in0 0 1 in0"


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def torched(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float64))


def close(got: np.ndarray | None, wanted: torch.Tensor, tolerance: float = 1e-5) -> None:
    assert got is not None
    expected = wanted.numpy().ravel()
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() <= tolerance * np.abs(expected).max()


def conv_graph(weight: Tensor, bias: bool = True) -> str:
    out, in_, kh, kw = weight.shape
    spatial = f"1={kw} 11={kh} 4={kw // 2} 14={kh // 2}"
    return graph(INPUT, f"Convolution conv 1 1 in0 out0 0={out} {spatial} 5={int(bias)} 6={out * in_ * kh * kw}")


def factored_values(weight: Tensor) -> int:
    """How many values the three factors of a convolution or linear layer have."""
    r_out, r_in, *_ = weight.box()
    out, in_, *kernel = weight.shape
    return r_in * in_ + r_out * r_in * math.prod(kernel) + out * r_out


@pytest.mark.parametrize("execution", ["dense", "factored"])
@pytest.mark.parametrize("half", [True, False])
@pytest.mark.parametrize(
    ("shape", "kept"), [((16, 8, 3, 3), 33), ((5, 7, 3, 1), 9), ((32, 24, 5, 5), 200), ((1, 1, 1, 1), 1)]
)
def test_convolution(tmp_path: Path, shape: tuple[int, ...], kept: int, half: bool, execution: str) -> None:
    weight = Tensor(shape, normal(kept), half=half)
    bias = normal(shape[0])
    x = normal(3, shape[1], 9, 11)
    run = measure(tmp_path, conv_graph(weight), package(weight, vector(bias)), x, execution=execution)
    padding = (shape[2] // 2, shape[3] // 2)
    close(run.outputs, nn.conv2d(torched(x), torched(weight.weight()), torched(bias), padding=padding))
    assert run.event("decode")["coefficients"] == kept


def test_factored_equals_dense_in_many_channels(tmp_path: Path) -> None:
    weight = Tensor((128, 96, 3, 3), normal(33), half=True)
    x = normal(1, 96, 20, 20)
    runs = [
        measure(tmp_path, conv_graph(weight, bias=False), package(weight), x, execution=execution)
        for execution in ("dense", "factored")
    ]
    dense, factored = (run.outputs for run in runs)
    assert dense is not None
    assert factored is not None
    rounding = 1e-5 if host_abi() == "x86_64" else 3e-5  # of Winograd's largest tile, which ncnn prefers on ARM
    assert np.abs(dense - factored).max() <= rounding * np.abs(dense).max()
    assert runs[0].event("decode")["values"] == 128 * 96 * 9
    assert runs[1].event("decode")["values"] == factored_values(weight)


@pytest.mark.parametrize("execution", ["dense", "factored"])
def test_transposed_convolution(tmp_path: Path, execution: str) -> None:
    weight = Tensor((12, 6, 2, 2), normal(20), transposed=True)  # in, out, kernel
    bias = normal(6)
    x = normal(2, 12, 5, 4)
    param = graph(INPUT, "Deconvolution up 1 1 in0 out0 0=6 1=2 3=2 5=1 6=288")
    run = measure(tmp_path, param, package(weight, vector(bias)), x, execution=execution)
    close(run.outputs, nn.conv_transpose2d(torched(x), torched(weight.weight()), torched(bias), stride=2))


def test_convolutions_in_groups_are_dense_in_every_execution(tmp_path: Path) -> None:
    """Beside one that is factored, of as many values."""
    grouped, mixed = Tensor((12, 3, 3, 3), normal(50)), Tensor((27, 12, 1, 1), normal(7))
    param = graph(
        INPUT,
        "ConvolutionDepthWise first 1 1 in0 a 0=12 1=3 5=0 6=324 7=4",
        "Convolution last 1 1 a out0 0=27 1=1 6=324",
    )
    x = normal(2, 12, 7, 7)
    wanted = nn.conv2d(nn.conv2d(torched(x), torched(grouped.weight()), groups=4), torched(mixed.weight()))
    for execution, values in (("dense", 648), ("factored", 324 + factored_values(mixed))):
        run = measure(tmp_path, param, package(grouped, mixed), x, execution=execution)
        close(run.outputs, wanted)
        assert run.event("decode")["values"] == values


@pytest.mark.parametrize("execution", ["dense", "factored"])
def test_what_belongs_to_a_layer_stays_with_it(tmp_path: Path, execution: str) -> None:
    """Stride, dilation, padding on four sides, output padding, bias and activations; blob names like the runner's."""
    conv, up = Tensor((6, 5, 3, 2), normal(8)), Tensor((6, 4, 3, 3), normal(8), transposed=True)
    conv_bias, up_bias = normal(6), normal(4)
    param = graph(
        INPUT,
        "Convolution conv 1 1 in0 '0 0=6 1=2 11=3 2=1 12=2 3=2 13=1 4=1 15=2 14=3 16=0 5=1 6=180 9=2 -23310=1,0.1",
        "Deconvolution up 1 1 '0 out0 0=4 1=3 3=2 4=1 18=1 5=1 6=216 9=1",
    )
    x = normal(2, 5, 9, 8)
    run = measure(tmp_path, param, package(conv, vector(conv_bias), up, vector(up_bias)), x, execution=execution)
    hidden = nn.pad(torched(x), (1, 2, 3, 0))
    hidden = nn.conv2d(hidden, torched(conv.weight()), torched(conv_bias), stride=(1, 2), dilation=(2, 1))
    hidden = nn.leaky_relu(hidden, 0.1)
    wanted = nn.conv_transpose2d(hidden, torched(up.weight()), torched(up_bias), 2, 1, output_padding=1)
    close(run.outputs, nn.relu(wanted))
    values = {"dense": 180 + 216, "factored": factored_values(conv) + (6 * 2 + 2 * 2 * 9 + 4 * 2)}
    assert run.event("decode")["values"] == values[execution] + 6 + 4


def test_a_weight_that_would_only_become_larger_is_dense(tmp_path: Path) -> None:
    """Its box is the whole tensor."""
    weight = Tensor((16, 8, 3, 3), normal(1100))
    x = normal(1, 8, 6, 6)
    run = measure(tmp_path, conv_graph(weight, bias=False), package(weight), x, execution="factored")
    close(run.outputs, nn.conv2d(torched(x), torched(weight.weight()), padding=1))
    assert run.event("decode")["values"] == 1152


def test_a_weight_of_other_axes_than_its_layer_is_dense(tmp_path: Path) -> None:
    """As many values, other channels: in both executions the layer reads them in their order."""
    weight = Tensor((8, 4, 4, 4), normal(9))
    param = graph(INPUT, "Convolution conv 1 1 in0 out0 0=16 1=2 5=0 6=512")
    x = normal(1, 8, 6, 6)
    wanted = nn.conv2d(torched(x), torched(weight.weight().reshape(16, 8, 2, 2)))
    for execution in ("dense", "factored"):
        close(measure(tmp_path, param, package(weight), x, execution=execution).outputs, wanted)


def test_a_padding_with_ones_cannot_be_factored(tmp_path: Path) -> None:
    weight = Tensor((6, 5, 3, 3), normal(20))
    param = graph(INPUT, "Convolution conv 1 1 in0 out0 0=6 1=3 4=1 18=1.0 5=0 6=270")
    x = normal(1, 5, 6, 6)
    run = measure(tmp_path, param, package(weight), x, execution="factored")
    close(run.outputs, nn.conv2d(nn.pad(torched(x), (1, 1, 1, 1), value=1.0), torched(weight.weight())))
    assert run.event("decode")["values"] == 270


@pytest.mark.parametrize("execution", ["dense", "factored"])
def test_linear(tmp_path: Path, execution: str) -> None:
    weight = Tensor((10, 40), normal(12))
    bias = normal(10)
    x = normal(4, 40, 1, 1)
    param = graph(INPUT, "Flatten flat 1 1 in0 flat", "InnerProduct fc 1 1 flat out0 0=10 1=1 2=400 9=1")
    run = measure(tmp_path, param, package(weight, vector(bias)), x, execution=execution)
    close(run.outputs, nn.relu(nn.linear(torched(x).flatten(1), torched(weight.weight()), torched(bias))))


@pytest.mark.parametrize("execution", ["dense", "factored"])
def test_linear_on_every_row(tmp_path: Path, execution: str) -> None:
    """As transformers have it: ncnn's Gemm, its bias stored like a matrix."""
    weight, plain = Tensor((10, 40), normal(12)), Tensor((7, 10), normal(3))
    bias = normal(10)
    x = normal(2, 1, 6, 40)
    param = graph(
        INPUT,
        "Reshape rows 1 1 in0 rows 0=40 1=6",
        "Gemm fc 1 1 rows a 10=4 3=1 5=1 6=1 7=6 8=10 9=40",
        "Gemm plain 1 1 a out0 10=-1 3=1 5=1 6=1 7=6 8=7 9=10",
    )
    run = measure(tmp_path, param, package(weight, Tensor((10,), bias, kind="raw"), plain), x, execution=execution)
    hidden = nn.linear(torched(x[:, 0]), torched(weight.weight()), torched(bias))
    close(run.outputs, nn.linear(hidden, torched(plain.weight())))
    whole = {"dense": 400 + 70, "factored": factored_values(weight) + factored_values(plain)}
    assert run.event("decode")["values"] == whole[execution] + 10


@pytest.mark.parametrize("execution", ["dense", "factored"])
def test_one_dimensional_convolution(tmp_path: Path, execution: str) -> None:
    weight = Tensor((12, 8, 3), normal(15))
    x = normal(2, 1, 8, 13)
    param = graph(INPUT, "Reshape rows 1 1 in0 rows 0=13 1=8", "Convolution1D conv 1 1 rows out0 0=12 1=3 5=0 6=288")
    run = measure(tmp_path, param, package(weight), x, execution=execution)
    close(run.outputs, nn.conv1d(torched(x[:, 0]), torched(weight.weight())))


@pytest.mark.parametrize("execution", ["dense", "factored"])
@pytest.mark.parametrize("positions", [(0, 1, 5), (3, 700, 701, 1151), (1151,), (0, 500)])
def test_explicit_positions(tmp_path: Path, positions: tuple[int, ...], execution: str) -> None:
    weight = Tensor((16, 8, 3, 3), normal(len(positions)), kind="explicit", positions=positions)
    x = normal(1, 8, 6, 6)
    run = measure(tmp_path, conv_graph(weight, bias=False), package(weight), x, execution=execution)
    close(run.outputs, nn.conv2d(torched(x), torched(weight.weight()), padding=1))


@pytest.mark.parametrize("shape", [(600,), (23, 29), (2, 300), (300, 2), (7, 6, 5), (2, 3, 4, 5), (3, 2, 3, 2, 3)])
def test_every_rank_decodes_to_the_inverse_dct(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """A weight is read back through a graph that hands it out as it is: ones times the identity."""
    size = int(np.prod(shape))
    positions = tuple(sorted(RNG.choice(size, size=min(12, size), replace=False).tolist()))
    explicit = Tensor(shape, normal(len(positions)), kind="explicit", positions=positions)
    prefix = Tensor(shape, normal(min(40, size)))
    param = graph(
        INPUT,
        f"InnerProduct a 1 1 in0 a 0={size} 1=0 2={size}",
        f"Reshape b 1 1 a out0 0={size}",
    )
    for weight in (explicit, prefix):
        run = measure(tmp_path, param, package(weight), np.ones((1, 1, 1, 1), np.float32))
        close(run.outputs, torched(weight.weight()))


def test_raw_tensors_norms_and_transposed_raw(tmp_path: Path) -> None:
    conv = Tensor((4, 3, 3, 3), normal(4 * 27), kind="raw")
    up = Tensor((4, 5, 2, 2), normal(80), kind="raw", transposed=True)
    gamma, beta = normal(4), normal(4)
    x = normal(2, 3, 8, 8)
    param = graph(
        INPUT,
        "Convolution conv 1 1 in0 a 0=4 1=3 4=1 5=0 6=108",
        "InstanceNorm norm 1 1 a b 0=4 1=1e-5 2=1",
        "ReLU relu 1 1 b c",
        "Deconvolution up 1 1 c out0 0=5 1=2 3=2 5=0 6=80",
    )
    weights = package(conv, vector(gamma), vector(beta), up)
    hidden = nn.conv2d(torched(x), torched(conv.weight()), padding=1)
    hidden = nn.relu(nn.instance_norm(hidden, weight=torched(gamma), bias=torched(beta)))
    wanted = nn.conv_transpose2d(hidden, torched(up.weight()), stride=2)
    for execution in ("dense", "factored"):
        close(measure(tmp_path, param, weights, x, execution=execution).outputs, wanted)


def test_stock_weights_and_several_threads(tmp_path: Path) -> None:
    weight, bias = normal(32, 16, 3, 3), normal(32)
    x = normal(2, 16, 33, 17)
    param = graph(INPUT, "Convolution conv 1 1 in0 out0 0=32 1=3 4=1 5=1 6=4608")
    binary = ncnn_weights((True, weight), (False, bias))
    wanted = nn.conv2d(torched(x), torched(weight), torched(bias), padding=1)
    for threads in (1, 2, 64):
        run = measure(tmp_path, param, binary, x, weights_format="runtime", execution="stock", threads=threads)
        close(run.outputs, wanted)
        assert run.event("environment")["threads"] == threads
        assert "decode" not in run.names
