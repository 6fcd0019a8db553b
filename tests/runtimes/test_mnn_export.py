"""MNN's converter: what it writes today answers as the network does. `make test-runtimes` installs it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bench import runtimes
from bench.errors import ExportRefused
from bench.export import eager
from bench.runtimes.runtime import Shown
from tests.e2e.loaded_kit import launched
from tests.exported import example
from tests.loaded_network import INPUTS, OUTPUTS, SAMPLES, answers, network

pytestmark = [pytest.mark.exporters, pytest.mark.timeout(900)]


def test_what_is_written_answers_as_the_network_does(tmp_path: Path) -> None:
    shown = Shown(SAMPLES, eager.answers(network(), SAMPLES))
    runtimes.runtime("mnn").export(network(), INPUTS, shown, tmp_path)
    names = {"inputs": "in0,in1", "outputs": ",".join(OUTPUTS)}
    done = launched("mnn", tmp_path / "network.mnn", SAMPLES, tmp_path, **names)
    assert np.abs(done.values(len(SAMPLES[0])) - answers()).max() <= 1e-5 * np.abs(answers()).max()


class Determinant(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.linalg.det(x.reshape(1, 2, 3) @ x.reshape(1, 3, 2))


def test_what_the_converter_lacks_is_refused_in_its_words(tmp_path: Path) -> None:
    one, made = example("ranks"), Determinant().eval()
    shown = Shown(one.samples, eager.answers(made, one.samples))
    with pytest.raises(ExportRefused, match="Det"):
        runtimes.runtime("mnn").export(made, one.inputs, shown, tmp_path)
