"""The packages that come with bench: small, whole, and as good as their cards say."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

import pytest
import torch
from torch import nn

from bench.compress import training
from bench.compress.frequency import factor, package
from bench.compress.frequency.restore import restored
from bench.compress.training import Images
from bench.data import digits, enlarged
from bench.data.vehicles import TEST_SEED, Vehicles
from bench.networks import resolve
from bench.networks.builtin.unet import UNet

HOME = files("bench") / "pretrained"
PACKAGES = {
    "lenet5": "lenet5",
    "unet": "unet",
    "unet-8k": "unet",
    "unet-16k": "unet",
    "unet.ordinary": "unet",
    "vdsr": "vdsr",
}
"""Each package, and the network that it is of."""


def card(name: str) -> str:
    return (HOME / f"{name}.md").read_text(encoding="utf-8")


@cache
def ordinary(name: str) -> nn.Module:
    return resolve(name).build()


def dice(network: nn.Module, count: int = 20) -> float:
    """In percent, over the first test samples at 96×144."""
    return 100 * training.accuracy(network, Vehicles(TEST_SEED, count, ((96, 144),)), batch=4)


def figures(name: str, row: str) -> list[float]:
    """What a row of a card's table says, in percent."""
    (line,) = (line for line in card(name).splitlines() if line.startswith(f"| {row} "))
    return [float(figure) for figure in re.findall(r"(\d+\.\d+) %", line)]


def test_every_package_is_of_a_network() -> None:
    assert {f"{name}.frq" for name in PACKAGES} == {file.name for file in HOME.iterdir() if file.name.endswith(".frq")}


@pytest.mark.parametrize(("name", "network"), PACKAGES.items())
def test_a_package_is_whole_and_its_card_knows_it(name: str, network: str) -> None:
    data = (HOME / f"{name}.frq").read_bytes()
    stored = package.read(data)
    assert len(data) <= 64_000
    assert stored.name == network
    assert package.write(stored) == data
    text = card(name)
    assert f"{len(data):,} bytes: {stored.coefficients:,} coefficients" in text
    assert f"{sum(p.numel() for p in ordinary(network).parameters()):,} parameters" in text


@pytest.mark.parametrize("name", ["lenet5", "unet"])
def test_a_network_s_own_package_has_the_coefficients_it_is_given_by_default(name: str) -> None:
    stored = package.read((HOME / f"{name}.frq").read_bytes())
    assert stored.coefficients == resolve(name).coefficients
    assert f"bench compress {name} --target {stored.coefficients}" in card(name)


def test_lenet5_names_as_many_digits_right_as_its_card_says() -> None:
    """Of the thousand, rounding may move one or two that are in doubt."""
    stored = package.read((HOME / "lenet5.frq").read_bytes())
    network = restored(resolve("lenet5").learner(), stored)
    known = digits.load()
    found = training.accuracy(network, Images(known.test_inputs, known.test_labels))
    told = re.search(r"\*\*(\d+\.\d+) %\*\*", card("lenet5"))
    assert told is not None
    assert 100 * found == pytest.approx(float(told[1]), abs=0.21)


def test_unet_finds_vehicles_as_well_as_its_card_says() -> None:
    """By the factored network: rounding may move a pixel or two."""
    stored = package.read((HOME / "unet.frq").read_bytes())
    network = factor.factored(restored(resolve("unet").learner(), stored))
    assert [dice(network)] == pytest.approx(figures("unet", "the first 20 of them"), abs=0.05)


@pytest.mark.parametrize("name", ["unet-8k", "unet-16k"])
def test_narrow_executions_of_a_package_are_as_good_as_its_card_says(name: str) -> None:
    stored = package.read((HOME / f"{name}.frq").read_bytes())
    network = restored(resolve("unet").learner(), stored)
    found = [dice(factor.learner(network, UNet("instance", width=width))) for width in (16, 8)]
    _, _, sixteen, _, eight = figures(name, "the first 20 of them")
    assert found == pytest.approx([sixteen, eight], abs=0.05)


def test_the_ordinary_unet_has_learnt_the_vehicles() -> None:
    (told,) = figures("unet.ordinary", "the first 8, which")
    assert dice(ordinary("unet"), 8) == pytest.approx(told, abs=0.05)


def test_the_small_dense_unet_has_learnt_the_vehicles() -> None:
    (told,) = figures("unet-small.ordinary", "the first 20 of them")
    assert dice(ordinary("unet-small")) == pytest.approx(told, abs=0.05)
    weights = HOME / "unet-small.ordinary.safetensors"
    assert f"{len(weights.read_bytes()):,} bytes" in card("unet-small.ordinary")


def test_vdsr_sharpens_photographs_as_its_card_says() -> None:
    """The package and the ordinary network, over the first three crops."""
    network = ordinary("vdsr")
    compressed = factor.factored(restored(network, package.read((HOME / "vdsr.frq").read_bytes())))
    shown = enlarged.load(128, 128, 3)
    images, wanted = (torch.from_numpy(part).permute(0, 3, 1, 2) / 255 for part in (shown.enlarged, shown.original))
    with torch.no_grad():
        found = [psnr(one, wanted) for one in (images, compressed(images), network(images))]
    (line,) = (line for line in card("vdsr").splitlines() if line.startswith("Of the first three crops"))
    assert found == pytest.approx([float(value) for value in re.findall(r"(\d+\.\d+) dB", line)], abs=0.02)


def psnr(answers: torch.Tensor, wanted: torch.Tensor) -> float:
    """The mean over pictures, in dB."""
    errors = (answers - wanted).double().square().mean((1, 2, 3))
    return float((-10 * errors.log10()).mean())
