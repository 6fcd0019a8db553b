"""Networks of the user's own Python: found, run, described, and refused with the user's own line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from bench import networks
from bench.errors import CorruptData, UsageError

NET = """
import random
import numpy as np
import torch
from torch import nn
from layers import block

def build(classes=5, width=4):
    return nn.Sequential(block(3, width), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))

def needs(classes):
    return build(classes)

def loads():
    torch.manual_seed(3)
    return build()

def half():
    return build().half()

def numpys():
    network = build()
    network[-1].bias.data = torch.from_numpy(np.random.rand(5)) * random.random()
    return network

def lazy():
    return nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(2))

def late():
    import later
    return later.build()

def nothing():
    return 42

def broken():
    return nn.Linear(3, 2)(torch.rand(1, 4))

def leaves():
    raise SystemExit("bye")

def diverged():
    network = build()
    network[-1].bias.data[1] = float("nan")
    return network

def sequences():
    return nn.Sequential(nn.Conv1d(4, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 14, 3))

class Several(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.a, self.b = nn.Embedding(10, 4), nn.Linear(4, 2), nn.Linear(6, 1)
    def forward(self, words, features):
        mixed = self.embed(words).mean(1)
        return {"scores": self.a(mixed), "more": (self.b(features), [mixed])}

module = build()
number = 7
"""
LAYERS = """
from torch import nn
def block(inputs, outputs):
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3), nn.BatchNorm2d(outputs), nn.ReLU())
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A folder with net.py, what it imports, and what it imports only when it builds."""
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "layers.py").write_text(LAYERS)
    (tmp_path / "later.py").write_text("from net import build")
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


IMAGE = networks.parse_inputs("3x16x16")


def test_a_function_in_a_file_is_a_network_like_any_other(home: Path) -> None:
    network = networks.resolve(f"{home}/net.py:build", inputs=IMAGE)
    assert (network.name, network.task, network.trained) == ("net", "classification", False)
    assert [tensor.name for tensor in network.inputs] == ["in0"]
    assert {home / "net.py", home / "layers.py"} <= set(network.sources)
    assert not network.build().training
    assert any("your Python" in note and "net.py" in note for note in network.notes)
    assert str(home) not in sys.path


def test_what_is_imported_while_building_belongs_to_the_sources(home: Path) -> None:
    assert home / "later.py" in networks.resolve(f"{home}/net.py:late", inputs=IMAGE).sources


def test_a_module_of_the_current_folder_is_found(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "mine").mkdir()
    (home / "mine" / "__init__.py").touch()
    (home / "mine" / "parts.py").write_text(LAYERS)
    (home / "mine" / "nets.py").write_text(NET.replace("from layers", "from mine.parts"))
    monkeypatch.chdir(home)
    network = networks.resolve("mine.nets:build", inputs=IMAGE)
    assert network.name == "nets"
    files = {Path(str(source)).name for source in network.sources if isinstance(source, Path)}
    assert files == {"__init__.py", "nets.py", "parts.py"}


def test_arguments_reach_the_function(home: Path) -> None:
    network = networks.resolve(f"{home}/net.py:needs", arguments={"classes": 9}, inputs=IMAGE)
    assert network.build()[-1].out_features == 9  # type: ignore[index]
    assert network.name == "net-needs"


def test_a_function_whose_weights_do_not_depend_on_the_seed_has_loaded_them(home: Path) -> None:
    assert networks.resolve(f"{home}/net.py:loads", inputs=IMAGE).trained
    assert networks.resolve(f"{home}/net.py:module", inputs=IMAGE).trained


def test_all_random_numbers_come_from_the_seed(home: Path) -> None:
    network = networks.resolve(f"{home}/net.py:numpys", inputs=IMAGE)
    assert not network.trained
    assert torch.equal(network.build(4)[-1].bias, network.build(4)[-1].bias)  # type: ignore[index]
    assert network.sources == networks.resolve(f"{home}/net.py:numpys", inputs=IMAGE).sources


def test_weights_that_a_function_loads_belong_to_the_key(home: Path) -> None:
    def sources() -> tuple[object, ...]:
        return networks.resolve(f"{home}/net.py:reads", inputs=IMAGE).sources

    with (home / "net.py").open("a") as file:
        file.write("\ndef reads():\n    n = build()\n    n.load_state_dict(torch.load('state.pt'))\n    return n\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        first = networks.resolve(f"{home}/net.py:build", inputs=IMAGE).build()
        torch.save(first.state_dict(), "state.pt")
        before = sources()
        first[-1].bias.data += 1  # type: ignore[index]
        torch.save(first.state_dict(), "state.pt")
        assert sources() != before


def test_half_precision_and_lazy_layers_become_plain(home: Path) -> None:
    half = networks.resolve(f"{home}/net.py:half", inputs=IMAGE).build()
    assert {parameter.dtype for parameter in half.parameters()} == {torch.float32}
    lazy = networks.resolve(f"{home}/net.py:lazy", inputs=IMAGE).build()
    assert lazy[-1].in_features == 4 * 14 * 14  # type: ignore[index]


def test_several_inputs_and_outputs_of_any_rank(home: Path) -> None:
    words = networks.parse_inputs("int32:7, 6")
    network = networks.resolve(f"{home}/net.py:Several", inputs=words)
    assert [(t.name, t.shape, t.dtype) for t in network.inputs] == [("in0", (7,), "int32"), ("in1", (6,), "float32")]
    assert network.task == "other"
    assert networks.resolve(f"{home}/net.py:sequences", inputs=networks.parse_inputs("4x16")).task == "classification"


def test_a_state_dict_makes_it_trained_and_is_reported(home: Path) -> None:
    made = networks.resolve(f"{home}/net.py:build", inputs=IMAGE).build(5)
    torch.save({"state_dict": made.state_dict()}, home / "state.pt")
    network = networks.resolve(f"{home}/net.py:build", weights=home / "state.pt", inputs=IMAGE)
    assert network.trained
    assert torch.equal(network.build()[-1].bias, made[-1].bias)  # type: ignore[index]
    assert home / "state.pt" in network.sources
    assert any("`state_dict` → 9 tensors" in note for note in network.notes)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("missing", r"has no 'missing'\nIt has .*build"),
        ("needs", r"net-needs|net.py:needs takes \(classes\): missing a required argument: 'classes'"),
        ("nothing", "returned a int, not a torch.nn.Module"),
        ("number", "is a int, not a function"),
        ("broken", r"fails at .*net\.py:37: RuntimeError: mat1 and mat2"),
        ("leaves", r"fails at .*net\.py:40: SystemExit: bye"),
    ],
)
def test_what_a_function_does_wrong_is_said(function: str, words: str, home: Path) -> None:
    with pytest.raises(UsageError, match=words):
        networks.resolve(f"{home}/net.py:{function}", inputs=IMAGE)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import nothing_of_this_name", r"bad\.py:1: ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("x = 1\ndef build(:\n", r"bad\.py:2: SyntaxError"),
        ("import sys\nsys.exit(3)", r"bad\.py:2: SystemExit: 3"),
        ("def f(n): return f(n + 1)\nf(0)", r"bad\.py:1: RecursionError"),
        ("raise ValueError('x' * 10**6)", r"bad\.py:1: ValueError: x{100,300}"),
        ("from helpers import go", r"helpers\.py:1: ZeroDivisionError"),
        ("\x00", r"fails.*"),
    ],
    ids=["import", "syntax", "exit", "recursion", "long", "inner", "null"],
)
def test_a_module_that_fails_is_told_by_its_own_line(text: str, words: str, home: Path) -> None:
    (home / "bad.py").write_text(text)
    (home / "helpers.py").write_text("go = 1 / 0")
    with pytest.raises(UsageError, match=words) as caught:
        networks.resolve(f"{home}/bad.py:build", inputs=IMAGE)
    assert len(caught.value.what) < 700
    assert str(home) not in sys.path


def test_what_a_module_prints_does_not_mix_with_results(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "loud.py").write_text("print('hello')\nfrom net import build")
    networks.resolve(f"{home}/loud.py:build", inputs=IMAGE)
    assert capsys.readouterr() == ("", "hello\n")


def test_an_input_that_is_not_known_or_does_not_fit_is_said(home: Path) -> None:
    with pytest.raises(UsageError, match=r"does not say the shape of its input\nGive .* --input"):
        networks.resolve(f"{home}/net.py:build")
    with pytest.raises(UsageError, match="fails on an input of 1×16×16: RuntimeError"):
        networks.resolve(f"{home}/net.py:build", inputs=networks.parse_inputs("1x16x16"))


def test_weights_that_are_not_finite_are_refused(home: Path) -> None:
    with pytest.raises(CorruptData, match=r"1 of 5 values of 3\.bias"):
        networks.resolve(f"{home}/net.py:diverged", inputs=IMAGE)


def test_no_file_no_module(home: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no file .*none\.py"):
        networks.resolve(f"{home}/none.py:build", inputs=IMAGE)
    with pytest.raises(UsageError, match="No module named 'nothing_here'"):
        networks.resolve("nothing_here.nets:build", inputs=IMAGE)


def test_two_folders_with_modules_of_one_name_are_not_mixed_up(home: Path) -> None:
    networks.resolve(f"{home}/net.py:build", inputs=IMAGE)
    other = home / "other"
    other.mkdir()
    (other / "net.py").write_text("from torch import nn\nbuild = lambda: nn.Conv2d(3, 7, 1)")
    assert networks.resolve(f"{other}/net.py:build", inputs=IMAGE).build().out_channels == 7
    (other / "more.py").write_text(NET)
    (other / "layers.py").write_text(LAYERS.replace("3)", "5)"))
    with pytest.raises(UsageError, match="two modules with one name"):
        networks.resolve(f"{other}/more.py:build", inputs=IMAGE)


DESCRIBED = """
from bench.networks import Network, parse_inputs
from torch import nn

def network():
    return Network(
        name="tiny", title="Tiny", inputs=parse_inputs("4"), task="classification", build=lambda: nn.Linear(4, 2)
    )

constant = network()
"""


@pytest.mark.parametrize("name", ["network", "constant"])
def test_a_user_can_write_the_description_that_built_in_networks_have(name: str, home: Path) -> None:
    (home / "described.py").write_text(DESCRIBED)
    network = networks.resolve(f"{home}/described.py:{name}")
    assert (network.name, network.title, network.shape) == ("tiny", "Tiny", (4,))
    assert home / "described.py" in network.sources
    assert torch.equal(network.build(3).weight, network.build(3).weight)


def test_another_package_adds_networks_by_entry_points(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "described.py").write_text(DESCRIBED)
    info = home / "other-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[fr_bench.networks]\ntiny = described:network\nplain = net:build\n")
    monkeypatch.syspath_prepend(str(home))
    assert {"tiny", "plain", "lenet5"} <= set(networks.names())
    assert networks.resolve("tiny").title == "Tiny"
    assert networks.resolve("plain", inputs=IMAGE).name == "plain"
