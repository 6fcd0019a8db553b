"""One package at every width: the runner's answers against torch, on this processor and through qemu on arm64."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bench.cache import Cache
from bench.compress.frequency import factor, layers, narrow, quadrature
from bench.compress.frequency.widths import Question, automatic, chosen
from bench.errors import ExportRefused, UnknownName, UsageError
from bench.export import graph as param
from bench.export.explanation import explain
from bench.export.frequency import at_points, export_fr, read
from bench.networks.builtin.unet import UNet
from bench.records import Tensor as Port
from bench.runtimes.ncnn.build import build
from tests.e2e.native_kit import measure

INPUTS = [Port(name="in0", shape=(3, 21, 27))]
WIDTHS = ("1", "1/2", "1/4", "1/8", "1/64")


class Net(nn.Module):
    """Norms, pooling, a skip connection, concatenation with padding, and a last layer that reduces by itself."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.b = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.c = nn.Conv2d(width, 2 * width, 3, padding=1, bias=False)
        self.up = nn.ConvTranspose2d(2 * width, width, 2, stride=2, bias=False)
        self.d = nn.Conv2d(2 * width, width, 3, padding=1, bias=False)
        self.e = nn.Conv2d(width, 3, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skip = F.relu(F.instance_norm(self.b(F.relu(F.instance_norm(self.a(x))))))
        up = self.up(F.relu(F.instance_norm(self.c(F.max_pool2d(skip, 2)))))
        up = F.pad(up, [0, skip.shape[3] - up.shape[3], 0, skip.shape[2] - up.shape[2]])
        out: torch.Tensor = self.e(F.relu(F.instance_norm(self.d(torch.cat([skip, up], 1)))))
        return out


def compressed(network: nn.Module, kept: int) -> nn.Module:
    torch.manual_seed(5)
    network.eval()
    layers.compress(
        network, {name: min(kept, site.weight.numel() // 4) for name, site in layers.sites(network).items()}
    )
    layers.round_to_half(network)
    return network


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(3)
    return compressed(Net(), 20)


@pytest.fixture(scope="module")
def folder(network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("exported")
    export_fr("net", network, INPUTS, made)
    return made


@pytest.fixture(scope="module")
def question(folder: Path) -> Question:
    return Question(read(folder), INPUTS, "all")


X = torch.rand(2, 3, 21, 27, generator=torch.Generator().manual_seed(1))


def answers(module: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = module(X)
    return found


def graph_of(question: Question, made: narrow.Narrowing, folder: Path) -> str:
    param.write(at_points(question.exported, made.forms, made.points), folder / "small.param")
    return (folder / "small.param").read_text()


def narrowing(question: Question, part: str) -> narrow.Narrowing:
    return question.narrowing(question.rewritten(lambda number: Fraction(part)))


@pytest.mark.parametrize("part", WIDTHS)
def test_the_runner_answers_as_torch_does_at_every_width(
    network: nn.Module, folder: Path, question: Question, tmp_path: Path, part: str
) -> None:
    made = narrowing(question, part)
    run = measure(
        tmp_path, graph_of(question, made, tmp_path), (folder / "weights.frq").read_bytes(), X.numpy(),
        execution="resident",
    )  # fmt: skip
    assert run.outputs is not None, (run.events, run.stderr)
    wanted = answers(narrow.narrowed(network, made)).numpy().ravel()
    assert np.abs(run.outputs - wanted).max() <= 2e-5 * np.abs(wanted).max()
    whole = answers(factor.factored(network)).numpy().ravel()
    assert (np.abs(wanted - whole).max() <= 1e-5 * np.abs(whole).max()) == (part == "1")


@pytest.mark.skipif(shutil.which("qemu-aarch64-static") is None, reason="qemu-user-static is not installed")
def test_arm64_answers_alike_at_every_width(
    network: nn.Module, folder: Path, question: Question, tmp_path: Path
) -> None:
    program = build("arm64-v8a", Cache()).path
    weights = (folder / "weights.frq").read_bytes()
    for part in WIDTHS:
        made = narrowing(question, part)
        measure(tmp_path, graph_of(question, made, tmp_path), weights, X.numpy(), execution="resident")
        (tmp_path / "answers.f32").unlink()
        subprocess.run(["qemu-aarch64-static", program, tmp_path / "job"], check=True, capture_output=True, timeout=120)
        wanted = answers(narrow.narrowed(network, made)).numpy().ravel()
        found = np.fromfile(tmp_path / "answers.f32", "<f4")
        assert np.abs(found - wanted).max() <= 2e-5 * np.abs(wanted).max(), part


def test_half_the_width_is_the_network_of_half_the_channels(network: nn.Module, question: Question) -> None:
    """Learning through a narrower twin (factor.learner) is the same arithmetic, found in another way."""
    made = narrowing(question, "1/2")
    assert all(
        points == channels // 2 for points, channels in zip(made.points.values(), (32, 32, 64, 32, 32), strict=True)
    )
    twin = factor.learner(network, Net(16)).eval()
    torch.testing.assert_close(answers(narrow.narrowed(network, made)), answers(twin), rtol=1e-4, atol=1e-4)


def test_other_points_are_another_quadrature_of_the_same(network: nn.Module, question: Question) -> None:
    made = narrowing(question, "1/2")
    whole = answers(factor.factored(network))
    found = answers(narrow.narrowed(network, made, lambda name, count: quadrature.gauss(count)))
    assert 0 < (found - whole).abs().max() < 0.2 * whole.abs().max()


def test_what_was_asked_and_what_was_done_is_told(question: Question) -> None:
    found = chosen(question, "1/64")
    assert found.told.startswith("width 1/64: ")
    assert f"{sum(found.narrowing.points.values())} of 192 channels" in found.told
    assert "more than asked for, by the columns kept, of a (3)" in found.told
    rows = {row.name: row for row in explain(question.exported, INPUTS, found.rewritten)}
    assert {name: row.points for name, row in rows.items() if row.points} == dict(found.narrowing.points)
    assert narrow.Narrowing.parse(found.narrowing.text()) == found.narrowing


def test_a_layer_has_its_own_width(question: Question) -> None:
    assert chosen(question, {"b": "1/2", "c.weight": "1/4"}).narrowing.points == {"b.weight": 16, "c.weight": 16}
    others = chosen(question, {"*": "1/4", "c": "1/2"}).narrowing.points
    assert others == {**chosen(question, "1/4").narrowing.points, "c.weight": 32}
    with pytest.raises(UnknownName, match="unknown layer 'x'"):
        chosen(question, {"x": "1/2"})


def test_the_narrowest_widths_that_agree_are_found(network: nn.Module, question: Question) -> None:
    found = automatic(question, network, [X.numpy()])
    assert sum(found.narrowing.points.values()) < 192
    whole, narrow_ = answers(factor.factored(network)), answers(narrow.narrowed(network, found.narrowing))
    assert (whole.argmax(1) == narrow_.argmax(1)).double().mean() >= 0.995
    assert "agrees with the whole width in 99." in found.told or "in 100.00%" in found.told


def test_a_network_whose_layers_need_every_channel_is_refused_with_the_reason(tmp_path: Path) -> None:
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 8, 3), nn.AvgPool2d(2))
    export_fr("net", compressed(net, 12), INPUTS, tmp_path)
    question = Question(read(tmp_path), INPUTS, "all")
    with pytest.raises(ExportRefused) as caught:
        chosen(question, "1/4")
    assert "0 (a bias or norm has numbers of its own for each channel)" in caught.value.what
    assert "2 (a layer of type Pooling reads every channel)" in caught.value.what
    found = automatic(question, net, [X.numpy()])
    assert not found.narrowing.points
    assert found.told.startswith("width auto: the whole width")


def test_only_classes_agree(tmp_path: Path) -> None:
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv2d(3, 16, 3, bias=False), nn.ReLU(), nn.Conv2d(16, 1, 1, bias=False))
    export_fr("net", compressed(net, 12), INPUTS, tmp_path)
    with pytest.raises(UsageError, match="answers are classes"):
        automatic(Question(read(tmp_path), INPUTS, "all"), net, [X.numpy()])


def test_a_column_that_few_points_take_for_another_is_never_asked_of_them() -> None:
    """Why width 32 of a UNet whose last layer kept 64 columns had a Dice of 0.2 %: docs/resident.md."""
    few = quadrature.columns(64, 64, quadrature.equal(16).points)
    np.testing.assert_allclose(few[:, 31], -few[:, 1], atol=1e-12)
    fine = quadrature.columns(64, 64, quadrature.equal(32).points)
    np.testing.assert_allclose(fine[:, 63], -fine[:, 1], atol=1e-12)
    assert np.abs(fine[:, 31] + fine[:, 1]).max() > 0.1


def test_a_unet_at_half_its_width_is_its_twin_but_for_the_last_layer(tmp_path: Path) -> None:
    torch.manual_seed(2)
    network = compressed(UNet("instance", width=32), 33)
    inputs = [Port(name="in0", shape=(3, 32, 48))]
    export_fr("unet", network, inputs, tmp_path)
    question = Question(read(tmp_path), inputs, "all")
    made = narrowing(question, "1/2")
    last = "up4.conv.double_conv.3.weight"
    assert made.points[last] == 18  # two points for each of the 9 columns that the last layer keeps
    made = replace(made, points={**made.points, last: 16})
    x = torch.rand(1, 3, 32, 48)
    with torch.no_grad():
        twin = factor.learner(network, UNet("instance", width=16)).eval()(x)
        found = narrow.narrowed(network, made)(x)
    torch.testing.assert_close(found, twin, rtol=1e-3, atol=1e-3 * twin.abs().max().item())
