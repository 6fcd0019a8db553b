"""What an eager network answers, and what a recording of it could not hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.errors import ExportRefused
from bench.export import eager

SAMPLES = [np.random.default_rng(0).standard_normal((4, 3, 5)).astype(np.float32)]


class Network(nn.Module):
    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(*inputs)


class Detected(NamedTuple):
    boxes: Tensor
    scores: Tensor


@dataclass
class Output:
    logits: Tensor
    hidden: Tensor | None = None


@pytest.mark.parametrize(
    ("function", "places"),
    [
        (lambda x: x, [""]),
        (lambda x: (x, x.sum((1, 2))), ["[0]", "[1]"]),
        (lambda x: {"boxes": x, "more": [x, (x,)]}, ["['boxes']", "['more'][0]", "['more'][1][0]"]),
        (lambda x: Detected(x, x), ["[0]", "[1]"]),
        (lambda x: Output(x), [".logits"]),
    ],
)
def test_outputs_are_found_wherever_they_are(function: Callable[..., Any], places: list[str]) -> None:
    found = eager.answers(Network(function), SAMPLES)
    assert list(found.places) == places
    assert [output.name for output in found.outputs] == [f"out{n}" for n in range(len(places))]
    np.testing.assert_array_equal(found.values[0], SAMPLES[0])


def test_an_output_has_the_shape_of_one_sample() -> None:
    found = eager.answers(Network(lambda x: (x.sum((1, 2)), x.mean(), x[0])), SAMPLES)
    assert [output.shape for output in found.outputs] == [(1,), (1,), (3, 5)]
    assert [value.shape for value in found.values] == [(4, 1), (4, 1), (4, 3, 5)]


def test_whole_numbers_reach_the_network_as_int64() -> None:
    found = eager.answers(nn.Embedding(9, 4), [np.array([[1, 2, 8]], np.int32)])
    assert found.outputs[0].shape == (3, 4)


def test_a_network_in_training_is_put_into_eval_mode() -> None:
    eager.answers(nn.Sequential(nn.Flatten(), nn.Dropout(), nn.BatchNorm1d(15)).train(), SAMPLES)


def chosen(x: Tensor) -> Tensor:
    return x * 2 if x.mean() < 0.1 else x - 1  # the line that decides


def halved(x: Tensor) -> Tensor:
    while x.abs().max() > 0.5:  # the line that decides
        x = x / 2
    return x


@pytest.mark.parametrize(
    "function",
    [
        chosen,
        halved,
        lambda x: x / float(x.max()),
        lambda x: x * x[0, 0, 0].item(),
        lambda x: x[: int(x.abs().sum()) % 2 + 1],
        lambda x: x + torch.from_numpy(x.numpy()),
        lambda x: x + torch.tensor(x.tolist()),
        lambda x: x[x > 0].sum(),
        lambda x: x.nonzero().float(),
        lambda x: torch.unique(x.round()),
        lambda x: x * 2 if torch.equal(x, x.abs()) else x,
        lambda x: x if bool((x + 1).sum() > 0) else -x,
    ],
)
def test_what_reads_values_is_refused_with_its_line(function: Callable[..., Any]) -> None:
    with pytest.raises(ExportRefused, match=r"depends on the values of its input.*test_export_eager\.py:\d+: .*x"):
        eager.answers(Network(function), SAMPLES)


def test_the_line_is_that_of_the_decision() -> None:
    with pytest.raises(ExportRefused, match=r"return x \* 2 if x.mean\(\) < 0.1 else x - 1  # the line that decides"):
        eager.answers(Network(chosen), SAMPLES)


def test_scripted_networks_that_read_values_are_refused() -> None:
    with pytest.warns(DeprecationWarning, match="torch.jit.script"):
        scripted = torch.jit.script(chosen)
    with pytest.raises(ExportRefused, match="depends on the values of its input"):
        eager.answers(Network(scripted), SAMPLES)


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(3.0))
        self.register_buffer("steps", torch.linspace(0, 1, 3))

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[1] == 3
        return x * self.scale.item() + (sum(self.steps.tolist()) if len(x) == 1 else 0)


def test_weights_and_shapes_may_be_read() -> None:
    (values,) = eager.answers(Scaled(), SAMPLES).values
    np.testing.assert_allclose(values, SAMPLES[0] * 3 + 1.5, rtol=1e-6)


def test_one_hot_vectors_do_not_count_as_reading() -> None:
    found = eager.answers(Network(lambda x: F.one_hot(x, 4).float()), [np.array([[0, 3]], np.int32)])
    assert found.values[0].tolist() == [[[1, 0, 0, 0], [0, 0, 0, 1]]]


@pytest.mark.parametrize("function", [lambda x: F.dropout(x), lambda x: x + torch.randn_like(x)])
def test_random_networks_are_refused_with_the_line(function: Callable[..., Any]) -> None:
    with pytest.raises(ExportRefused, match=r"two answers to one input.*test_export_eager.py:\d+"):
        eager.answers(Network(function), SAMPLES)


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        self.seen += 1
        return x + self.seen


def test_networks_that_keep_a_state_are_refused() -> None:
    with pytest.raises(ExportRefused, match="keeps a state"):
        eager.answers(Counting(), SAMPLES)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: torch.log(x), r"output out0 of the network is NaN or infinite for sample 0"),
        (lambda x: (x, x.sum((1, 2)) / 0), r"output out1 \(\[1\]\) of the network is NaN or infinite"),
        (lambda x: 3.5, "returns a float"),
        (lambda x: {"a": x, "b": "words"}, r"returns a str at \['b'\]"),
        (lambda x: None, "returns no tensor"),
        (
            lambda x: x @ x,
            r"fails on an input of \(1, 3, 5\): RuntimeError.*test_export_eager.py:\d+:.*x @ x",
        ),
        (lambda x: x.reshape(1, 1, 1, 1, 3, 5), r"1 to 4 axes"),
        (lambda x: x[:, :0], "none of them empty"),
    ],
)
def test_what_is_no_answer_is_refused(function: Callable[..., Any], words: str) -> None:
    with pytest.raises(ExportRefused, match=words):
        eager.answers(Network(function), SAMPLES)
