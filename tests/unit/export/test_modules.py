"""Layers of a graph are found again in the author's network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from bench.errors import ExportRefused
from bench.export import graph, modules
from bench.records import Tensor

INPUT = Tensor(name="in0", shape=(3, 8, 8))
SAMPLES = (np.zeros((1, 3, 8, 8), np.float32),)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.blocks = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1))
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.head(self.blocks(self.stem(x)).mean((2, 3)))
        return made


CALLED = modules.kernels(Net(), SAMPLES)


def named(*layers: str) -> list[str]:
    blobs = sum(int(line.split()[3]) for line in layers)
    parsed = graph.parse("\n".join(("7767517", f"{len(layers)} {blobs}", *layers)))
    return modules.names(parsed, (INPUT,), CALLED)


def test_modules_are_listed_in_the_order_of_their_calls() -> None:
    assert [path for path, _ in CALLED] == ["stem", "blocks.0", "blocks.2", "head"]


def test_the_ordinary_graph_has_every_name() -> None:
    assert named(
        "Input - 0 1 in0",
        "Convolution - 1 1 in0 a 0=8 1=3 4=1 5=1 6=216",
        "ConvolutionDepthWise - 1 1 a b 0=8 1=3 4=1 5=1 6=72 7=8",
        "ReLU - 1 1 b c",
        "Convolution - 1 1 c d 0=8 1=3 4=1 5=1 6=576",
        "Pooling - 1 1 d e 0=1 4=1",
        "InnerProduct - 1 1 e out0 0=5 1=1 2=40",
    ) == ["", "stem", "blocks.0", "", "blocks.2", "", "head"]


def test_what_stands_in_a_smaller_space_keeps_the_name_and_what_was_added_has_none() -> None:
    """The last convolution in the middle of two of 1×1, as a low-rank method has it."""
    assert named(
        "Input - 0 1 in0",
        "Convolution - 1 1 in0 a 0=8 1=3 4=1 5=1 6=216",
        "ConvolutionDepthWise - 1 1 a b 0=8 1=3 4=1 5=1 6=72 7=8",
        "Convolution - 1 1 b c 0=2 1=1 6=16",
        "Convolution - 1 1 c d 0=2 1=3 4=1 6=36",
        "Convolution - 1 1 d e 0=8 1=1 5=1 6=16",
        "Pooling - 1 1 e f 0=1 4=1",
        "Convolution - 1 1 f out0 0=5 1=1 6=40",
    ) == ["", "stem", "blocks.0", "", "blocks.2", "", "", "head"]


def test_a_network_that_cannot_be_run_is_refused() -> None:
    with pytest.raises(ExportRefused, match="watched"):
        modules.kernels(nn.Linear(5, 2), SAMPLES)
