"""TorchScript files and programs of torch.export, which have no Python of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.errors import ExportRefused
from bench.export import eager, graph, ncnn
from bench.records import Tensor as Port

IMAGES = [np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32)]


class Recurrent(nn.Module):
    """Control flow that does not depend on values, layers of several kinds, and a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.lstm = nn.LSTM(8, 6, batch_first=True)
        self.gru = nn.GRU(6, 4, batch_first=True, bidirectional=True)
        self.out = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        if x.dim() != 4:
            raise ValueError("images are wanted")
        y = F.relu(self.norm(self.conv(x)))
        z = self.lstm(y.flatten(2).transpose(1, 2))[0]
        for _ in range(2):
            z = z * 2
        return {"scores": self.out(self.gru(z)[0].mean(1)), "shares": y.softmax(1)}


class Rewritten(nn.Module):
    """What pnnx gets wrong or ncnn does not have."""

    def forward(self, x: Tensor) -> list[Tensor]:
        windows = x.reshape(1, 3, 2, 4, 2, 4).permute(0, 2, 4, 1, 3, 5).reshape(1, 4, 3, 16)
        return [torch.where(x > 0, x, x * 2), F.pad(x, (1, 1, 1, 1), "circular"), x[:, ::2], x.var((2, 3)), windows]


def scripted(network: nn.Module, path: Path) -> nn.Module:
    torch.jit.script(network).save(str(path))
    loaded: nn.Module = torch.jit.load(str(path))  # type: ignore[no-untyped-call]
    return loaded


def traced(network: nn.Module, path: Path) -> nn.Module:
    torch.jit.trace(network, torch.zeros(1, 3, 8, 8), strict=False).save(str(path))  # type: ignore[no-untyped-call]
    loaded: nn.Module = torch.jit.load(str(path))  # type: ignore[no-untyped-call]
    return loaded


def programmed(network: nn.Module, path: Path) -> nn.Module:
    torch.export.save(torch.export.export(network, (torch.zeros(1, 3, 8, 8),)), str(path))
    return torch.export.load(str(path)).module()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("load", [scripted, traced, programmed])
@pytest.mark.parametrize(
    ("build", "kinds"), [(Recurrent, {"LSTM", "GRU", "Convolution"}), (Rewritten, {"Concat", "Permute", "UnaryOp"})]
)
def test_files_are_exported_like_the_network_that_they_are_of(
    tmp_path: Path, build: Callable[[], nn.Module], kinds: set[str], load: Callable[[nn.Module, Path], nn.Module]
) -> None:
    torch.manual_seed(0)
    network = build().eval()
    loaded = load(network, tmp_path / "network.pt2")
    expected = eager.answers(loaded, IMAGES)
    for ours, given in zip(eager.answers(network, IMAGES).values, expected.values, strict=True):
        np.testing.assert_allclose(ours, given, rtol=1e-4, atol=1e-5)
    ncnn.export(loaded, [Port(name="in0", shape=(3, 8, 8))], IMAGES, expected, tmp_path)
    parsed = graph.parse((tmp_path / "graph.param").read_text())
    assert kinds <= {layer.type for layer in parsed.layers}
    assert len(parsed.outputs()) == len(expected.outputs)


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if bool(x.sum() > 0):  # what the script decides by
            return x * 2
        return x


@pytest.mark.filterwarnings("ignore")
def test_a_script_that_reads_values_is_refused_with_the_line_of_its_source(tmp_path: Path) -> None:
    with pytest.raises(ExportRefused, match=r"test_export_program\.py:\d+: if bool\(x\.sum\(\) > 0\)"):
        eager.answers(scripted(Branching(), tmp_path / "n.pt"), IMAGES)


@pytest.mark.filterwarnings("ignore")
def test_operators_of_a_program_are_named(tmp_path: Path) -> None:
    class Sorted(nn.Module):
        def forward(self, x: Tensor) -> Any:
            return x.sort(1)[0]

    loaded = programmed(Sorted(), tmp_path / "network.pt2")
    expected = eager.answers(loaded, IMAGES)
    with pytest.raises(ExportRefused, match=r"torch\.sort"):
        ncnn.export(loaded, [Port(name="in0", shape=(3, 8, 8))], IMAGES, expected, tmp_path)
