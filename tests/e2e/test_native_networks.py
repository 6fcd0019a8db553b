"""What the runner computes, against torch and scipy: weights from every kind of package, dense and factored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as nn

from bench.runtimes.build import host_abi
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


def conv_graph(weight: Tensor, execution: str, bias: bool = True) -> str:
    out, in_, kh, kw = weight.shape
    spatial = f"1={kw} 11={kh} 4={kw // 2} 14={kh // 2}"
    if execution != "factored":
        return graph(INPUT, f"Convolution conv 1 1 in0 out0 0={out} {spatial} 5={int(bias)} 6={out * in_ * kh * kw}")
    r_out, r_in = weight.box()[:2]
    return graph(
        INPUT,
        f"Convolution in 1 1 in0 a 0={r_in} 1=1 5=0 6={r_in * in_}",
        f"Convolution core 1 1 a b 0={r_out} {spatial} 5=0 6={r_out * r_in * kh * kw}",
        f"Convolution out 1 1 b out0 0={out} 1=1 5={int(bias)} 6={out * r_out}",
    )


@pytest.mark.parametrize("execution", ["dense", "factored"])
@pytest.mark.parametrize("half", [True, False])
@pytest.mark.parametrize(
    ("shape", "kept"), [((16, 8, 3, 3), 33), ((5, 7, 3, 1), 9), ((32, 24, 5, 5), 200), ((1, 1, 1, 1), 1)]
)
def test_convolution(tmp_path: Path, shape: tuple[int, ...], kept: int, half: bool, execution: str) -> None:
    weight = Tensor(shape, normal(kept), half=half)
    bias = normal(shape[0])
    x = normal(3, shape[1], 9, 11)
    run = measure(tmp_path, conv_graph(weight, execution), package(weight, vector(bias)), x, execution=execution)
    padding = (shape[2] // 2, shape[3] // 2)
    close(run.outputs, nn.conv2d(torched(x), torched(weight.weight()), torched(bias), padding=padding))
    assert run.event("decode")["coefficients"] == kept


def test_factored_equals_dense_in_many_channels(tmp_path: Path) -> None:
    weight = Tensor((128, 96, 3, 3), normal(33), half=True)
    x = normal(1, 96, 20, 20)
    runs = [
        measure(tmp_path, conv_graph(weight, execution, bias=False), package(weight), x, execution=execution)
        for execution in ("dense", "factored")
    ]
    dense, factored = (run.outputs for run in runs)
    assert dense is not None
    assert factored is not None
    rounding = 1e-5 if host_abi() == "x86_64" else 3e-5  # of Winograd's largest tile, which ncnn prefers on ARM
    assert np.abs(dense - factored).max() <= rounding * np.abs(dense).max()
    r_out, r_in, *_ = weight.box()
    assert runs[0].event("decode")["values"] == 128 * 96 * 9
    assert runs[1].event("decode")["values"] == r_in * 96 + r_out * r_in * 9 + 128 * r_out


@pytest.mark.parametrize("execution", ["dense", "factored"])
def test_transposed_convolution(tmp_path: Path, execution: str) -> None:
    weight = Tensor((12, 6, 2, 2), normal(20), transposed=True)  # in, out, kernel
    bias = normal(6)
    x = normal(2, 12, 5, 4)
    r_in, r_out = weight.box()[:2]
    param = {
        "dense": graph(INPUT, "Deconvolution up 1 1 in0 out0 0=6 1=2 3=2 5=1 6=288"),
        "factored": graph(
            INPUT,
            f"Convolution in 1 1 in0 a 0={r_in} 1=1 5=0 6={r_in * 12}",
            f"Deconvolution core 1 1 a b 0={r_out} 1=2 3=2 5=0 6={r_out * r_in * 4}",
            f"Convolution out 1 1 b out0 0=6 1=1 5=1 6={6 * r_out}",
        ),
    }[execution]
    run = measure(tmp_path, param, package(weight, vector(bias)), x, execution=execution)
    close(run.outputs, nn.conv_transpose2d(torched(x), torched(weight.weight()), torched(bias), stride=2))


@pytest.mark.parametrize("execution", ["dense", "factored"])
def test_linear(tmp_path: Path, execution: str) -> None:
    weight = Tensor((10, 40), normal(30))
    bias = normal(10)
    x = normal(4, 40, 1, 1)
    r_out, r_in = weight.box()
    flat = "Flatten flat 1 1 in0 flat"
    param = {
        "dense": graph(INPUT, flat, "InnerProduct fc 1 1 flat out0 0=10 1=1 2=400"),
        "factored": graph(
            INPUT,
            flat,
            f"InnerProduct in 1 1 flat a 0={r_in} 1=0 2={r_in * 40}",
            f"InnerProduct core 1 1 a b 0={r_out} 1=0 2={r_out * r_in}",
            f"InnerProduct out 1 1 b out0 0=10 1=1 2={10 * r_out}",
        ),
    }[execution]
    run = measure(tmp_path, param, package(weight, vector(bias)), x, execution=execution)
    close(run.outputs, nn.linear(torched(x).flatten(1), torched(weight.weight()), torched(bias)))


@pytest.mark.parametrize("execution", ["dense", "factored"])
def test_one_dimensional_convolution(tmp_path: Path, execution: str) -> None:
    weight = Tensor((6, 4, 3), normal(15))
    x = normal(2, 1, 4, 13)
    r_out, r_in, _ = weight.box()
    rows = "Reshape rows 1 1 in0 rows 0=13 1=4"
    param = {
        "dense": graph(INPUT, rows, "Convolution1D conv 1 1 rows out0 0=6 1=3 5=0 6=72"),
        "factored": graph(
            INPUT,
            rows,
            f"Convolution1D in 1 1 rows a 0={r_in} 1=1 5=0 6={r_in * 4}",
            f"Convolution1D core 1 1 a b 0={r_out} 1=3 5=0 6={r_out * r_in * 3}",
            f"Convolution1D out 1 1 b out0 0=6 1=1 5=0 6={6 * r_out}",
        ),
    }[execution]
    run = measure(tmp_path, param, package(weight), x, execution=execution)
    close(run.outputs, nn.conv1d(torched(x[:, 0]), torched(weight.weight())))


@pytest.mark.parametrize("execution", ["dense", "factored"])
@pytest.mark.parametrize("positions", [(0, 1, 5), (3, 700, 701, 1151), (1151,), (0, 500)])
def test_explicit_positions(tmp_path: Path, positions: tuple[int, ...], execution: str) -> None:
    weight = Tensor((16, 8, 3, 3), normal(len(positions)), kind="explicit", positions=positions)
    x = normal(1, 8, 6, 6)
    run = measure(tmp_path, conv_graph(weight, execution, bias=False), package(weight), x, execution=execution)
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
        run = measure(tmp_path, param, binary, x, weights_format="ncnn", execution="stock", threads=threads)
        close(run.outputs, wanted)
        assert run.event("environment")["threads"] == threads
        assert "decode" not in run.names
