"""What docs/networks.md says works: its files are written, its Python is run, its commands' networks are found."""

from __future__ import annotations

import re
import shlex
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from bench import networks, plan
from bench.compress.frequency import layers, package
from bench.networks import builtin
from bench.networks.network import Network
from tests.unit.networks import onnx_file

TEXT = (Path(__file__).parents[3] / "docs" / "networks.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(?:^`([\w/.]+)`:\n\n)?^```(\w+)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
COMMANDS = re.findall(r"^    (bench run .*)$", TEXT, re.MULTILINE)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The reader's folder after every example of the page, and with the files that an example cannot show."""
    folder = tmp_path_factory.mktemp("reader")
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls its own TorchScript deprecated
        patch.chdir(folder)
        patch.syspath_prepend(str(folder))
        for name, language, code in BLOCKS:
            if name:
                (folder / name).parent.mkdir(exist_ok=True)
                (folder / name).write_text(code)
            elif language == "python":
                exec(code, {})
        (folder / "net.onnx").write_bytes(onnx_file.convolution((1, 3, 32, 32)))
        (folder / "net.param").write_text("7767517\n1 1\nInput in0 0 1 in0\n")
        (folder / "net.bin").touch()
        shipped = networks.resolve("unet").package_for(None)
        assert shipped is not None
        (folder / "unet.frq").write_bytes(shipped.read_bytes())
        small = networks.resolve("net.py:build", inputs=networks.parse_inputs("3x32x32")).build()
        layers.compress(small, dict.fromkeys(layers.sites(small), 10))
        (folder / "net.frq").write_bytes(package.write(layers.shipped("net", small)))
        yield folder
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(folder)):
            del sys.modules[name]


def resolved(command: str) -> Network:
    words = shlex.split(command)[2:]
    flags = dict(zip(words[::2], words[1::2], strict=True))
    weights, inputs = flags.get("--weights"), flags.get("--input")
    return networks.resolve(
        flags["--model"],
        weights=Path(weights) if weights else None,
        inputs=networks.parse_inputs(inputs) if inputs else None,
    )


def test_the_page_has_examples() -> None:
    assert {name for name, _, _ in BLOCKS if name} == {"net.py", "mypackage/nets.py"}
    assert len(COMMANDS) >= 9


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_page_names_a_network(command: str, home: Path) -> None:
    network = resolved(command)
    assert network.inputs
    if network.graph is None:
        with torch.no_grad():
            network.build()(torch.rand(1, *(min(extent, 32) for extent in network.shape)))


def test_the_message_about_weights_is_the_one_on_the_page(home: Path) -> None:
    (command,) = (command for command in COMMANDS if "checkpoint.pt" in command)
    assert any(f"`{note.replace('`', '')}`" in TEXT for note in resolved(command).notes)


def test_the_plan_of_the_page_has_arguments(home: Path) -> None:
    (text,) = (code for _, language, code in BLOCKS if language == "toml" and "[[cases]]" in code)
    (case,) = plan.parse(text, "the page").cases
    network = networks.resolve(case.model, arguments=case.arguments, inputs=case.input)
    assert network.build()[0].out_channels == 32  # type: ignore[index]


def test_the_table_says_what_bench_does() -> None:
    lines = [line for line in TEXT.splitlines() if line.startswith("| `")]
    rows = {line.split("`")[1]: [cell.strip() for cell in line.split("|")] for line in lines}
    for name in builtin.NAMES:
        network = networks.resolve(name)
        _, _, title, shape, parameters, _, coefficients, weights, _ = rows[name]
        assert title == network.title
        assert shape.split(",")[0] == "×".join(map(str, network.shape))
        assert parameters == f"{sum(p.numel() for p in network.build().parameters()):,}"
        assert coefficients == ("–" if network.coefficients is None else f"{network.coefficients:,}")
        assert (weights == "none") == (not network.trained and not network.learns)
