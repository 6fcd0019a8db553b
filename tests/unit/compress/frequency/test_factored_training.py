"""Training through the factors: the same function, the same gradients, the same parameters; and through a twin."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from bench.compress import training
from bench.compress.frequency import factor, layers, train
from bench.compress.training import Images
from bench.data.vehicles import TEST_SEED, Vehicles
from bench.errors import UsageError
from bench.networks.builtin import unet
from bench.networks.builtin.unet import UNet


def mixed() -> nn.Module:
    """Layers of every kind that can be factored, one that cannot, and a norm with parameters."""
    return nn.Sequential(
        nn.Conv2d(3, 12, (3, 5), stride=2, padding=(1, 2)),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.Conv2d(12, 12, 3, padding="same", dilation=2, groups=2),
        nn.ConvTranspose2d(12, 6, 3, stride=2, output_padding=1, bias=False),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(24, 5),
    )


def compressed(network: nn.Module, kept: int) -> nn.Module:
    sizes = {name: site.weight.numel() for name, site in layers.sites(network).items()}
    layers.compress(network, {name: min(kept, size) for name, size in sizes.items()})
    return network


def gradients(network: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    network.zero_grad()
    output = network(x)
    (output * torch.linspace(-1, 1, output.numel()).view_as(output)).sum().backward()
    return [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in network.parameters()]


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_a_learner_is_the_network_in_value_and_gradient(mode: str) -> None:
    torch.manual_seed(0)
    network = compressed(mixed(), 20)
    learner = factor.learner(network)
    for module in (network, learner):
        module.train(mode == "train")
    x = torch.randn(4, 3, 13, 17)
    torch.testing.assert_close(learner(x), network(x), atol=1e-5, rtol=1e-4)
    dense = gradients(network, x)
    for parameter in network.parameters():
        parameter.grad = None
    gradients(learner, x)
    for expected, parameter in zip(dense, network.parameters(), strict=True):
        assert parameter.grad is not None
        assert (parameter.grad - expected).abs().max() <= 1e-4 * expected.abs().max() + 1e-6


def test_a_learner_shares_every_parameter_and_statistic_and_no_more() -> None:
    network = compressed(mixed(), 20)
    learner = factor.learner(network).train()
    assert {id(p) for p in learner.parameters()} == {id(p) for p in network.parameters()}
    learner(torch.randn(4, 3, 13, 17))
    norm = network[1]
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_mean.abs().max() > 0


def test_a_learner_follows_a_truncation() -> None:
    torch.manual_seed(0)
    network = compressed(mixed(), 40).eval()
    learner = factor.learner(network).eval()
    x = torch.randn(2, 3, 13, 17)
    before = learner(x)
    for site in layers.sites(network).values():
        site.frequency.truncate(9)
    assert not torch.allclose(learner(x), before, atol=1e-3)
    torch.testing.assert_close(learner(x), network(x), atol=1e-5, rtol=1e-4)


@pytest.fixture(scope="module")
def wide() -> nn.Module:
    """The UNet with smooth random coefficients."""
    torch.manual_seed(0)
    network = unet.learner().eval()
    layers.compress(network, train.targets(network, 759))
    train.seed_coefficients(network, 1, train.ENERGY)
    return network


def test_the_unets_twin_computes_nearly_what_the_unet_does(wide: nn.Module) -> None:
    """A coarser sampling of the same cosines: the narrower, the farther off."""
    x = torch.from_numpy(Vehicles(TEST_SEED, 1, ((32, 48),)).read()[0])
    with torch.no_grad():
        expected = wide(x)
        off = [(factor.learner(wide, UNet("instance", width=w))(x) - expected).std() for w in (8, 16, 32)]
    assert off[0] > off[1] > off[2]
    assert off[1] < 0.15 * expected.std()
    assert off[2] < 0.05 * expected.std()


def test_what_the_twin_learns_the_unet_has_learnt(wide: nn.Module) -> None:
    network = copy.deepcopy(wide)
    learner = factor.learner(network, unet.twin())
    assert {id(p) for p in learner.parameters()} == {id(p) for p in network.parameters()}
    x = torch.from_numpy(Vehicles(TEST_SEED, 2, ((32, 48),)).read()[0])
    dense, narrow = (torch.cat([g.flatten() for g in gradients(module, x)]) for module in (network, learner))
    assert torch.cosine_similarity(dense, narrow, dim=0) > 0.97


def test_a_twin_must_be_alike_and_cannot_share_biases() -> None:
    with pytest.raises(UsageError, match="nothing but coefficients"):
        factor.learner(compressed(mixed(), 5), mixed())
    plain = compressed(nn.Sequential(nn.Conv2d(3, 8, 3, bias=False)), 5)
    with pytest.raises(UsageError, match="same layers"):
        factor.learner(plain, nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.Conv2d(4, 4, 3, bias=False)))


def test_training_through_a_twin_trains_the_wide_network() -> None:
    """A small UNet learns, through one of a quarter of its width, to find vehicles by their first few coefficients."""
    torch.manual_seed(0)
    data = Images(*Vehicles(TEST_SEED, 12, ((32, 48),)).read())
    network = UNet("instance", width=32)
    kept = train.targets(network, 400)
    recipe = training.Recipe(epochs=6, batch=4, rate=0.05, distortion=0, seed=1, half=0.2)
    train.train(network, data, kept, recipe, lambda *_: None, twin=UNet("instance", width=8))
    assert {name: site.frequency.kept for name, site in layers.sites(network).items()} == kept
    assert all(np.array_equal(p.detach(), p.detach().half().float()) for p in network.parameters())
    everything = 2 * data.answers.mean() / (1 + data.answers.mean())
    assert training.accuracy(network, data) > everything + 0.15
