"""Packages back into torch networks: the same function, or a clear refusal."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from bench.compress.frequency import layers, package, restore, train
from bench.compress.frequency.package import Package, Tensor
from bench.errors import UsageError


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
