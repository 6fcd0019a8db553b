"""`bench convert`: what of a network becomes what a runtime runs, and the operator, line and fix where it does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.command_kit import Command, command

__all__ = ["command"]

NETWORKS = """
import os
import torch
from torch import nn
import torch.nn.functional as F


class Best(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)

    def forward(self, x):
        x = self.conv(x).mean((2, 3))
        return x.topk(4, dim=1).values


class Larger(nn.Module):
    def forward(self, x):
        return F.interpolate(x, scale_factor=1.5, mode="nearest-exact")


class Branch(nn.Module):
    def forward(self, x):
        if x.mean() > 0:
            x = x * 2
        return x


class Dies(nn.Module):
    def forward(self, x):
        if torch.compiler.is_compiling() or torch.jit.is_tracing():
            os.abort()
        return x * 2


class Ended(nn.Module):
    def forward(self, x):
        if torch.compiler.is_compiling() or torch.jit.is_tracing():
            os.kill(os.getpid(), 9)
        return x * 2


class Hangs(nn.Module):
    def forward(self, x):
        while True:
            pass
"""


@pytest.fixture
def nets(tmp_path: Path) -> Path:
    path = tmp_path / "nets.py"
    path.write_text(NETWORKS)
    return path


def test_a_network_is_equal_in_several_runtimes(command: Command, tmp_path: Path) -> None:
    page = tmp_path / "matrix.html"
    done = command("convert", "lenet300", "--runtime", "ncnn", "--runtime", "torch", "--page", page, "--json")
    assert done.status == 0, done.stderr
    cells = {cell["runtime"]: cell for cell in done.answer["cells"]}
    assert list(cells) == ["ncnn", "torch"]
    for cell in cells.values():
        assert (cell["converts"], cell["runs"], cell["equal"]) == (True, True, True)
        assert cell["apart"] < 1e-4
        assert cell["samples"] == 2
        assert cell["bytes"] > 1_000_000
    text = page.read_text()
    assert "lenet300" in text
    assert "http:" not in text.replace("http://www.w3.org", "")
    shown = command("inspect", "lenet300").stdout
    assert "ncnn: equal" in shown


def test_an_operator_that_a_runtime_has_not_is_named_with_its_line_and_a_fix(command: Command, nets: Path) -> None:
    done = command("convert", f"{nets}:Best", "--input", "3x12x12", "--runtime", "ncnn")
    assert done.status == 22
    assert "unsupported operator" in done.stdout
    assert "nets.py:15: return x.topk(4, dim=1).values" in done.stdout
    assert "said: ncnn cannot do torch.topk" in done.stdout
    assert "→ Do it after the network" in done.stdout
    counted = command("convert", "--errors")
    assert counted.status == 0
    assert "topk 1×" in counted.stdout
    as_json = command("convert", "--errors", "--json").answer
    assert as_json["kinds"] == {"unsupported operator": 1}
    assert as_json["examples"]["unsupported operator"][0]["trouble"]["operator"] == "topk"


def test_wrong_numbers_are_found_and_so_is_the_operator_that_makes_them(command: Command, nets: Path) -> None:
    done = command("convert", f"{nets}:Larger", "--input", "3x9x10", "--runtime", "ncnn", "--json")
    assert done.status == 22
    (cell,) = done.answer["cells"]
    assert (cell["converts"], cell["runs"], cell["equal"]) == (True, True, False)
    assert cell["apart"] > 0.01
    trouble = cell["trouble"]
    assert (trouble["kind"], trouble["operator"]) == ("wrong numbers", "_upsample_nearest_exact2d")
    assert trouble["places"][0].startswith("nets.py:20: return F.interpolate")


def test_what_depends_on_values_is_said_of_the_network_itself(command: Command, nets: Path) -> None:
    done = command("convert", f"{nets}:Branch", "--input", "8", "--runtime", "torch", "--json")
    assert done.status == 22
    (cell,) = done.answer["cells"]
    assert cell["trouble"]["kind"] == "values decide"
    assert cell["trouble"]["places"] == ["nets.py:25: if x.mean() > 0"]
    assert cell["converts"] is None


def test_a_converter_that_crashes_costs_its_cell_alone(command: Command, nets: Path) -> None:
    done = command("convert", f"{nets}:Dies", "--input", "8", "--runtime", "torch", "--json")
    assert done.status == 22
    (cell,) = done.answer["cells"]
    assert cell["trouble"]["kind"] == "exporter crashed"
    assert "signal 6" in cell["trouble"]["said"]


def test_a_process_that_someone_ends_did_not_want_for_memory(command: Command, nets: Path) -> None:
    (cell,) = command("convert", f"{nets}:Ended", "--input", "8", "--runtime", "torch", "--json").answer["cells"]
    assert cell["trouble"]["kind"] == "killed"
    assert "signal 9" in cell["trouble"]["said"]
    assert "no more memory" not in cell["trouble"]["said"]


def test_a_home_where_nothing_can_be_kept_is_said(
    command: Command, nets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in (nets, Path("/proc/nowhere")):
        monkeypatch.setenv("XDG_CACHE_HOME", str(place))
        done = command("convert", f"{nets}:Best", "--input", "3x8x8", "--runtime", "torch")
        assert done.status == 2
        assert f"nothing can be kept in {place}/fr-bench" in " ".join(done.stderr.split())
        assert "XDG_CACHE_HOME" in done.stderr


def test_a_network_that_hangs_is_ended_at_its_deadline(command: Command, nets: Path) -> None:
    arguments = ("--input", "8", "--runtime", "torch", "--deadline", "2s", "--json")
    (cell,) = command("convert", f"{nets}:Hangs", *arguments).answer["cells"]
    assert cell["trouble"]["kind"] == "timeout"
    assert "2 s" in cell["trouble"]["said"]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ((), 2, "no network is named"),
        (("lenet6",), 4, "Did you mean lenet5"),
        (("lenet5", "--runtime", "ncn"), 4, "Did you mean ncnn"),
        (("lenet5", "--page", "matrix.txt"), 2, "not the name of a page"),
        (("lenet5", "--deadline", "soon"), 2, "is not a time"),
        (("lenet5", "lenet300", "--input", "1x28x28"), 2, "several are asked for"),
        (("lenet5", "--input", "one"), 2, "is not the shape of an input"),
    ],
)
def test_a_mistake_is_said_before_anything_is_tried(
    command: Command, arguments: tuple[str, ...], status: int, words: str
) -> None:
    done = command("convert", *arguments)
    assert done.status == status
    assert words in done.stderr
    assert not list(command.results.rglob("conversions.jsonl"))


def test_without_any_conversion_there_are_no_errors_to_show(command: Command) -> None:
    assert "Nothing went wrong in 0 conversions" in command("convert", "--errors").stdout
    assert json.loads(command("convert", "--errors", "--json").stdout) == {"tried": 0, "kinds": {}, "examples": {}}
