"""Large pictures are converted by way of small ones, where that makes the same graph."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bench.export import eager, graph, ncnn, pnnx, sizes
from bench.networks.builtin.unet import UNet
from bench.records import Tensor


class ToFixedSize(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.interpolate(F.relu(x), size=(129, 140))


class OverTheWholePicture(nn.Module):
    """Pools over a window that it takes from its input."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        return F.avg_pool2d(x, (x.shape[2], x.shape[3]))


def converted(network: nn.Module, size: tuple[int, int]) -> str:
    samples = [np.random.default_rng(0).random((1, 3, *size), np.float32)]
    inputs = (Tensor(name="in0", shape=(3, *size), dtype="float32"),)
    network = network.eval()
    return str(ncnn.convert(network, inputs, samples, eager.answers(network, samples))[0])


@pytest.mark.parametrize(
    ("network", "at_once"),
    [(UNet("instance", width=2), True), (ToFixedSize(), False), (OverTheWholePicture(), False)],
    ids=["unet", "fixed", "whole"],
)
@pytest.mark.parametrize("size", [(141, 203), (192, 160)])
def test_the_graph_is_that_of_the_large_picture(
    network: nn.Module, at_once: bool, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, ...]] = []
    convert = pnnx.convert
    monkeypatch.setattr(pnnx, "convert", lambda path, inputs: (asked.append(inputs[0].shape), convert(path, inputs))[1])
    graph = converted(network, size)
    assert asked[0] == (3, 64 + size[0] % 64, 64 + size[1] % 64)
    assert asked[1:] == ([] if at_once else [(3, *size)])

    monkeypatch.setattr(sizes, "smaller", lambda inputs: None)
    assert graph == converted(network, size)


def test_small_pictures_and_vectors_are_converted_as_they_are() -> None:
    shapes: list[tuple[int, ...]] = [(3, 128, 640), (300,), (3, 40, 40)]
    assert [sizes.smaller((Tensor(name="in0", shape=shape, dtype="float32"),)) for shape in shapes] == [None] * 3


class Enlarged(nn.Module):
    """Adds what is missing to its input, as networks for super-resolution do, and ends twice as large."""

    def __init__(self, up: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 3, padding=1))
        self.up = nn.ConvTranspose2d(3, 3, 2, stride=2) if up else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        larger: torch.Tensor = self.up(x + self.body(x))
        return larger


@pytest.mark.parametrize(
    ("network", "size", "step"),
    [
        (UNet("instance", width=2), (96, 144), 16),
        (UNet("batch", width=2), (320, 480), 16),
        (UNet("instance", width=2), (100, 144), None),
        (Enlarged(up=False), (20, 31), 1),
        (Enlarged(up=True), (20, 31), 1),
        (nn.Conv2d(3, 4, 3), (20, 31), None),
        (ToFixedSize(), (64, 70), None),
        (nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Flatten(), nn.Linear(256, 2)), (8, 8), None),
    ],
    ids=["unet", "large", "rounded", "sum", "twice", "border", "fixed", "linear"],
)
def test_by_how_much_sides_may_differ(network: nn.Module, size: tuple[int, int], step: int | None) -> None:
    samples = [np.random.default_rng(0).random((1, 3, *size), np.float32)]
    inputs = (Tensor(name="in0", shape=(3, *size), dtype="float32"),)
    made, _ = ncnn.convert(network.eval(), inputs, samples)
    assert sizes.step(made, inputs) == step


def test_a_resident_graph_takes_as_many_sizes_as_the_ordinary_one() -> None:
    lines = """Input - 0 1 in0
        RankPass - 1 1 in0 1 0=3 2=3 21=1
        RankCore - 1 2 1 2 2'' 0=4 1=3 4=1 6=108 20=1
        RankSplit - 1 2 2'' a b
        RankPass - 2 1 2 a 3 0=8 1=4 2=4 5=1 7=1 8=1 20=1
        RankCore - 1 1 3 4 0=4 1=3 4=1 6=144
        RankUp - 1 1 4 5 0=4 1=2 11=2 6=64
        RankPass - 1 1 5 out0 0=8 1=4""".splitlines()
    made = graph.parse("\n".join(["7767517", f"{len(lines)} 10", *lines]))
    inputs = (Tensor(name="in0", shape=(3, 32, 48), dtype="float32"),)
    assert sizes.step(made, inputs) == 2


def test_only_networks_of_one_picture_have_a_step() -> None:
    made = graph.parse("7767517\n1 1\nInput - 0 1 in0")
    pictures = (Tensor(name="in0", shape=(3, 8, 8)), Tensor(name="in1", shape=(3, 8, 8)))
    assert sizes.step(made, pictures) is None
    assert sizes.step(made, (Tensor(name="in0", shape=(40,)),)) is None


def test_a_graph_with_int8_weights_takes_as_many_sizes_as_in_float32() -> None:
    inputs = (Tensor(name="in0", shape=(3, 32, 32), dtype="float32"),)
    text = (
        "7767517\n3 3\nInput in0 0 1 in0\nConvolution one 1 1 in0 a 0=4 1=3 3=2 4=1 5=1 6=108{}\n"
        "Convolution two 1 1 a out0 0=4 1=3 4=1 5=1 6=144{}\n"
    )
    steps = {sizes.step(graph.parse(text.format(*terms)), inputs) for terms in (("", ""), (" 8=102", " 8=2"))}
    assert len(steps) == 1
    assert steps != {None}
