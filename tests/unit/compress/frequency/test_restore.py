"""Packages back into torch networks: the same function, or a clear refusal."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from bench.compress.frequency import layers, norms, package, restore, train
from bench.compress.frequency.package import Package, Tensor
from bench.errors import UsageError
from bench.networks.settle import settle


class _Mixed(nn.Module):
    """Every kind of layer that FR compresses, and a norm with parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.norm = nn.InstanceNorm2d(8, affine=True)
        self.up = nn.ConvTranspose2d(8, 4, 2, stride=2, bias=False)
        self.fc = nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.fc(self.up(self.norm(self.conv(x))).mean((2, 3)))
        return y


def compressed() -> nn.Module:
    torch.manual_seed(3)
    network = _Mixed().eval()
    layers.compress(network, train.targets(network, 60))
    train.seed_coefficients(network, seed=1, energy=1.0)
    layers.round_to_half(network)
    return network


def test_a_network_comes_back_as_it_was_shipped() -> None:
    network = compressed()
    shipped = package.write(layers.shipped("mixed", network))
    found = restore.restored(_Mixed().eval(), package.read(shipped))
    assert package.write(layers.shipped("mixed", found)) == shipped
    x = torch.randn(2, 3, 9, 9)
    assert torch.equal(found(x), network(x))


@pytest.mark.parametrize("folds", [False, True])
def test_batch_norms_come_back_whole_or_folded(folds: bool) -> None:
    def build() -> nn.Sequential:
        torch.manual_seed(5)
        return nn.Sequential(nn.Conv2d(3, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 2, 1))

    network = build()
    layers.compress(network, {"0.weight": 40, "3.weight": 9})
    settle(network, 3 + torch.rand(4, 3, 12, 12))
    shipped = norms.folded(network) if folds else network
    layers.round_to_half(shipped)
    packed = layers.shipped("norms", shipped)
    # A convolution, then two or four vectors, then a convolution with a bias.
    assert len(packed.tensors) == (5 if folds else 7)
    found = restore.restored(build(), packed).eval()
    x = 3 + torch.rand(2, 3, 12, 12)
    with torch.no_grad():
        assert torch.equal(found(x), shipped(x))
        torch.testing.assert_close(found(x), network(x), atol=0.02, rtol=0.02)


def test_explicit_and_raw_weights_come_back_too() -> None:
    (weight, *rest) = layers.shipped("mixed", compressed()).tensors
    explicit = Tensor(weight.shape, np.array([2, -1], np.float32), "explicit", np.array([3, 40]))
    raw = Tensor(weight.shape, np.arange(216, dtype=np.float32), "raw")
    for tensor in (explicit, raw):
        found = restore.restored(_Mixed(), Package("mixed", (tensor, *rest)))
        (again, *_) = layers.shipped("mixed", found).tensors
        assert (again.kind, again.values.tolist()) == (tensor.kind, tensor.values.tolist())
        np.testing.assert_allclose(found.conv.weight.detach().numpy(), tensor.weight(), atol=1e-6)  # type: ignore[union-attr,operator]


def test_the_network_itself_stays_as_it_was() -> None:
    network = _Mixed()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    restore.restored(network, layers.shipped("mixed", compressed()))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_another_networks_package_is_refused() -> None:
    shipped = layers.shipped("mixed", compressed())
    first = shipped.tensors[0]
    for tensors, words in (
        (shipped.tensors[:-1], r"it has 6 tensors where the network has 7"),
        (
            (dataclasses.replace(first, shape=(8, 3, 3, 1)), *shipped.tensors[1:]),
            r"tensor 1 is 8×3×3×1 where conv.weight",
        ),
        ((dataclasses.replace(first, transposed=True), *shipped.tensors[1:]), r"tensor 1 is 8×3×3×3, transposed where"),
        ((*shipped.tensors[:-2], *shipped.tensors[:-3:-1]), r"tensor 6 is 5, a vector where fc.weight is 5×4"),
    ):
        with pytest.raises(UsageError, match=words):
            restore.restored(_Mixed(), Package("mixed", tensors))
