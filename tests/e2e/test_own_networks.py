"""A user's own network and data: Python with a state dict and class folders, and every kind of network file."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from bench.virtual.phone import VirtualPhone
from tests.e2e.command import QUICK, Finished, bench, run
from tests.unit.networks import onnx_file

COLOURS = ("blue", "green", "red")  # class folders are numbered by name
EACH, WRONG = 20, 6
NET = """
from torch import nn

def build():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)
    )
"""


def weights() -> dict[str, torch.Tensor]:
    """Of a network that names the strongest colour of a picture."""
    conv = torch.zeros(8, 3, 3, 3)
    for place, channel in enumerate((2, 1, 0)):  # of red, green, blue
        conv[place, channel, 1, 1] = 1
    linear = torch.zeros(3, 8)
    linear[:, :3] = 4 * torch.eye(3)
    return {"0.weight": conv, "0.bias": torch.zeros(8), "4.weight": linear, "4.bias": torch.zeros(3)}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """net.py, state.pt, and pictures in class folders, WRONG of which lie in another's."""
    folder = tmp_path_factory.mktemp("mine")
    (folder / "net.py").write_text(NET)
    torch.save({"epoch": 3, "state_dict": {f"module.{name}": tensor for name, tensor in weights().items()}},
               folder / "state.pt")  # fmt: skip
    random = np.random.default_rng(1)
    for number, name in enumerate(COLOURS):
        (folder / "val" / name).mkdir(parents=True)
        for picture in range(EACH):
            strongest = number if picture >= WRONG // len(COLOURS) else (number + 1) % len(COLOURS)
            pixels = random.integers(0, 120, (24, 24, 3))
            pixels[..., 2 - strongest] += 100
            Image.fromarray(pixels.astype(np.uint8)).save(folder / "val" / name / f"{picture}.png")
    return folder


@pytest.fixture(scope="module")
def measured(
    home: Path, virtual_phone: VirtualPhone, env: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Finished:
    plan = home / "protocol.toml"
    plan.write_text(f'name = "p"\n{QUICK}\n[[cases]]\nmodel = "lenet5"\n')
    variants = ("--variant", "baseline", "--variant", "half", "--variant", "fr-auto:4x")
    return run(
        "-s", virtual_phone.serial, "--plan", plan, "--model", f"{home / 'net.py'}:build",
        "--weights", home / "state.pt", "--data", home / "val", "--input", "3x24x24", "--label", "colours", *variants,
        "--results", tmp_path_factory.mktemp("results"), env=env,
    )  # fmt: skip


def test_an_own_network_has_its_accuracy_with_an_interval(measured: Finished, virtual_phone: VirtualPhone) -> None:
    n, right = EACH * len(COLOURS), EACH * len(COLOURS) - WRONG
    for variant in ("baseline", "half"):
        found = measured.summaries("top1", variant=variant)
        assert len(found) == 3
        for s in found:
            figures = s["statistics"]
            assert (figures["median"], figures["samples"]) == (pytest.approx(right / n), n)
            assert 0.75 < figures["interval"]["low"] < right / n < figures["interval"]["high"] < 0.97
    (equal,) = (
        c
        for c in measured.answer["comparisons"]
        if (c["kind"], c["metric"], c["right"]["variant"], c["right"]["device"])
        == ("variant", "top1", "half", virtual_phone.serial)
    )
    assert (equal["outcome"], equal["difference"]) == ("equal", 0)


def test_a_run_says_what_it_was_made_of(measured: Finished) -> None:
    record = measured.record
    shown = record.samples["colours"]
    assert (shown.count, shown.labelled, shown.classes) == (EACH * len(COLOURS), True, COLOURS)
    assert record.plan["cases"][0]["model"].endswith("net.py:build")
    assert any("state_dict" in note for note in record.notes)
    assert all(a.trained for a in record.artifacts)
    page = (measured.folder / "report.html").read_text()
    assert "colours" in page


@pytest.fixture(scope="module")
def files(home: Path, measured: Finished) -> Path:
    """The same network as files of every kind, and an ONNX file of another."""
    module = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)
    )
    module.load_state_dict(weights())
    example = torch.zeros(1, 3, 24, 24)
    torch.export.save(torch.export.export(module.eval(), (example,)), home / "exported.pt2")
    with pytest.warns(DeprecationWarning, match="torch.jit"):
        traced = torch.jit.trace(module, example)
    traced.save(str(home / "scripted.pt"))
    ours = next(a for a in measured.record.artifacts if (a.variant, a.runtime) == ("baseline", "ncnn"))
    shutil.copy(ours.file("graph").path, home / "graph.param")
    shutil.copy(ours.file("weights").path, home / "graph.bin")
    values = np.random.default_rng(2).normal(size=108).astype("<f4").tobytes()
    (home / "conv.onnx").write_bytes(onnx_file.convolution(values=values))
    return home


def test_network_files_are_measured_as_they_are(
    files: Path, virtual_phone: VirtualPhone, env: dict[str, str], tmp_path: Path
) -> None:
    data = f'input = "3x24x24"\ndata = "{files / "val"}"\nvariants = ["baseline"]\n'
    cases = [f'[[cases]]\nmodel = "{files / name}"\n{data}' for name in ("exported.pt2", "scripted.pt", "graph.param")]
    cases.append(f'[[cases]]\nmodel = "{files / "conv.onnx"}"\nvariants = ["baseline"]\ndata = {{samples = 3}}\n')
    plan = tmp_path / "plan.toml"
    plan.write_text(f'name = "files"\n{QUICK.replace("launches = 3", "launches = 1")}\n' + "".join(cases))
    found = run("-s", virtual_phone.serial, "--plan", plan, "--results", tmp_path, env=env)
    assert set(found.frame.status) == {"ok"}, set(found.frame.reason)
    right = 1 - WRONG / (EACH * len(COLOURS))
    for model in ("exported", "scripted", "graph"):
        assert [
            s["statistics"]["median"] for s in found.summaries("top1", model=model, device=virtual_phone.serial)
        ] == [pytest.approx(right)]
    assert {s["subject"]["runtime"] for s in found.summaries("latency", model="graph")} == {"ncnn"}
    (delta,) = found.summaries("max_abs_delta", model="conv", device=virtual_phone.serial)
    assert delta["statistics"]["median"] < 1e-3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--model", "net.py:build"), "--input"),
        (("--model", "net.py:build", "--input", "4x24x24"), "net.py"),
        (("--model", "net.py:biuld", "--input", "3x24x24"), "It has build"),
        (("--model", "net.py:build", "--input", "3x24x24", "--data", "net.py"), "net.py"),
        (("--model", "graph.param", "--input", "3x24x24", "--variant", "half"), "ready graph"),
        (("--model", "state.pt"), "weights without the network"),
    ],
)
def test_what_does_not_go_together_is_refused_with_a_way_out(
    arguments: tuple[str, ...], words: str, files: Path, virtual_phone: VirtualPhone, env: dict[str, str]
) -> None:
    done = bench("run", "-s", virtual_phone.serial, *arguments, env=env, status=2, cwd=files)
    assert words in done.stderr
    assert not (files / "results").exists()
