"""ExecuTorch's exporter: what it writes today answers as the network does. `make test-runtimes` installs it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bench.errors import ExportRefused
from bench.export import pte_file
from tests.e2e.loaded_kit import launched
from tests.exported import example

pytestmark = [pytest.mark.exporters, pytest.mark.timeout(900)]


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="GNU's headers come from Debian's packages")
@pytest.mark.parametrize("name", ["pictures", "words"])
def test_what_is_written_answers_as_the_network_does(name: str, tmp_path: Path) -> None:
    one = example(name)
    pte_file.export(one.network, one.samples, tmp_path / "network.pte")
    names = {
        "inputs": ",".join(tensor.name for tensor in one.inputs),
        "outputs": ",".join(f"out{number}" for number in range(len(one.answers()))),
    }
    wanted = np.concatenate(one.answers(), axis=1)
    found = launched("executorch", tmp_path / "network.pte", one.samples, tmp_path, **names).values(len(wanted))
    assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()


def test_nothing_of_the_users_computer_is_in_the_file(tmp_path: Path) -> None:
    one = example("pictures")
    pte_file.export(one.network, one.samples, tmp_path / "network.pte")
    data = (tmp_path / "network.pte").read_bytes()
    assert str(Path(__file__).parent).encode() not in data
    assert b"exported.py" not in data


class Reshaping(nn.Module):
    """Keeps the weight of a 1×1 convolution as a matrix, as layers in factors do."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.randn(4, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.conv2d(x, self.matrix[..., None, None])


def test_a_convolution_whose_weight_is_reshaped_is_left_to_xnnpack_all_the_same(tmp_path: Path) -> None:
    pte_file.export(Reshaping().eval(), (np.ones((1, 3, 8, 8), np.float32),), tmp_path / "network.pte")
    assert b"aten::convolution" not in (tmp_path / "network.pte").read_bytes()


class Deciding(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum().item() > 0 else -x


class Solving(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        square = x.reshape(2, 3) @ x.reshape(3, 2)
        return torch.linalg.eigvals(square).real


@pytest.mark.parametrize(
    ("network", "words"),
    [(Deciding(), "torch.export cannot record the network"), (Solving(), "ExecuTorch's exporter refuses it")],
)
def test_what_cannot_be_written_is_refused(network: nn.Module, words: str, tmp_path: Path) -> None:
    with pytest.raises(ExportRefused, match=words):
        pte_file.export(network.eval(), (example("ranks").samples[0],), tmp_path / "network.pte")
