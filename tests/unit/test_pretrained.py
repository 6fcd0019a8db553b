"""The packages that come with bench: small, whole, and as good as their cards say."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from bench.compress import training
from bench.compress.frequency import factor, package
from bench.compress.frequency.restore import restored
from bench.compress.training import Images
from bench.data import digits
from bench.data.vehicles import TEST_SEED, Vehicles
from bench.networks import resolve

HOME = files("bench") / "pretrained"
NAMES = sorted(file.name.removesuffix(".frq") for file in HOME.iterdir() if file.name.endswith(".frq"))


def card(name: str) -> str:
    return (HOME / f"{name}.md").read_text(encoding="utf-8")


def test_lenet5_and_unet_are_there() -> None:
    assert NAMES == ["lenet5", "unet"]


@pytest.mark.parametrize("name", ["lenet5", "unet"])
def test_a_package_is_tiny_and_its_card_knows_it(name: str) -> None:
    data = (HOME / f"{name}.frq").read_bytes()
    stored = package.read(data)
    assert len(data) <= 2000
    assert (stored.name, stored.coefficients) == (name, resolve(name).coefficients)
    assert package.write(stored) == data
    text = card(name)
    assert f"{len(data):,} bytes: {stored.coefficients} coefficients" in text
    assert f"{sum(p.numel() for p in resolve(name).build().parameters()):,} parameters" in text
    assert f"bench compress {name} --target {stored.coefficients}" in text


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
    """The first 20 test samples, by the factored network: rounding may move a pixel or two."""
    stored = package.read((HOME / "unet.frq").read_bytes())
    network = factor.factored(restored(resolve("unet").learner(), stored))
    found = training.accuracy(network, Vehicles(TEST_SEED, 20, ((96, 144),)), batch=4)
    told = re.search(r"first 20 of them \| (\d+\.\d+) %", card("unet"))
    assert told is not None
    assert 100 * found == pytest.approx(float(told[1]), abs=0.05)
