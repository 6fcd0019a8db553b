"""Resident execution in the runner, against torch: our own layers one by one, and whole graphs made by the export."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bench.compress.frequency import layers
from bench.export import graph as param
from bench.export import resident
from bench.export.explanation import explain
from bench.export.frequency import export_fr, read, rewrite
from bench.export.resident import Weight
from bench.records import Tensor as Port
from tests.e2e.native_kit import Tensor, graph, measure, ncnn_weights, package

RNG = np.random.default_rng(11)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def dct(n: int, columns: int) -> torch.Tensor:
    j, k = torch.arange(n, dtype=torch.float64)[:, None], torch.arange(columns, dtype=torch.float64)
    scale = torch.full((columns,), (2 / n) ** 0.5, dtype=torch.float64)
    scale[0] = n**-0.5
    return scale * torch.cos(torch.pi * (2 * j + 1) * k / (2 * n))


def channels_by(matrix: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return torch.einsum("ck,nkhw->nchw", matrix, x)


def run_layer(
    folder: Path, line: str, x: np.ndarray, *extra: str, weights: bytes = b"", **changes: object
) -> np.ndarray:
    inputs = " ".join(["in0", *(word.split()[4] for word in extra)])
    count = inputs.count(" ") + 1
    kind, _, parameters = line.partition(" ")
    text = graph("Input in0 0 1 in0", *extra, f"{kind} own {count} 1 {inputs} out0 {parameters}")
    run = measure(folder, text, weights, x, weights_format="runtime", execution="stock", **changes)
    assert run.status == 0, (run.events, run.stderr)
    assert run.outputs is not None
    return run.outputs


def close(got: np.ndarray, wanted: torch.Tensor, tolerance: float = 2e-6) -> None:
    expected = wanted.numpy().ravel()
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() <= tolerance * np.abs(expected).max()


@pytest.mark.parametrize("size", [(2, 3), (7, 33), (40, 959)])
@pytest.mark.parametrize(("rank", "reduced"), [(4, 4), (5, 3), (1, 20), (16, 17), (20, 4)])
@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("pool", [True, False])
def test_a_pass_from_small_to_small(
    tmp_path: Path, rank: int, reduced: int, norm: bool, pool: bool, size: tuple[int, int]
) -> None:
    channels, total, first = 21, 50, 13
    z = normal(2, rank, *size) + 3  # far from zero: moments have to be exact all the same
    line = f"RankPass 0={channels} 1={rank} 2={reduced} 3={total} 4={first} 5={int(norm)} 6=1e-5 7=1 8={int(pool)}"
    got = run_layer(tmp_path, line, z, threads=1 + pool)
    y = channels_by(dct(channels, rank), torch.from_numpy(z).double())
    if norm:
        y = (y - y.mean((2, 3), keepdim=True)) / torch.sqrt(y.var((2, 3), keepdim=True, unbiased=False) + 1e-5)
    y = F.relu(y)
    if pool:
        y = F.max_pool2d(y, 2)
    close(got, channels_by(dct(total, reduced)[first : first + channels].T, y), 1e-5 if norm else 2e-6)


def test_a_pass_with_factor_term_and_what_is_added(tmp_path: Path) -> None:
    bias, scale = normal(12), normal(12)
    before = normal(3, 5, 9)
    z = normal(1, 2, 5, 9)
    vectors = ("MemoryData bias 0 1 bias 0=12", "MemoryData scale 0 1 scale 0=12")
    added = "MemoryData before 0 1 before 0=9 1=5 2=3"
    weights = ncnn_weights((False, bias), (False, scale), (False, before))
    got = run_layer(tmp_path, "RankPass 0=12 1=2 2=3 7=1 9=2 10=1", z, *vectors, added, weights=weights)
    y = channels_by(dct(12, 2), torch.from_numpy(z).double())
    y = F.relu(y * torch.from_numpy(scale).double()[:, None, None] + torch.from_numpy(bias).double()[:, None, None])
    close(got, channels_by(dct(12, 3).T, y) + torch.from_numpy(before).double())


def test_a_pass_that_only_expands_or_only_reduces(tmp_path: Path) -> None:
    z, y = normal(1, 3, 6, 35), normal(1, 10, 6, 35)
    close(
        run_layer(tmp_path, "RankPass 0=10 1=3 7=1", z), F.relu(channels_by(dct(10, 3), torch.from_numpy(z).double()))
    )
    got = run_layer(tmp_path, "RankPass 0=10 2=4 7=1", y)
    close(got, channels_by(dct(10, 4).T, F.relu(torch.from_numpy(y).double())))


def test_two_linear_maps_are_one(tmp_path: Path) -> None:
    z = normal(1, 5, 6, 7)
    got = run_layer(tmp_path, "RankPass 0=30 1=5 2=4 3=64 4=30", z)
    y = channels_by(dct(30, 5), torch.from_numpy(z).double())
    close(got, channels_by(dct(64, 4)[30:60].T, y))


def cosines(n: int, columns: int, t: np.ndarray) -> torch.Tensor:
    """The first columns of D(n) as functions of t: points × columns."""
    scale = np.where(np.arange(columns) == 0, np.sqrt(1 / n), np.sqrt(2 / n))
    return torch.from_numpy(scale * np.cos(np.pi * np.asarray(t, np.float64)[:, None] * np.arange(columns)))


@pytest.mark.parametrize("samples", [0, 9, 5])
def test_a_pass_with_a_core_of_its_own(tmp_path: Path, samples: int) -> None:
    z, core = normal(1, 4, 6, 7), normal(2, 5)
    line = f"RankPass 0=9 1=4 2=3 7=1 11=5 12=2 13={samples}"
    got = run_layer(tmp_path, line, z, weights=ncnn_weights((True, core)))
    m = samples or 9
    t = (np.arange(m) + 0.5) / m
    y = F.relu(channels_by(cosines(9, 4, t), torch.from_numpy(z).double()))
    weight = dct(3, 2) @ torch.from_numpy(core).double() @ cosines(9, 5, t).T * 9 / m
    close(got, channels_by(weight, y))


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("samples", [21, 20, 8, 4])
def test_a_pass_at_fewer_points(tmp_path: Path, samples: int, norm: bool) -> None:
    channels, rank, total, first = 21, 4, 50, 13
    z = normal(1, rank, 7, 9) + 3
    line = f"RankPass 0={channels} 1={rank} 2=5 3={total} 4={first} 5={int(norm)} 6=1e-5 7=1 13={samples}"
    t = (np.arange(samples) + 0.5) / samples
    got = run_layer(tmp_path, line, z)
    close(got, narrow(z, t, np.full(samples, 1 / samples), norm, channels, 5, total, first), 1e-5 if norm else 2e-6)
    if samples == channels:
        np.testing.assert_array_equal(got, run_layer(tmp_path, line.removesuffix(" 13=21"), z))


def narrow(
    z: np.ndarray, t: np.ndarray, weights: np.ndarray, norm: bool, channels: int, reduced: int, total: int, first: int
) -> torch.Tensor:
    y = channels_by(cosines(channels, z.shape[1], t), torch.from_numpy(z).double())
    if norm:
        y = (y - y.mean((2, 3), keepdim=True)) / torch.sqrt(y.var((2, 3), keepdim=True, unbiased=False) + 1e-5)
    reduce = cosines(total, reduced, (first + channels * t) / total).T * torch.from_numpy(channels * weights)
    return channels_by(reduce, F.relu(y))


def test_a_pass_at_points_of_its_own(tmp_path: Path) -> None:
    roots, weights = np.polynomial.legendre.leggauss(6)
    t, w = ((roots + 1) / 2).astype(np.float32), (weights / 2).astype(np.float32)

    def array(number: int, values: np.ndarray) -> str:
        return f"-{23300 + number}={len(values)}," + ",".join(f"{value:.9e}" for value in values)

    z = normal(1, 3, 7, 9)
    got = run_layer(tmp_path, f"RankPass 0=40 1=3 2=5 7=1 13=6 {array(14, t)} {array(15, w)}", z)
    close(got, narrow(z, t.astype(np.float64), w.astype(np.float64), False, 40, 5, 40, 0))


@pytest.mark.parametrize(("samples", "reduced"), [(8, 4), (5, 5), (20, 20), (6, 5)])
def test_no_fewer_points_than_columns_lose_nothing_of_what_is_linear(
    tmp_path: Path, samples: int, reduced: int
) -> None:
    z = normal(1, 4, 6, 7)
    whole = run_layer(tmp_path, f"RankPass 0=20 1=4 2={reduced}", z)
    got = run_layer(tmp_path, f"RankPass 0=20 1=4 2={reduced} 13={samples}", z)
    np.testing.assert_allclose(got, whole, atol=1e-5)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "padding"),
    [
        ((3, 3), (1, 1), (1, 1), (1, 1)),
        ((1, 1), (2, 2), (1, 1), (0, 0)),
        ((5, 3), (2, 1), (1, 2), (2, 3)),
        ((4, 4), (1, 1), (1, 1), (0, 0)),
    ],
)
@pytest.mark.parametrize("size", [(4, 4), (13, 70)])
def test_a_small_convolution(
    tmp_path: Path, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int],
    padding: tuple[int, int], size: tuple[int, int], threads: int,
) -> None:  # fmt: skip
    x, weight = normal(2, 3, *size), normal(4, 3, *kernel)
    places = (("1", "11", kernel), ("2", "12", dilation), ("3", "13", stride), ("4", "14", padding))
    parameters = " ".join(f"{across}={values[1]} {down}={values[0]}" for across, down, values in places)
    line = f"RankCore 0=4 6={weight.size} {parameters}"
    got = run_layer(tmp_path, line, x, weights=ncnn_weights((True, weight)), threads=threads)
    given = torch.from_numpy(x).double(), torch.from_numpy(weight).double()
    close(got, F.conv2d(*given, stride=stride, padding=padding, dilation=dilation))


@pytest.mark.parametrize(
    "line",
    [
        "RankPass 0=0 1=1 2=1", "RankPass 0=4 1=5 2=1", "RankPass 0=4 1=0 2=0", "RankPass 0=4 1=-1 2=1",
        "RankPass 0=4 1=3 2=9", "RankPass 0=4 1=3 2=2 3=5 4=2", "RankPass 0=4 1=3 2=2 4=-1", "RankPass 0=4 1=3 2=2 9=3",
        "RankPass 0=4 1=3 2=2 11=3", "RankPass 0=4 1=3 2=2 12=2", "RankPass 0=4 1=3 2=2 11=5 12=2",
        "RankPass 0=4 1=3 2=2 11=3 12=3", "RankPass 0=4 1=3 2=2 3=8 11=3 12=2", "RankPass 0=4 1=3 2=2 11=-3 12=2",
        "RankPass 0=4 1=3 2=2 13=-1", "RankPass 0=4 1=3 2=2 13=5", "RankPass 0=4 2=2 13=2", "RankPass 0=4 1=3 13=2",
        "RankPass 0=4 1=3 2=2 9=1 13=2", "RankPass 0=4 1=3 2=2 13=2 -23314=2,0.25,0.75",
        "RankPass 0=4 1=3 2=2 -23314=2,0.25,0.75 -23315=2,0.5,0.5",
        "RankPass 0=4 1=3 2=2 13=1 -23314=2,0.25,0.75 -23315=2,0.5,0.5",
        "RankPass 0=4 1=3 2=2 13=2 -23314=2,0.25,1.0 -23315=2,0.5,0.5",
        "RankPass 0=4 1=3 2=2 13=2 -23314=2,0.0,0.5 -23315=2,0.5,0.5",
        "RankPass 0=4 1=3 2=2 13=2 -23314=2,nan,0.5 -23315=2,0.5,0.5",
        "RankPass 0=4 1=3 2=2 13=2 -23314=2,0.25,0.75 -23315=2,-0.5,0.5",
        "RankPass 0=4 1=3 2=2 13=2 -23314=2,0.25,0.75 -23315=2,1e9,0.5",
        "RankPass 0=4 1=3 2=2 13=2 -23314=2,0.25,0.75 -23315=-2,0.5,0.5",
        "RankPass 0=3 2=2 5=1", "RankPass 0=3 2=2 8=1", "RankPass 0=3000000 1=3 2=2", "RankPass 0=4 1=3 10=1",
        "RankCore 0=0 1=3 6=9", "RankCore 0=2 1=0 6=9", "RankCore 0=2 1=3 6=19", "RankCore 0=2 1=3 6=-18",
        "RankCore 0=2 1=3 3=0 6=54", "RankCore 0=2 1=3 4=-1 6=54", "RankCore 0=2 1=99999999 6=54",
    ],
)  # fmt: skip
def test_a_layer_that_makes_no_sense_is_refused(tmp_path: Path, line: str) -> None:
    kind, _, parameters = line.partition(" ")
    text = graph("Input in0 0 1 in0", f"{kind} own 1 1 in0 out0 {parameters}")
    run = measure(tmp_path, text, bytes(4000), normal(1, 3, 8, 8), weights_format="runtime", execution="stock")
    assert run.event("error")["kind"] in ("bad_graph", "bad_weights")


@pytest.mark.parametrize(("line", "channels"), [("RankPass 0=8 1=3 2=2", 4), ("RankCore 0=2 1=9 6=486", 3)])
def test_an_input_that_does_not_fit_is_refused(tmp_path: Path, line: str, channels: int) -> None:
    kind, _, parameters = line.partition(" ")
    text = graph("Input in0 0 1 in0", f"{kind} own 1 1 in0 out0 {parameters}")
    weights = ncnn_weights((True, np.zeros(486))) if kind == "RankCore" else b""
    run = measure(tmp_path, text, weights, normal(1, channels, 8, 8), weights_format="runtime", execution="stock")
    assert run.event("error")["kind"] == "inference_failed"


def test_parts_of_a_tensor_are_known_by_their_size(tmp_path: Path) -> None:
    weight = Tensor((16, 12, 3, 3), normal(33))
    r_out, r_in, *_ = weight.box()
    core = f"1=3 4=1 0={r_out} 6={r_out * r_in * 9}"
    resident = graph(
        "Input in0 0 1 in0", f"RankPass in 1 1 in0 u 0=12 2={r_in}", f"RankCore core 1 1 u z {core}",
        f"RankPass out 1 1 z out0 0=16 1={r_out}",
    )  # fmt: skip
    three = graph(
        "Input in0 0 1 in0", f"Convolution in 1 1 in0 u 0={r_in} 1=1 6={12 * r_in}", f"Convolution core 1 1 u z {core}",
        f"Convolution out 1 1 z out0 0=16 1=1 6={16 * r_out}",
    )  # fmt: skip
    whole = graph("Input in0 0 1 in0", f"Convolution all 1 1 in0 out0 0=16 1=3 4=1 6={16 * 12 * 9}")
    x = normal(1, 12, 10, 11)
    wanted = F.conv2d(torch.from_numpy(x).double(), torch.from_numpy(weight.weight()), padding=1)
    for text in (resident, three, whole):
        run = measure(tmp_path, text, package(weight), x, execution="resident")
        assert run.outputs is not None
        close(run.outputs, wanted, 5e-5 if text == whole else 1e-5)  # ncnn's own convolution by Winograd's method
    half = three.replace(f"Convolution out 1 1 z out0 0=16 1=1 6={16 * r_out}", "Noop out 1 1 z out0")
    assert measure(tmp_path, half, package(weight), x, execution="resident").event("error")["kind"] == "bad_weights"


class Everything(nn.Module):
    """One of each thing that goes on between two layers, and some that need the wide activation."""

    def __init__(self, norm: str) -> None:
        super().__init__()

        def normed(channels: int) -> nn.Module:
            return nn.InstanceNorm2d(channels) if norm == "image" else nn.BatchNorm2d(channels)

        bias = norm != "image"
        self.a = nn.Sequential(nn.Conv2d(3, 24, 3, padding=1, bias=bias), normed(24), nn.ReLU())
        self.b = nn.Sequential(nn.Conv2d(24, 32, 3, padding=1, bias=bias), normed(32), nn.ReLU())
        self.c = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(32, 40, 3, padding=1), nn.ReLU())
        self.up = nn.ConvTranspose2d(40, 20, 2, stride=2, bias=bias)
        self.d = nn.Sequential(nn.Conv2d(52, 24, 3, padding=1), nn.ReLU(), nn.Conv2d(24, 24, 3, padding=1))
        self.e = nn.Sequential(nn.Conv2d(24, 30, 3, stride=2, padding=1), nn.Sigmoid(), nn.Conv2d(30, 28, 1), nn.ReLU())
        self.f = nn.Linear(28, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skip = self.b(self.a(x))
        up = self.up(self.c(skip))
        up = F.pad(up, [0, skip.shape[3] - up.shape[3], 0, skip.shape[2] - up.shape[2]])
        y = self.d(torch.cat([skip, up], 1))
        y = self.e(F.relu(y + self.a(x)))
        out: torch.Tensor = self.f(y.mean((2, 3)))
        return out


@pytest.mark.parametrize("norm", ["image", "batch"])
def test_a_whole_network_gives_the_same_answers_in_every_form(tmp_path: Path, norm: str) -> None:
    torch.manual_seed(3)
    network = Everything(norm)
    x = torch.rand(2, 3, 21, 27)
    with torch.no_grad():
        for _ in range(3):
            network(x)
    network.eval()
    layers.compress(network, {name: min(33, site.weight.numel()) for name, site in layers.sites(network).items()})
    layers.round_to_half(network)
    inputs = [Port(name="in0", shape=(3, 21, 27))]
    export_fr("everything", network, inputs, tmp_path)
    exported = read(tmp_path)
    weights = (tmp_path / "weights.frq").read_bytes()
    with torch.no_grad():
        wanted = network(x).double()
    texts = {"dense": str(exported.graph), "factored": str(exported.graph)}
    everywhere = rewrite(exported, inputs, "all")
    for choice in ("all", "cheapest"):
        param.write(rewrite(exported, inputs, choice).graph, tmp_path / "small.param")
        texts[f"resident {choice}"] = (tmp_path / "small.param").read_text()
    for form, text in texts.items():
        run = measure(tmp_path, text, weights, x.numpy(), execution=form.split()[0])
        assert run.outputs is not None, (form, run.events, run.stderr)
        close(run.outputs, wanted, 2e-5)
    kinds = [layer.type for layer in everywhere.graph.layers]
    assert kinds.count("RankCore") >= 7
    assert "InstanceNorm" not in kinds
    rows = explain(exported, inputs)
    assert {row.name for row in rows} == {f"{name}" for name in layers.sites(network)}
    assert all(row.reason for row in rows)


def test_a_linear_layer_takes_an_image_as_one_vector(tmp_path: Path) -> None:
    first, last = Tensor((16, 12, 3, 3), normal(33)), Tensor((6, 16 * 4 * 5), normal(40))
    text = graph(
        "Input in0 0 1 in0", f"Convolution a 1 1 in0 a 0=16 1=3 4=1 6={16 * 12 * 9} 9=1",
        f"InnerProduct b 1 1 a out0 0=6 2={6 * 16 * 4 * 5}",
    )  # fmt: skip
    weights = [Weight(tensor.shape, tensor.box()) for tensor in (first, last)]
    made = str(resident.rewrite(param.parse(text), weights).graph)
    x = normal(1, 12, 4, 5)
    run = measure(tmp_path, made, package(first, last), x, execution="resident")
    assert run.outputs is not None, (run.events, run.stderr)
    y = F.relu(F.conv2d(torch.from_numpy(x).double(), torch.from_numpy(first.weight()), padding=1))
    close(run.outputs, F.linear(y.flatten(1), torch.from_numpy(last.weight())), 1e-5)
