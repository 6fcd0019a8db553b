"""Any module made smaller in Python."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from bench.compress.method import Request
from bench.compress.modules import compressed
from bench.compress.training import Images
from bench.errors import UnknownName, UsageError

SHAPE = (3, 12, 12)


@pytest.fixture(scope="module")
def module() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 4),
    )  # fmt: skip


@pytest.fixture(scope="module")
def data() -> Images:
    random = np.random.default_rng(1)
    return Images(random.normal(size=(24, *SHAPE)).astype(np.float32), random.integers(0, 4, 24))


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("half", Request(one_shot=True)),
        ("fr", Request("4x", one_shot=True)),
        ("prune", Request("8x", one_shot=True, fine_tune=1)),
        ("int8", Request(one_shot=True)),
        ("prune,int8", Request("8x", one_shot=True, fine_tune=1)),
    ],
)
def test_every_method_takes_any_module(method: str, request_: Request, module: nn.Module, data: Images) -> None:
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    made = compressed(module, method, [SHAPE], request=request_, data=data)
    inputs = torch.from_numpy(data.inputs)
    with torch.no_grad():
        assert made.module(inputs).shape == module(inputs).shape
    assert len(made.package) < made.size.float32_bytes
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def test_without_a_request_the_weights_are_compressed_as_they_are(module: nn.Module) -> None:
    made = compressed(module, "half", [SHAPE])
    weight = made.module.get_parameter("2.weight")
    assert torch.equal(weight, module.get_parameter("2.weight").half().float())


def test_what_nothing_was_calibrated_for_computes_in_float(module: nn.Module) -> None:
    made = compressed(module, "int8", [SHAPE])
    weight, own = made.module.get_parameter("2.weight"), module.get_parameter("2.weight")
    rounded = float((weight - own).abs().max().detach())
    assert 0 < rounded < float(own.abs().max().detach()) / 100


def test_what_cannot_be_is_refused_as_on_the_command_line(module: nn.Module, data: Images) -> None:
    with pytest.raises(UnknownName):
        compressed(module, "shrink", [SHAPE])
    with pytest.raises(UsageError, match="no target"):
        compressed(module, "half", [SHAPE], request=Request("4x", one_shot=True))
    with pytest.raises(UsageError, match="24 inputs have 23 answers"):
        compressed(module, "half", [SHAPE], data=Images(data.inputs, data.answers[:-1]))
