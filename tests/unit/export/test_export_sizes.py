"""Large pictures are converted by way of small ones, where that makes the same graph."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bench.export import eager, ncnn, pnnx, sizes
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
