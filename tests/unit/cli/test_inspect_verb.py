"""`bench inspect`: layers and totals, memory, what takes a network, what makes it smaller, and a picture of it."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.unit.cli.command_kit import Command, command

__all__ = ["command"]

NETWORK = """
import torch
from torch import nn


class Best(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)

    def forward(self, x):
        x = self.conv(x).mean((2, 3))
        return x.topk(4, dim=1).values


class Branch(nn.Module):
    def forward(self, x):
        if x.mean() > 0:
            return x * 2
        return x
"""


@pytest.fixture
def net(tmp_path: Path) -> Path:
    path = tmp_path / "net.py"
    path.write_text(NETWORK)
    return path


def test_totals_and_memory_of_a_known_network(command: Command) -> None:
    found = command("inspect", "mobilenetv2", "--json").answer
    totals = found["totals"]
    assert (totals["multiply_adds"], totals["parameters"]) == (300_774_272, 3_504_872)
    # The widest place: 96 channels of 112×112, and the same at half the size.
    assert totals["peak_activation_bytes"] == 4 * 96 * (112 * 112 + 56 * 56)
    assert totals["peak_at"] == "features.2.conv.1.0"
    assert totals["least_memory_bytes"] == totals["weight_bytes"] + totals["peak_activation_bytes"]
    low, high = found["expected_memory_bytes"]["ncnn"]
    assert totals["least_memory_bytes"] < low < 36.3e6 < high < 2 * low  # 36.3 MB were measured
    assert found["operators"][0]["line"].startswith("mobilenetv2.py:")
    assert found["converted"] == {}
    assert found["methods"] is None


def test_a_network_of_the_users_own_with_what_a_runtime_lacks(command: Command, net: Path) -> None:
    done = command("inspect", f"{net}:Best", "--input", "3x12x12")
    assert done.status == 0, done.stderr
    assert "net.py:13" in done.stdout
    assert "8×10×10" in done.stdout
    assert "ncnn is known not to take topk" in done.stdout
    assert "has not been tried: bench convert" in done.stdout


def test_an_input_of_another_size_has_other_costs(command: Command) -> None:
    small = command("inspect", "mobilenetv2", "--input-size", "112x112", "--json").answer["totals"]
    assert small["multiply_adds"] < 300_774_272 / 3
    assert small["parameters"] == 3_504_872


def test_only_the_costliest_are_shown_when_asked(command: Command) -> None:
    shown = command("inspect", "lenet5", "--top", "1").stdout
    assert "conv2" in shown
    assert "fc1" not in shown
    assert "The 1 operators with the most multiply-adds, of 9." in shown


def test_methods_are_tried_and_those_that_cannot_say_why(command: Command, net: Path) -> None:
    found = command("inspect", f"{net}:Best", "--input", "3x12x12", "--variants", "--json").answer
    methods = {one["method"]: one for one in found["methods"]}
    assert methods["half"]["bytes"] > 0
    assert methods["prune"]["bytes"] is None
    assert "not trained" in methods["prune"]["reason"]


@pytest.mark.parametrize("form", ["png", "svg"])
def test_a_picture_of_the_cost_by_layer(command: Command, tmp_path: Path, form: str) -> None:
    path = tmp_path / f"cost.{form}"
    done = command("inspect", "lenet5", "--picture", path, "--quiet")
    assert done.status == 0, done.stderr
    assert done.stdout == ""
    if form == "png":
        assert path.read_bytes().startswith(b"\x89PNG")
        return
    words = [text.strip() for text in ElementTree.parse(path).getroot().itertext() if text.strip()]
    assert {"LeNet-5", "conv1", "conv2", "fc1", "fc2", "1.60 M", "Multiply-adds"} <= set(words)


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("lenet6",), 4, "Did you mean lenet5"),
        (("lenet5", "--picture", "cost.txt"), 2, "neither .svg nor .png"),
        (("nothere.py:build",), 2, "there is no file nothere.py"),
    ],
)
def test_a_mistake_is_said(command: Command, arguments: tuple[str, ...], status: int, words: str) -> None:
    done = command("inspect", *arguments)
    assert done.status == status
    assert words in done.stderr


def test_what_has_no_fixed_layers_is_refused_with_its_line(command: Command, net: Path) -> None:
    done = command("inspect", f"{net}:Branch", "--input", "8")
    assert done.status == 22
    assert "net.py:18: if x.mean() > 0" in done.stderr
