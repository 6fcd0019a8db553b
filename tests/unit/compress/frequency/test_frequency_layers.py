"""FR layers, their factored form and the schedule, on real torch layers."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest
import scipy.fft
import torch
from torch import nn

from bench.compress.frequency import factor, layers, order, schedule
from bench.errors import CorruptData

LAYERS = {
    "plain": (nn.Conv2d(5, 7, 3, padding=1), (2, 5, 9, 8)),
    "strided, dilated, oblong": (
        nn.Conv2d(4, 6, (3, 5), stride=2, dilation=(2, 1), padding=(2, 0)),
        (1, 4, 16, 17),
    ),
    "one pixel, no bias": (nn.Conv2d(8, 3, 1, bias=False), (2, 8, 4, 4)),
    "same": (nn.Conv2d(3, 4, 3, padding="same"), (1, 3, 6, 6)),
    "transposed": (nn.ConvTranspose2d(6, 4, 2, stride=2), (2, 6, 5, 4)),
    "transposed, more": (nn.ConvTranspose2d(3, 8, 3, stride=2, padding=1, output_padding=1, bias=False), (1, 3, 5, 5)),
    "linear": (nn.Linear(20, 9), (3, 20)),
}


def compressed(layer: nn.Module, kept: int) -> nn.Sequential:
    network = nn.Sequential(copy.deepcopy(layer))
    layers.compress(network, {"0.weight": kept})
    return network


def site(network: nn.Module) -> layers.Site:
    return layers.sites(network)["0.weight"]


@pytest.mark.parametrize("name", LAYERS)
def test_the_weight_is_the_inverse_dct_of_its_coefficients(name: str) -> None:
    layer, _ = LAYERS[name]
    network = compressed(layer, 12)
    weight = network[0].weight.detach().numpy()
    full = np.zeros(weight.shape)
    full[tuple(order.prefix(weight.shape, 12).T)] = site(network).coefficients.detach().numpy()
    np.testing.assert_allclose(weight, scipy.fft.idctn(full, norm="ortho"), atol=1e-6)


@pytest.mark.parametrize("name", LAYERS)
def test_all_coefficients_give_the_weight_back(name: str) -> None:
    layer, shape = LAYERS[name]
    network, x = compressed(layer, layer.weight.numel()), torch.randn(shape)
    torch.testing.assert_close(network(x), layer(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("kept", [1, 10])
def test_factored_and_decoded_equal_the_compressed_layer(name: str, kept: int) -> None:
    layer, shape = LAYERS[name]
    network, x = compressed(layer, kept), torch.randn(shape)
    expected = network(x)
    for form in (factor.factored(network), layers.decoded(network)):
        assert not any("parametrizations" in key for key in form.state_dict())
        found = form(x)
        assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()
    torch.testing.assert_close(network(x), expected)  # making the copies left the original whole


def test_gradients_reach_every_kept_coefficient_and_no_other() -> None:
    network = compressed(nn.Conv2d(4, 6, 3), 50)
    site(network).frequency.truncate(20)
    network(torch.randn(2, 4, 8, 8)).square().sum().backward()
    gradient = site(network).coefficients.grad
    assert gradient is not None
    assert (gradient[:20] != 0).all()
    assert (gradient[20:] == 0).all()


def test_half_precision_on_the_cpu() -> None:
    network = compressed(nn.Conv2d(4, 6, 3), 9).half()
    assert network(torch.randn(1, 4, 8, 8).half()).dtype == torch.float16


def test_grouped_layers_stay_as_they_are_in_a_factored_network() -> None:
    network, x = compressed(nn.Conv2d(4, 4, 3, groups=2), 5), torch.randn(2, 4, 6, 6)
    form = factor.factored(network)
    assert type(form[0]) is nn.Conv2d
    torch.testing.assert_close(form(x), network(x))


def test_tail_truncation_follows_its_formula_and_arrives() -> None:
    network = compressed(nn.Conv2d(16, 16, 3), 2304)
    truncation = schedule.TailTruncation(network, {"0.weight": 40}, gamma=0.01)
    x = torch.randn(1, 16, 5, 5)
    network(x)
    assert site(network).frequency.kept == 2304  # forward never truncates
    truncation.step()
    assert site(network).frequency.kept == int(2304 - 0.01 * (2304 - 40))
    seen = [site(network).frequency.kept]
    while not truncation.finished:
        truncation.step()
        seen.append(site(network).frequency.kept)
        assert len(seen) < 1000
    assert all(a >= b for a, b in itertools.pairwise(seen))
    before = network(x)
    truncation.finish()
    assert site(network).coefficients.shape == (40,)
    torch.testing.assert_close(network(x), before)


def trained(network: nn.Module, truncation: schedule.TailTruncation, optimiser: torch.optim.Adam, steps: range) -> None:
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        loss = network(torch.randn(4, 4, 8, 8, generator=generator)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        truncation.step()


def test_a_resumed_truncation_goes_on_exactly() -> None:
    whole = compressed(nn.Conv2d(4, 6, 3), 216)
    stopped, resumed = copy.deepcopy(whole), copy.deepcopy(whole)
    found = []
    for network, steps in ((whole, range(60)), (stopped, range(25))):
        truncation = schedule.TailTruncation(network, {"0.weight": 20}, gamma=0.03)
        optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
        trained(network, truncation, optimiser, steps)
        found.append((truncation, optimiser))
    truncation = schedule.TailTruncation(resumed, {"0.weight": 20}, gamma=0.03)
    optimiser = torch.optim.Adam(resumed.parameters(), lr=0.01)
    resumed.load_state_dict(stopped.state_dict())
    truncation.load_state_dict(found[1][0].state_dict())
    optimiser.load_state_dict(found[1][1].state_dict())
    trained(resumed, truncation, optimiser, range(25, 60))
    assert truncation.state_dict() == found[0][0].state_dict()
    assert site(resumed).frequency.kept == site(whole).frequency.kept < 216
    assert all(torch.equal(a, b) for a, b in zip(resumed.parameters(), whole.parameters(), strict=True))


def test_a_truncation_refuses_the_state_of_another_network() -> None:
    truncation = schedule.TailTruncation(compressed(nn.Conv2d(4, 6, 3), 30), {"0.weight": 20})
    with pytest.raises(CorruptData, match="another network"):
        truncation.load_state_dict({"1.weight": 25.0})


def test_the_optimiser_goes_on_over_the_end_of_truncation_as_if_the_tail_had_never_been() -> None:
    long, short = compressed(nn.Conv2d(4, 6, 3), 50), compressed(nn.Conv2d(4, 6, 3), 20)
    with torch.no_grad():
        site(short).coefficients.copy_(site(long).coefficients[:20])
        short[0].bias.copy_(long[0].bias)
    site(long).frequency.truncate(20)
    for network in (long, short):
        truncation = schedule.TailTruncation(network, {"0.weight": 20})
        optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
        trained(network, truncation, optimiser, range(5))
        truncation.finish(optimiser)
        trained(network, truncation, optimiser, range(5, 10))
    assert torch.equal(site(long).coefficients, site(short).coefficients)
