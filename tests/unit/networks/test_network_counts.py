"""Parameters, multiply-adds and outputs are counted on the network itself."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from bench import networks
from bench.cache import Cache
from bench.errors import BenchError
from bench.networks.count import count, counts
from bench.records import Tensor


def one(*shape: int) -> tuple[Tensor]:
    return (Tensor(name="in0", shape=shape),)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 16, batch_first=True)
        self.gru = nn.GRU(16, 4, batch_first=True)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        y, _ = self.lstm(x)
        return y, {"last": self.gru(y)[0]}


@pytest.mark.parametrize(
    ("network", "shape", "macs"),
    [
        (nn.Linear(7, 3), (7,), 21),
        (nn.Conv2d(4, 6, 3, groups=2), (4, 10, 10), 6 * 2 * 9 * 64),
        (nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2), (4, 5, 5), 4 * 3 * 9 * 25),
        (nn.Conv1d(4, 6, 3), (4, 10), 6 * 4 * 3 * 8),
        (nn.Conv3d(2, 3, 2), (2, 3, 4, 5), 3 * 2 * 8 * 24),
        (Recurrent(), (10, 8), 10 * (4 * 16 * (8 + 16) + 3 * 4 * (16 + 4))),
        (
            nn.TransformerEncoderLayer(32, 4, 64, batch_first=True),
            (10, 32),
            10 * (4 * 32 * 32 + 2 * 32 * 64) + 2 * 10 * 10 * 32,
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_multiply_adds_are_those_on_paper(network: nn.Module, shape: tuple[int, ...], macs: int) -> None:
    assert count(network.eval(), one(*shape)).macs == macs


def test_shared_parameters_count_once() -> None:
    layer = nn.Linear(4, 4)
    assert count(nn.Sequential(layer, nn.ReLU(), layer).eval(), one(4)).parameters == 20


def test_outputs_are_found_in_whatever_they_are_packed_in() -> None:
    outputs = count(Recurrent().eval(), one(10, 8)).outputs
    assert [(t.name, t.shape) for t in outputs] == [("out0", (10, 16)), ("out1", (10, 4))]


class Answers(nn.Module):
    def __init__(self, answer: object) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, x: torch.Tensor) -> object:
        return self.answer


@pytest.mark.parametrize(("answer", "words"), [(None, "holds no tensor"), ((), "holds no tensor"), ("text", "a str")])
def test_answers_that_hold_no_tensor_are_refused(answer: object, words: str) -> None:
    with pytest.raises(BenchError, match=words):
        count(Answers(answer), one(3))


class Leaving(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        print("leaving")  # noqa: T201 - what a user's network does
        sys.exit(0)


def test_a_forward_that_exits_is_an_error_and_its_words_are_no_result(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BenchError, match=r"sys\.exit\(0\) at .*test_network_counts\.py"):
        count(Leaving(), one(3))
    assert capsys.readouterr().out == ""


def test_an_answer_without_a_batch_is_taken_as_it_is() -> None:
    assert [t.shape for t in count(Answers((torch.ones(5, 2), torch.tensor(1.0))), one(3)).outputs] == [(5, 2), (1,)]


def test_counts_are_kept(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    network = networks.resolve("lenet5")
    first = counts(network, cache)
    assert first is not None
    assert (first.parameters, first.macs) == (431_080, 2_293_000)
    (kept,) = (tmp_path / "counts").glob("*/counts.json")
    made = kept.stat().st_mtime_ns
    assert counts(network, cache) == first
    assert kept.stat().st_mtime_ns == made
    larger = counts(networks.resolve("resnet18", input_size=(64, 64)), cache)
    smaller = counts(networks.resolve("resnet18"), cache)
    assert larger is not None
    assert smaller is not None
    assert larger.macs - 5120 == 4 * (smaller.macs - 5120)
