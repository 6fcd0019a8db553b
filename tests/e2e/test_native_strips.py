"""Layers of a resident graph that go by strips of rows, against torch: through and over each other, on threads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.e2e.native_kit import Run, graph, measure, ncnn_weights

RNG = np.random.default_rng(12)
SIZES = [(1, 1), (2, 5), (33, 7), (9, 130), (6, 959)]


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def double(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(values).double()


def dct(n: int, columns: int) -> torch.Tensor:
    j, k = torch.arange(n, dtype=torch.float64)[:, None], torch.arange(columns, dtype=torch.float64)
    scale = torch.full((columns,), (2 / n) ** 0.5, dtype=torch.float64)
    scale[0] = n**-0.5
    return scale * torch.cos(torch.pi * (2 * j + 1) * k / (2 * n))


def wide(z: torch.Tensor, channels: int, *, norm: bool) -> torch.Tensor:
    y = torch.einsum("ck,nkhw->nchw", dct(channels, z.shape[1]), z)
    if norm:
        y = (y - y.mean((2, 3), keepdim=True)) / torch.sqrt(y.var((2, 3), keepdim=True, unbiased=False) + 1e-5)
    return F.relu(y)


def narrow(y: torch.Tensor, rank: int, total: int = 0, first: int = 0) -> torch.Tensor:
    return torch.einsum("ck,nchw->nkhw", dct(total or y.shape[1], rank)[first : first + y.shape[1]], y)


def answers(folder: Path, text: str, x: np.ndarray, *blobs: np.ndarray, threads: int = 1) -> np.ndarray:
    weights = ncnn_weights(*((True, blob) for blob in blobs))
    job = {"weights_format": "runtime", "execution": "stock", "threads": threads}
    run = measure(folder, text, weights, x, **job)
    assert run.outputs is not None, (run.events, run.stderr)
    return run.outputs


def close(got: np.ndarray, wanted: torch.Tensor, tolerance: float = 2e-5) -> None:
    expected = wanted.numpy().ravel()
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() <= tolerance * max(np.abs(expected).max(), 1e-3)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("ranks", [(1, 1, 1), (4, 4, 4), (3, 7, 6), (8, 13, 17), (17, 2, 5), (2, 16, 33)])
def test_a_core_makes_its_input_row_by_row_and_measures_its_output(
    tmp_path: Path, ranks: tuple[int, int, int], size: tuple[int, int]
) -> None:
    before, reduced, after = ranks
    channels = 70
    x, first = normal(1, 2, *size) + 1, normal(before, 2, 3, 3)
    core, last = normal(after, reduced, 3, 3), normal(4, 3, 3, 3)
    text = graph(
        "Input in0 0 1 in0",
        f"RankCore a 1 2 in0 a am 0={before} 1=3 4=1 6={first.size} 20=1 21={max(before, after)}",
        f"RankPass b 2 1 a am b 0={channels} 1={before} 2={reduced} 5=1 7=1 20=1 21=1",
        f"RankCore c 1 2 b c cm 0={after} 1=3 4=1 6={core.size} 20=1",
        f"RankPass d 2 1 c cm d 0={channels} 1={after} 2=3 5=1 7=1 20=1 21=1",
        f"RankCore e 1 1 d e 0=4 1=3 4=1 6={last.size}",
        "RankPass f 1 1 e out0 0=4 1=4",
    )
    y = F.conv2d(double(x), double(first), padding=1)
    y = F.conv2d(narrow(wide(y, channels, norm=True), reduced), double(core), padding=1)
    y = F.conv2d(narrow(wide(y, channels, norm=True), 3), double(last), padding=1)
    wanted = torch.einsum("ck,nkhw->nchw", dct(4, 4), y)
    got = [answers(tmp_path, text, x, first, core, last, threads=threads) for threads in (1, 2, 4)]
    if size != (1, 1):  # where every norm is of one value
        close(got[0], wanted, 1e-4)
    for other in got[1:]:
        np.testing.assert_array_equal(got[0], other)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "padding"),
    [
        ((3, 3), (1, 1), (1, 1), (1, 1)),
        ((1, 1), (1, 1), (1, 1), (0, 0)),
        ((3, 3), (2, 2), (1, 1), (1, 1)),
        ((1, 1), (2, 2), (1, 1), (0, 0)),
        ((5, 3), (3, 1), (2, 3), (4, 3)),
        ((2, 4), (1, 3), (1, 1), (0, 5)),
    ],
)
@pytest.mark.parametrize("pool", [False, True])
@pytest.mark.parametrize("size", [(11, 9), (41, 300)])
def test_a_core_of_any_geometry_makes_its_input_row_by_row(
    tmp_path: Path, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int],
    padding: tuple[int, int], pool: bool, size: tuple[int, int], threads: int,
) -> None:  # fmt: skip
    x, weight = normal(1, 3, *size), normal(5, 4, *kernel)
    places = (("1", "11", kernel), ("2", "12", dilation), ("3", "13", stride), ("4", "14", padding))
    parameters = " ".join(f"{across}={values[1]} {down}={values[0]}" for across, down, values in places)
    text = graph(
        "Input in0 0 1 in0",
        f"RankPass a 1 1 in0 a 0=20 1=3 2=4 7=1 8={int(pool)} 21=1",
        f"RankCore b 1 1 a out0 0=5 6={weight.size} {parameters}",
    )
    y = wide(double(x), 20, norm=False)
    y = narrow(F.max_pool2d(y, 2) if pool else y, 4)
    wanted = F.conv2d(y, double(weight), stride=stride, padding=padding, dilation=dilation)
    close(answers(tmp_path, text, x, weight, threads=threads), wanted)


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("borders", [(0, 0, 0, 0), (1, 0, 0, 1), (0, 2, 3, 0)])
@pytest.mark.parametrize("kernel", [(2, 2), (3, 1)])
@pytest.mark.parametrize("size", [(1, 1), (5, 8), (9, 70)])
def test_a_skip_connection_and_what_comes_up_meet_row_by_row(
    tmp_path: Path, size: tuple[int, int], kernel: tuple[int, int], borders: tuple[int, int, int, int], threads: int
) -> None:
    above, below, left, right = borders
    height, width = size[0] * kernel[0] + above + below, size[1] * kernel[1] + left + right
    skip, low = normal(1, 3, height, width), normal(1, 4, *size)
    up, core = normal(5, 4, *kernel), normal(3, 6, 3, 3)
    text = graph(
        "Input in0 0 1 in0",
        "Input in1 0 1 in1",
        f"RankUp up 1 1 in1 up 0=5 1={kernel[1]} 11={kernel[0]} 6={up.size} 20={above} 21={below} 22={left} 23={right}",
        "RankPass a 1 1 in0 a 0=20 1=3 2=6 3=50 7=1 21=1",
        "RankPass b 2 1 up a b 0=30 1=5 2=6 3=50 4=20 10=1 21=1",
        f"RankCore c 1 1 b c 0=3 1=3 4=1 6={core.size}",
        "RankPass d 1 1 c out0 0=10 1=3 7=1",
    )
    weights = ncnn_weights((True, up), (True, core))
    job = {"weights_format": "runtime", "execution": "stock", "inputs": "in0, in1", "threads": threads}
    run = measure(tmp_path, text, weights, [skip, low], **job)
    assert run.outputs is not None, (run.events, run.stderr)
    raised = F.conv_transpose2d(double(low), double(up).transpose(0, 1), stride=kernel)
    raised = torch.einsum("ck,nkhw->nchw", dct(30, 5), F.pad(raised, [left, right, above, below]))
    u = narrow(wide(double(skip), 20, norm=False), 6, 50) + narrow(raised, 6, 50, 20)
    close(run.outputs, wide(F.conv2d(u, double(core), padding=1), 10, norm=False))


@pytest.mark.parametrize("threads", [1, 2])
def test_nothing_is_written_over_what_another_layer_needs(tmp_path: Path, threads: int) -> None:
    x, first, second = normal(2, 4, 30, 40), normal(4, 4, 3, 3), normal(4, 4, 3, 3)
    text = graph(
        "Input in0 0 1 in0",
        "Split s 1 3 in0 s0 s1 s2",
        "RankPass a 1 1 s0 a 0=9 1=4 2=4 7=1 21=1",
        f"RankCore b 1 1 a b 0=4 1=3 4=1 6={first.size}",
        "RankSplit t 1 2 b b0 b1",
        "RankPass c 1 1 b0 c 0=9 1=4 2=4 7=1 21=1",
        f"RankCore d 1 1 c d 0=4 1=3 4=1 6={second.size}",
        "RankPass e 1 1 s1 e 0=9 1=4 2=4 7=1",
        "Eltwise f 4 1 b1 d e s2 out0 0=1",
    )
    z = double(x)
    b = F.conv2d(narrow(wide(z, 9, norm=False), 4), double(first), padding=1)
    d = F.conv2d(narrow(wide(b, 9, norm=False), 4), double(second), padding=1)
    got = answers(tmp_path, text, x, first, second, threads=threads)
    close(got, b + d + narrow(wide(z, 9, norm=False), 4) + z)


STRAIGHT = "0=9 1=3 2=3"
PROMISE = f"{STRAIGHT} 21=1"


@pytest.mark.parametrize(
    "lines",
    [
        [f"RankPass a 1 1 in0 a {PROMISE}", "ReLU b 1 1 a out0"],
        [f"RankPass a 1 1 in0 a {PROMISE}", "RankSplit b 1 2 a b c", f"RankPass d 1 1 b out0 {STRAIGHT}"],
        [f"RankPass a 1 1 in0 a {PROMISE}", "RankUp b 1 1 a b 0=3 1=1 6=9", f"RankPass c 1 1 b out0 {STRAIGHT}"],
        ["RankUp a 1 1 in0 a 0=2 1=2 6=24", "Split b 1 2 a b c", "ReLU d 1 1 b out0"],
        # As numbers for each channel, and as moments: ten of either, which is not what a promise is.
        [f"RankPass a 1 1 in0 a {PROMISE}", "RankPass b 2 1 in0 a out0 0=4 1=3 2=3 9=1"],
        [f"RankPass a 1 1 in0 a {PROMISE}", f"RankPass b 3 1 in0 a in0 out0 {STRAIGHT} 9=1 10=1"],
        [f"RankPass a 1 1 in0 a {PROMISE}", f"RankPass b 2 1 in0 a out0 {STRAIGHT} 5=1 20=1"],
        # By two layers, in either order, and twice by one.
        [f"RankPass a 1 1 in0 a {PROMISE}", "Sigmoid b 1 1 a b", f"RankPass c 1 1 a out0 {STRAIGHT}"],
        [f"RankPass a 1 1 in0 a {PROMISE}", f"RankPass b 1 1 a out0 {STRAIGHT}", "Sigmoid c 1 1 a c"],
        [
            f"RankPass a 1 1 in0 a {PROMISE}",
            f"RankPass b 1 1 a b {STRAIGHT}",
            f"RankPass c 2 1 a b out0 {STRAIGHT} 10=1",
        ],
        [f"RankPass a 1 1 in0 a {PROMISE}", f"RankPass b 2 1 a a out0 {STRAIGHT} 10=1"],
        [f"RankPass a 1 1 in0 a {PROMISE}", f"RankPass b 1 1 in0 out0 {STRAIGHT}"],
    ],
)
def test_a_deferred_blob_that_nothing_can_make_is_refused(tmp_path: Path, lines: list[str]) -> None:
    text = graph("Input in0 0 1 in0", *lines)
    run = measure(tmp_path, text, bytes(4000), normal(1, 3, 8, 8), weights_format="runtime", execution="stock")
    error = run.event("error")
    assert error["kind"] == "bad_graph"
    assert "the blob a is deferred" in error["message"]


@pytest.mark.parametrize("outputs", ["a", "out0, a"])
def test_a_deferred_blob_has_no_values_for_the_job(tmp_path: Path, outputs: str) -> None:
    text = graph("Input in0 0 1 in0", f"RankPass a 1 1 in0 a {PROMISE}", f"RankPass b 1 1 a out0 {STRAIGHT}")
    job = {"weights_format": "runtime", "execution": "stock", "outputs": outputs}
    error = measure(tmp_path, text, b"", normal(1, 3, 8, 8), **job).event("error")
    assert error["kind"] == "bad_graph"
    assert "the blob a is deferred" in error["message"]


@pytest.mark.parametrize("added", [False, True])
def test_deferred_blobs_are_made_of_each_other_only_so_deep(tmp_path: Path, added: bool) -> None:
    x = normal(1, 3, 64, 80)

    def run(depth: int) -> Run:
        reads = [f"2 1 x{i} a{i - 1}" if added else f"1 1 a{i - 1}" for i in range(1, depth)]
        passes = [f"RankPass a{i} {read} a{i} {PROMISE} 10={int(added)}" for i, read in enumerate(reads, 1)]
        inputs = " ".join(f"x{i}" for i in range(depth))
        lines = [f"RankSplit s 1 {depth} in0 {inputs}", f"RankPass a0 1 1 x0 a0 {PROMISE}", *passes]
        text = graph("Input in0 0 1 in0", *lines, f"RankPass b 1 1 a{depth - 1} out0 {STRAIGHT}")
        return measure(tmp_path, text, b"", x, weights_format="runtime", execution="stock", threads=4)

    deepest = run(64)
    assert deepest.outputs is not None, deepest.events
    close(deepest.outputs, double(x) * (64 if added else 1), 1e-4)
    error = run(65).event("error")
    assert error["kind"] == "bad_graph"
    assert "the blob a64 is deferred" in error["message"]
    assert run(20_000).event("error")["kind"] == "bad_graph"


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("line", "count"),
    [  # Rows of more than 8 GiB, in each of the places that make some.
        ("RankCore b 1 1 a out0 0=1 1=1 6=513", 513),
        ("RankPass b 1 1 a out0 0=513 1=513 2=1", 0),
        ("RankPass b 1 1 a out0 0=513 1=513 2=1 5=1", 0),
    ],
)
def test_rows_that_no_memory_holds_are_refused(tmp_path: Path, line: str, count: int, threads: int) -> None:
    up = np.zeros(513 * 1024)
    text = graph("Input in0 0 1 in0", f"RankUp a 1 1 in0 a 0=513 1=1024 11=1 6={up.size}", line)
    weights = ncnn_weights((True, up), *[(True, np.zeros(count))] * (count > 0))
    job = {"weights_format": "runtime", "execution": "stock", "threads": threads}
    error = measure(tmp_path, text, weights, normal(1, 1, 1, 4096), **job).event("error")
    assert error["kind"] == "out_of_memory"
    assert "out0" in error["message"]


@pytest.mark.parametrize(
    "lines",
    [
        ["RankPass a 1 1 in0 out0 0=9 1=3 2=4 20=1"],
        ["RankUp a 1 1 in0 a 0=2 1=2 6=23", "RankPass b 1 1 a out0 0=2 1=2"],
        ["RankUp a 1 1 in0 a 0=2 1=2 6=24 20=-1", "RankPass b 1 1 a out0 0=2 1=2"],
        ["RankUp a 1 1 in0 a 0=2 1=0 6=24", "RankPass b 1 1 a out0 0=2 1=2"],
        ["RankCore a 1 1 in0 out0 0=2 1=1 6=6 21=99999"],
        [f"RankPass a 1 1 in0 out0 {STRAIGHT} 5=1 6=-1e-5"],
        [f"RankPass a 1 1 in0 out0 {STRAIGHT} 5=1 6=-1"],
        [f"RankPass a 1 1 in0 out0 {STRAIGHT} 5=1 6=nan"],
    ],
)
def test_parameters_that_make_no_sense_are_refused(tmp_path: Path, lines: list[str]) -> None:
    text = graph("Input in0 0 1 in0", *lines)
    run = measure(tmp_path, text, bytes(4000), normal(1, 3, 8, 8), weights_format="runtime", execution="stock")
    assert run.event("error")["kind"] == "bad_graph"


def test_moments_of_another_blob_are_refused(tmp_path: Path) -> None:
    core = normal(2, 3, 1, 1)
    forged = graph(
        "Input in0 0 1 in0",
        f"RankCore a 1 2 in0 a am 0=2 1=1 6={core.size} 20=1",
        "RankPass b 1 1 a b 0=9 1=2 2=3",
        "RankPass c 2 1 b am out0 0=9 1=3 2=4 5=1 7=1 20=1",
    )
    job = {"weights_format": "runtime", "execution": "stock"}
    run = measure(tmp_path, forged, ncnn_weights((True, core)), normal(1, 3, 8, 8), **job)
    assert run.event("error")["kind"] == "inference_failed"
