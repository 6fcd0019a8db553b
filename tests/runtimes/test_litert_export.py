"""litert-torch, which bench fetches for itself: what it writes today answers as the network does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bench.errors import ExportRefused
from bench.runtimes.litert import exporter
from tests.e2e.loaded_kit import launched
from tests.exported import example
from tests.loaded_network import INPUTS, OUTPUTS, SAMPLES, answers, network

pytestmark = [pytest.mark.exporters, pytest.mark.timeout(1800)]


@pytest.mark.parametrize("half", [False, True])
def test_what_is_written_answers_as_the_network_does(half: bool, tmp_path: Path) -> None:
    path = tmp_path / "network.tflite"
    exporter.export(network(), INPUTS, SAMPLES, len(OUTPUTS), path, half=half)
    done = launched("litert", path, SAMPLES, tmp_path, inputs="in0,in1", outputs=",".join(OUTPUTS))
    assert np.abs(done.values(len(SAMPLES[0])) - answers()).max() <= 1e-5 * np.abs(answers()).max()
    assert b"Described" not in path.read_bytes(), "names of the user's classes"


def test_weights_that_lose_nothing_take_half_the_bytes(tmp_path: Path) -> None:
    layers = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 4)).half().float().eval()
    inputs, samples = (example("ranks").inputs[0].model_copy(update={"shape": (64,)}),), (np.ones((1, 64), np.float32),)
    for name, half in (("whole", False), ("half", True)):
        exporter.export(layers, inputs, samples, 1, tmp_path / name, half=half)
    assert (tmp_path / "half").stat().st_size < 0.6 * (tmp_path / "whole").stat().st_size


def test_an_output_that_is_an_input_keeps_its_name(tmp_path: Path) -> None:
    class Passing(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return x, x * 2, x

    one = example("ranks")
    exporter.export(Passing().eval(), one.inputs, one.samples, 3, tmp_path / "network.tflite", half=False)
    done = launched("litert", tmp_path / "network.tflite", one.samples, tmp_path, outputs="out0,out1,out2")
    (x,) = one.samples
    assert np.array_equal(done.values(len(x)), np.concatenate([x, 2 * x, x], axis=1))


class Solving(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        square = x.reshape(2, 3) @ x.reshape(3, 2)
        return torch.linalg.eigvals(square).real


def test_what_cannot_be_written_is_refused_in_its_words(tmp_path: Path) -> None:
    one = example("ranks")
    with pytest.raises(ExportRefused, match=r"litert-torch (refuses it|died)"):
        exporter.export(Solving().eval(), one.inputs, one.samples, 1, tmp_path / "network.tflite", half=False)
