"""torch as a runtime: the contract of the native runner, with a TorchScript file as the graph."""

from __future__ import annotations

import subprocess
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bench.data import packed
from bench.errors import RunnerFailed
from bench.measure import lines
from bench.measure.job import Files, Job, Mode
from bench.plan import Protocol
from bench.runtimes.torch.member import WORKER


class Several(nn.Module):
    """Two inputs, one of them whole numbers; nested outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(10, 3)

    def forward(self, x: torch.Tensor, words: torch.Tensor) -> dict[str, torch.Tensor]:
        embedded = self.words(words)
        return {"sum": x.sum(1), "product": embedded * x[:, None], "x": x.transpose(0, 1)}


class Nested(Several):
    def forward(self, x: torch.Tensor, words: torch.Tensor) -> Any:
        found = super().forward(x, words)
        return found["sum"], [found["product"], found["x"]]


def launch(
    folder: Path, network: nn.Module, inputs: list[np.ndarray], mode: Mode, **asked: Any
) -> tuple[lines.Reading, np.ndarray]:
    example = tuple(torch.from_numpy(one[:1]) for one in inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        traced = torch.jit.trace(network.eval(), example, strict=False)
        traced.save(str(folder / "network.pt"))
    packed.write(folder / "samples", inputs)
    files = Files(str(folder / "network.pt"), "-", str(folder / "samples"), str(folder / "answers"))
    names = ("in0", "in1"), ("out0", "out1", "out2")
    protocol = Protocol(warmup_iterations=1, warmup_seconds=0, min_iterations=3, min_seconds=0)
    (folder / "job").write_text(Job(mode, files, *names, "runtime", "stock", **asked).text(protocol))
    done = subprocess.run([*WORKER, folder / "job"], capture_output=True, text=True, check=False)
    reading = lines.read(done.stdout.splitlines(), done.returncode, done.stderr)
    answers = np.fromfile(folder / "answers", "<f4") if mode == "accuracy" else np.empty(0)
    return reading, answers


@pytest.mark.parametrize("network", [Several(), Nested()])
def test_several_inputs_and_nested_outputs(tmp_path: Path, network: nn.Module) -> None:
    x = np.random.default_rng(1).normal(size=(2, 3)).astype(np.float32)
    words = np.array([[1, 9, 0, 4], [3, 3, 3, 8]])
    folder = tmp_path / "a#b"  # a comment begins after a blank only
    folder.mkdir()
    reading, answers = launch(folder, network, [x, words], "accuracy")
    assert reading.answers == lines.Answers(str(folder / "answers"), 2, (1, 12, 3))
    table = network.words.weight.detach().numpy()
    wanted = [np.concatenate([[one.sum()], (table[ids] * one).ravel(), one]) for one, ids in zip(x, words, strict=True)]
    np.testing.assert_allclose(answers.reshape(2, -1), wanted, rtol=1e-5, atol=1e-6)


def test_latency_reports_every_iteration(tmp_path: Path) -> None:
    reading, _ = launch(tmp_path, Several(), [np.ones((1, 3), np.float32), np.ones((1, 4), int)], "latency")
    assert [sample.iteration for sample in reading.samples if sample.metric == "latency"] == [0, 1, 2]
    assert reading.environment["runner"].startswith("torch ")


def test_load_goes_on_for_as_long_as_asked(tmp_path: Path) -> None:
    words = [np.ones((1, 3), np.float32), np.ones((1, 4), int)]
    reading, _ = launch(tmp_path, Several(), words, "sustained", seconds=2)
    seconds = [sample.iteration for sample in reading.samples if sample.metric == "sustained"]
    assert seconds == [0, 1]


@pytest.mark.parametrize(
    ("mode", "asked", "reason"),
    [
        ("largest", {"extents": (8, 8)}, "unsupported: torch has no mode largest"),
        ("latency", {"beside": 1}, "unsupported: torch is not measured with others"),
        ("latency", {"load": 2}, "unsupported: torch is not measured with others"),
    ],
)
def test_what_torch_does_not_do_is_refused_in_words(
    tmp_path: Path, mode: Mode, asked: dict[str, Any], reason: str
) -> None:
    with pytest.raises(RunnerFailed, match=reason):
        launch(tmp_path, Several(), [np.ones((1, 3), np.float32), np.ones((1, 4), int)], mode, **asked)


class Said(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        print('{"event": "iteration"}')  # noqa: T201 - what a user's network does
        return x


class Talking(Several):
    def __init__(self) -> None:
        super().__init__()
        self.said = torch.jit.script(Said())

    def forward(self, x: torch.Tensor, words: torch.Tensor) -> dict[str, torch.Tensor]:
        return super().forward(self.said(x), words)


@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")
def test_what_a_network_prints_is_not_an_event(tmp_path: Path) -> None:
    reading, _ = launch(tmp_path, Talking(), [np.ones((1, 3), np.float32), np.ones((1, 4), int)], "latency")
    assert [sample.iteration for sample in reading.samples if sample.metric == "latency"] == [0, 1, 2]
