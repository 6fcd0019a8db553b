"""Targets, sizes and budgets: what is asked for is what the written package has, and better splits are better."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bench.compress.frequency import budget, layers, oneshot, package
from bench.compress.frequency.sensitivity import sensitivity
from bench.compress.frequency.size import count
from bench.compress.frequency.target import kept as kept_by
from bench.compress.frequency.target import parsed
from bench.compress.target import Target
from bench.errors import UnknownName, UsageError
from bench.networks import resolve

# --- targets -------------------------------------------------------------------------------------------------------


def lenet5() -> nn.Module:
    return resolve("lenet5").build()


@pytest.mark.parametrize(("text", "total"), [("1110x", 776), ("776", 776), ("112.4x", 7_670), ("430500", 430_500)])
def test_published_targets_of_lenet5(text: str, total: int) -> None:
    network = lenet5()
    assert sum(kept_by(parsed(text), network, budget.budget("uniform", network)).values()) == total


def test_a_ratio_can_be_of_the_ordinary_forms_parameters() -> None:
    network = nn.Sequential(nn.Linear(100, 10, bias=False))
    split = budget.budget("uniform", network)
    assert kept_by(parsed("20x"), network, split) == {"0.weight": 100}
    assert kept_by(parsed("20x"), network, split, parameters=1_010) == {"0.weight": 101}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("3", r"between 4 and 430,500"),
        ("430501", r"between 4 and 430,500"),
        ("1x", r"between 2\.01x and 215540x"),
        ("1000000x", r"between 2\.01x and 215540x"),
        ("1000B", r"its biases and norms make 1,2\d\d"),
    ],
)
def test_targets_out_of_reach_say_what_is_in_reach(text: str, words: str) -> None:
    network = lenet5()
    with pytest.raises(UsageError, match=words):
        kept_by(parsed(text), network, budget.budget("uniform", network))


def test_the_limits_that_a_refusal_names_are_in_reach() -> None:
    network = lenet5()
    split = budget.budget("uniform", network)
    for text in ("2.01x", "215540x", "4", "430500", "1206B"):
        kept_by(parsed(text), network, split)


@st.composite
def networks(draw: st.DrawFn) -> nn.Sequential:
    """A few layers of all sizes, with and without biases and norms."""
    widths = draw(st.lists(st.integers(1, 12), min_size=2, max_size=5))
    found: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        found.append(nn.Conv2d(inputs, outputs, draw(st.integers(1, 3)), bias=draw(st.booleans())))
        if draw(st.booleans()):
            found.append(nn.BatchNorm2d(outputs))
    return nn.Sequential(*found)


@given(networks(), st.floats(0.02, 1.1), st.sampled_from(["uniform", "energy"]), st.text(max_size=5))
@settings(deadline=None)
def test_a_package_of_so_many_bytes_has_at_most_so_many(
    network: nn.Sequential, share: float, split: str, name: str
) -> None:
    whole = count(network, name).bytes
    target = Target("bytes", int(share * whole))
    try:
        kept = oneshot.compress(network, target, split, name=name)
    except UsageError as refused:
        assert "bytes are too few" in refused.what  # noqa: PT017
        return
    written = package.write(layers.shipped(name, network))
    size = count(network, name)
    assert len(written) == size.bytes <= target.amount
    assert size.coefficients == sum(kept.values()) == package.read(written).coefficients
    # What is left over would not have held a coefficient more in each layer.
    room = target.amount - size.bytes
    assert room < 2 * len(kept) + 6 or size.coefficients == size.weights


def test_sizes_count_everything_once() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(32, 5, bias=False))
    ordinary = count(network)
    assert (ordinary.weights, ordinary.coefficients, ordinary.rest) == (216 + 160, 216 + 160, 8 + 4 * 8)
    assert ordinary.ordinary_bytes > 4 * (ordinary.weights + ordinary.rest)
    oneshot.compress(network, "94", "uniform")
    size = count(network)
    assert (size.weights, size.coefficients, size.rest) == (376, 94, 40)
    assert size.coefficient_ratio == 4
    assert size.byte_ratio == size.ordinary_bytes / size.bytes
    assert size.ordinary_bytes == ordinary.ordinary_bytes


# --- budgets -------------------------------------------------------------------------------------------------------


def test_uniform_split_as_published() -> None:
    unet = {f"layer{i}": 10_000 for i in range(22)} | {"outc": 128}
    assert set(budget.uniform(unet, 759).values()) == {33}


def test_uniform_split_hands_on_what_a_small_tensor_cannot_use() -> None:
    sizes = {"conv1": 500, "conv2": 25_000, "fc1": 400_000, "fc2": 5_000}
    kept = budget.uniform(sizes, 7_668)
    assert kept == {"conv1": 500, "conv2": 2_389, "fc1": 2_389, "fc2": 2_390}
    assert budget.uniform(sizes, sum(sizes.values())) == sizes


@pytest.mark.parametrize("total", [3, 431_000])
def test_impossible_totals_are_refused(total: int) -> None:
    with pytest.raises(UsageError, match="cannot be shared"):
        budget.uniform({"a": 10, "b": 20, "c": 30, "d": 40}, total)


def test_an_unknown_budget_is_refused() -> None:
    with pytest.raises(UnknownName, match="Did you mean energy"):
        budget.budget("enrgy", lenet5())


def smooth(seed: int, *widths: int, coarse: int = 2) -> nn.Sequential:
    """Linear layers, each with a few strong low frequencies over faint noise."""
    generator = torch.Generator().manual_seed(seed)
    network = nn.Sequential(*(nn.Linear(a, b, bias=False) for a, b in itertools.pairwise(widths)))
    kept = {name: coarse ** (place + 1) for place, name in enumerate(layers.sites(network))}
    layers.compress(network, kept)
    for site in layers.sites(network).values():
        site.coefficients.data.normal_(generator=generator)
    plain = layers.decoded(network)
    for parameter in plain.parameters():
        parameter.data += 0.01 * torch.randn(parameter.shape, generator=generator)
    return plain  # type: ignore[return-value]


def log_share(network: nn.Module, kept: dict[str, int]) -> float:
    """What `energy` makes large: the log of the product of the shares of energy that prefixes hold."""
    total = 0.0
    for name, site in layers.sites(network).items():
        frequency = layers.Frequency(site.shape, math.prod(site.shape))
        squares = frequency.right_inverse(site.weight.detach()).double().square()
        total += float(torch.log(squares[: kept[name]].sum() / squares.sum()))
    return total


@given(st.integers(0, 1000), st.integers(3, 80))
@settings(deadline=None, max_examples=40)
def test_energy_holds_at_least_as_much_as_uniform_and_uses_its_total(seed: int, total: int) -> None:
    network = smooth(seed, 10, 12, 9, 11)
    by_energy = budget.energy(network)(total)
    equal = budget.uniform(budget.sizes(network), total)
    assert sum(by_energy.values()) == total
    assert min(by_energy.values()) >= 1
    if total >= 2 + 4 + 8 + 3:  # everything strong fits
        # The last stretch of an envelope is taken in part, where shares lie below it.
        assert log_share(network, by_energy) >= log_share(network, equal) - 0.03


def test_energy_finds_where_the_energy_is() -> None:
    network = smooth(0, 30, 30, 30, 30, coarse=5)
    kept = budget.energy(network)(165)
    assert list(kept.values()) == pytest.approx([5, 25, 125], abs=8)


@given(st.integers(0, 1000))
@settings(deadline=None, max_examples=20)
def test_energy_of_a_compressed_network_is_that_of_its_coefficients(seed: int) -> None:
    network = smooth(seed, 10, 12, 9)
    layers.compress(network, budget.sizes(network))
    for total in (2, 10, 100, 228):
        kept = budget.energy(network)(total)
        assert sum(kept.values()) == total
    with pytest.raises(UsageError, match="cannot be shared"):
        budget.energy(network)(229)


def test_energy_of_weights_that_are_zero() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    nn.init.zeros_(network[0].weight)
    assert budget.energy(network)(12) == {"0.weight": 1, "1.weight": 11}


def test_sensitivity_measures_what_a_layer_is_worth_to_the_loss() -> None:
    """Two layers with the same weights; the loss asks for the second only."""
    network = nn.Sequential(nn.Linear(12, 12), nn.Linear(12, 12))
    network[1].load_state_dict(network[0].state_dict())
    wanted = network[1].weight.detach().clone()

    def loss(found: nn.Module) -> float:
        assert not torch.is_grad_enabled()
        return float((found[1].weight - wanted).square().sum())  # type: ignore[index]

    before = {name: values.clone() for name, values in network.state_dict().items()}
    kept = sensitivity(network, loss)(146)
    assert kept == {"0.weight": 2, "1.weight": 144}
    assert all(torch.equal(before[name], values) for name, values in network.state_dict().items())


def test_sensitivity_gives_every_total_and_nests() -> None:
    torch.manual_seed(1)
    network = nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 4))
    x = torch.randn(50, 6)
    expected = network(x).detach()
    split = sensitivity(network, lambda found: float((found(x) - expected).square().mean()))
    found = [split(total) for total in range(2, 101)]
    assert [sum(kept.values()) for kept in found] == list(range(2, 101))
    for fewer, more in itertools.pairwise(found):
        assert all(1 <= fewer[name] <= more[name] for name in fewer)
    for total in (1, 101):
        with pytest.raises(UsageError, match="cannot be shared"):
            split(total)


def test_sensitivity_beats_uniform_where_layers_differ() -> None:
    """A compressed network whose layers need different numbers of coefficients."""
    network = smooth(3, 20, 20, 20, 20, coarse=4)
    x = torch.randn(100, 20, generator=torch.Generator().manual_seed(0))
    expected = network(x).detach()

    def loss(found: nn.Module) -> float:
        return float((found(x) - expected).detach().square().mean() / expected.square().mean())

    losses = []
    for split in (budget.budget("uniform", network), sensitivity(network, loss), budget.budget("energy", network)):
        trial = layers.decoded(network)
        layers.compress(trial, split(100))
        losses.append(loss(trial))
    uniform, measured, energy = losses
    assert measured < 0.5 * uniform
    assert energy < 0.5 * uniform
    assert np.isfinite(losses).all()
