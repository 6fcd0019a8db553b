"""The open set of methods: names, short names, and what none of them can treat."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from bench import compress
from bench.cache import Cache
from bench.compress import Description
from bench.compress.method import Ordinary, Request, Sight
from bench.errors import UnknownName, UsageError
from bench.width import Width
from tests.unit.compress.compress_kit import learnt, small


@pytest.mark.parametrize(
    ("short", "meant"),
    [
        ("baseline", Description(None, "stock", None)),
        ("fr", Description("fr", "auto", None)),
        ("fr-auto", Description("fr", "auto", None)),
        ("fr-dense", Description("fr", "dense", None)),
        ("fr-resident:1.6kB", Description("fr", "resident", "1.6kB")),
        ("fr-auto:20x", Description("fr", "auto", "20x")),
        ("half", Description("half", "stock", None)),
        ("tucker", Description("tucker", "auto", None)),
        ("tucker-factored:4xMAC", Description("tucker", "factored", "4xMAC")),
    ],
)
def test_a_short_name_stands_for_a_method_a_form_and_a_target(short: str, meant: Description) -> None:
    assert compress.described(short) == meant


@pytest.mark.parametrize("short", ["", "fr-", "fr-residnet", "half-stock", "Fr", "baseline-fr", ":20x"])
def test_an_unknown_short_name_is_refused_with_near_ones(short: str) -> None:
    with pytest.raises(UnknownName, match=r"Known: baseline, .*dense-small, .*fr, fr-auto, fr-dense"):
        compress.described(short)


@pytest.mark.parametrize("short", ["fr-auto:", "baseline:20x", "baseline:"])
def test_a_target_that_cannot_be_is_refused(short: str) -> None:
    with pytest.raises(UsageError, match="target"):
        compress.described(short)


def test_every_short_name_is_understood() -> None:
    names = compress.short_names()
    assert {"baseline", "half", "fr-factored"} <= set(names)
    assert [compress.described(name).execution for name in names]


def test_an_unknown_method_is_refused_with_near_ones() -> None:
    with pytest.raises(UnknownName, match="Did you mean half"):
        compress.method("halve")


def test_looking_methods_up_costs_no_torch() -> None:
    code = "import sys; from bench import compress; compress.short_names(); print('torch' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "False\n"


@pytest.mark.parametrize("name", ["fr", "half", "dense-small", "tucker", "prune", "distil"])
def test_a_ready_graph_is_not_compressed(name: str, tmp_path: Path) -> None:
    network = small(nn.Identity, 3, graph=tmp_path / "network.param")
    request = Request(None if name == "half" else "1", one_shot=True, seeded=True)
    with pytest.raises(UsageError, match=r"small is a ready graph, network\.param, whose weights"):
        compress.method(name).compress(learnt(network, tmp_path), request)


@pytest.mark.parametrize("name", ["fr", "half", "tucker"])
def test_a_network_without_weights_is_not_compressed(name: str, tmp_path: Path) -> None:
    target = "1" if name == "fr" else None
    with pytest.raises(UsageError, match="small has no "):
        compress.method(name).compress(learnt(small(nn.ReLU, 3), tmp_path), Request(target, one_shot=True))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_torchscript_has_no_layers_that_fr_could_change(tmp_path: Path) -> None:
    torch.jit.script(nn.Linear(4, 3)).save(tmp_path / "network.pt")
    network = small(lambda: torch.jit.load(tmp_path / "network.pt"), 4)
    with pytest.raises(UsageError, match="Name the Python of the network; TorchScript"):
        compress.method("fr").compress(learnt(network, tmp_path), Request("3", one_shot=True))


def test_half_takes_no_target(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="half has no target, but '20x' was given"):
        compress.method("half").compress(learnt(small(lambda: nn.Linear(4, 3), 4), tmp_path), Request("20x"))


def test_a_method_that_allows_widths_and_cannot_narrow_is_refused_in_words(tmp_path: Path) -> None:
    class Halfway(Ordinary):
        name, title = "halfway", "half a method"

        def check_width(self, execution: str, width: Width) -> None:
            pass

    network = small(lambda: nn.Linear(4, 3), 4)
    sight = Sight(network.inputs, (), Cache(tmp_path), "key")
    with pytest.raises(UsageError, match="half a method does not say how it computes small at a width, and 1/4"):
        Halfway().narrowed(network, b"", "stock", "1/4", sight)
