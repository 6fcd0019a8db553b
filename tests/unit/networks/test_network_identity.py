"""What tells two networks apart in caches: everything that decides what they compute."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench.networks import network as described
from bench.networks import parse_inputs, resolve
from bench.networks.own import RANDOM

CODE = """
import json
from pathlib import Path
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, act="relu"):
        super().__init__()
        torch.manual_seed(1)
        self.linear, self.act = nn.Linear(4, 3), getattr(torch, act)
        self.scale = json.loads((Path(__file__).parent / "scale.json").read_text())

    def forward(self, x):
        return self.act(self.linear(x)) * self.scale


def build(act="relu"):
    return Net(act)


def other():
    return Net("tanh")
"""


@pytest.fixture
def net(tmp_path: Path) -> Path:
    (tmp_path / "scale.json").write_text("2")
    (tmp_path / "net_of_identity.py").write_text(CODE)
    return tmp_path / "net_of_identity.py"


def sources(net: Path, function: str = "build", **arguments: str) -> tuple[object, ...]:
    found: described.Network = resolve(f"{net}:{function}", arguments=arguments, inputs=parse_inputs("4"))
    return found.sources


def test_functions_and_arguments_with_equal_weights_are_different_networks(net: Path) -> None:
    every = [sources(net), sources(net, act="tanh"), sources(net, "other"), sources(net, act="sigmoid")]
    assert len(set(every)) == 4
    assert sources(net) == every[0]


def test_a_file_that_only_the_code_knows_of_makes_another_network(net: Path) -> None:
    before = sources(net)
    (net.parent / "scale.json").write_text("3")
    assert sources(net) != before


def test_random_weights_are_spoken_of_only_where_there_are_no_others(net: Path, tmp_path: Path) -> None:
    text = CODE.replace("torch.manual_seed(1)", "pass")
    (tmp_path / "net_of_chance.py").write_text(text)
    reference, shape = f"{tmp_path / 'net_of_chance.py'}:build", parse_inputs("4")
    random = resolve(reference, inputs=shape)
    assert RANDOM in random.notes
    torch.save(random.build().state_dict(), tmp_path / "state.pt")
    loaded = resolve(reference, inputs=shape, weights=tmp_path / "state.pt")
    assert RANDOM not in loaded.notes
    assert loaded.trained


def test_what_forward_imports_when_it_runs_may_lie_beside_it(tmp_path: Path) -> None:
    (tmp_path / "lies_beside.py").write_text("def double(x):\n    return 2 * x\n")
    (tmp_path / "net_of_late.py").write_text(
        "from torch import nn\n\n\nclass Net(nn.Module):\n    def forward(self, x):\n"
        "        from lies_beside import double\n\n        return double(x)\n"
    )
    found = resolve(f"{tmp_path / 'net_of_late.py'}:Net", inputs=parse_inputs("4"))
    assert found.task == "reconstruction"
