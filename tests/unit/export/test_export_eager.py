"""What an eager network answers, and what a recording of it could not hold."""

from __future__ import annotations

import pickle
import random
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.errors import ExportRefused, UsageError
from bench.export import eager
from tests.unit.export.export_kit import Network

SAMPLES = [np.random.default_rng(0).standard_normal((4, 3, 5)).astype(np.float32)]


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


def added(x: Tensor) -> Tensor:
    sums = [torch.zeros(())]
    torch._foreach_add_(sums, [x])
    return sums[0]


def in_a_thread(x: Tensor) -> float:
    found = [0.0]
    thread = threading.Thread(target=lambda: found.append(x.item()))
    thread.start()
    thread.join()
    return found[-1]


@pytest.mark.parametrize(
    "read",
    [
        lambda x: torch.tensor([x, x])[0],
        lambda x: torch.as_tensor([x, x])[0],
        lambda x: x.new_tensor([x, 1.0])[0],
        lambda x: torch.Tensor([x, 1.0])[0],
        lambda x: float(repr(x)[7:-1]),
        lambda x: float(f"{x:.3f}"),
        lambda x: pickle.loads(pickle.dumps(x)),
        lambda x: torch.utils.dlpack.from_dlpack(torch.utils.dlpack.to_dlpack(x)).item(),
        lambda x: x.untyped_storage().tolist()[0],
        added,
        in_a_thread,
    ],
)
def test_a_branch_that_no_sample_takes_is_noticed_however_its_condition_is_read(read: Callable[..., Any]) -> None:
    with pytest.raises(ExportRefused, match=r"depends on the values of its input.*test_export_eager\.py:\d+"):
        eager.answers(Network(lambda x: -x if read(x.mean()) > 1000 else x), SAMPLES)


def caught(x: Tensor) -> Tensor:
    try:
        scale = x.max().item()  # the line that reads
    except Exception:
        scale = 1
    return x * scale


def test_a_refusal_that_forward_catches_is_one_all_the_same() -> None:
    with pytest.raises(ExportRefused, match=r"scale = x.max\(\).item\(\)  # the line that reads"):
        eager.answers(Network(caught), SAMPLES)


@pytest.mark.parametrize("function", [lambda x: x.to_sparse(), lambda x: torch.sparse.mm(x[0].to_sparse(), x[0].T)])
def test_what_is_not_0_depends_on_values(function: Callable[..., Any]) -> None:
    with pytest.raises(ExportRefused, match="a sparse tensor holds what is not 0"):
        eager.answers(Network(function), SAMPLES)


def test_a_condition_of_torch_s_own_is_named() -> None:
    with pytest.raises(ExportRefused, match=r"torch.cond, of which a recording holds one branch"):
        eager.answers(Network(lambda x: torch.cond(x.mean() > 9, torch.neg, torch.abs, (x,))), SAMPLES)


@pytest.mark.parametrize("ask", [time.time, time.perf_counter, torch.get_num_threads])
def test_answers_do_not_follow_from_the_clock_or_the_threads(ask: Callable[[], float]) -> None:
    owner = torch if ask is torch.get_num_threads else time
    with pytest.raises(ExportRefused, match=r"is asked.*test_export_eager\.py"):
        eager.answers(Network(lambda x: x if getattr(owner, ask.__name__)() else -x), SAMPLES)


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


@pytest.mark.parametrize(
    "function",
    [
        lambda x: F.dropout(x),
        lambda x: F.dropout(x, 1e-6),
        lambda x: x * torch.bernoulli(torch.tensor(0.999)),
        lambda x: x + torch.randn_like(x),
    ],
)
def test_random_networks_are_refused_with_the_line(function: Callable[..., Any]) -> None:
    with pytest.raises(ExportRefused, match=r"draws random numbers at test_export_eager.py:\d+"):
        eager.answers(Network(function), SAMPLES)


@pytest.mark.parametrize("draw", [random.random, np.random.rand])
def test_rare_random_answers_are_refused(draw: Callable[[], float]) -> None:
    with pytest.raises(ExportRefused, match="draws random numbers by Python's random or NumPy"):
        eager.answers(Network(lambda x: -x if draw() < 1e-9 else x), SAMPLES)


@pytest.mark.parametrize(
    "layer", [nn.LSTM(5, 4, 2, dropout=0.5), nn.TransformerEncoderLayer(5, 1, 8, batch_first=True), nn.RReLU()]
)
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_layers_that_draw_only_in_training_are_not_random(layer: nn.Module) -> None:
    eager.answers(layer, [SAMPLES[0]])


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


class Seldom(nn.Module):
    """Another answer after a thousand inputs."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.calls, self.seen = kind, 0, list[int]()
        self.register_buffer("steps", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        match self.kind:
            case "calls":
                self.calls += 1
            case "seen":
                self.seen.append(1)
            case "steps":
                self.steps += 1
        return -x if self.calls + len(self.seen) > 1000 else x * (1 - (self.steps > 1000).float())


@pytest.mark.parametrize("kind", ["calls", "seen", "steps"])
def test_a_state_that_does_not_show_yet_is_named(kind: str) -> None:
    with pytest.raises(ExportRefused, match=f"keeps a state: {kind} is not the same"):
        eager.answers(Seldom(kind), SAMPLES)


class Remembering(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.places: Tensor | None = None
        self.attention: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.places is None:
            self.places = torch.arange(5.0)
        self.attention = x.softmax(-1)
        return self.attention + self.places


def test_what_is_made_once_and_what_is_shown_to_others_is_not_a_state() -> None:
    eager.answers(Remembering(), SAMPLES)


def test_a_network_that_changes_its_input_is_refused_and_the_samples_stay() -> None:
    before = SAMPLES[0].copy()
    with pytest.raises(ExportRefused, match=r"changes its input in place at test_export_eager\.py:\d+"):
        eager.answers(Network(lambda x: x.mul_(2)), SAMPLES)
    np.testing.assert_array_equal(SAMPLES[0], before)


def test_an_input_may_be_changed_where_the_answer_stays_the_same() -> None:
    found = eager.answers(Network(lambda x: x.relu_()), SAMPLES)
    np.testing.assert_array_equal(found.values[0], np.maximum(SAMPLES[0], 0))


def test_a_forward_that_exits_does_not_end_bench() -> None:
    with pytest.raises(UsageError, match=r"sys.exit\(0\) at .*test_export_eager\.py:\d+"):
        eager.answers(Network(lambda x: sys.exit(0)), SAMPLES)


def test_an_interrupt_stays_one() -> None:
    def interrupted(x: Tensor) -> Tensor:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        eager.answers(Network(interrupted), SAMPLES)


def printing(x: Tensor) -> Tensor:
    print("shape\x1b[2J", tuple(x.shape))  # noqa: T201 - what a user's network does
    return x


def test_what_forward_prints_is_aside_and_controls_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    eager.answers(Network(printing), SAMPLES)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("shape\\x1b[2J (1, 3, 5)\n")


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
