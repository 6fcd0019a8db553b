"""One network in several capacities: each keeps a prefix of every weight's coefficients, and all are trained at once.

Yu & Huang, "Universally Slimmable Networks and Improved Training Techniques" (ICCV 2019, arXiv 1903.05134), narrow a
network by channels; here it is narrowed by the order of its coefficients (docs/nested-fr.md).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.compress.frequency import norms, package
from bench.compress.frequency.layers import round_to_half, shipped, sites
from bench.compress.frequency.package import Package
from bench.networks.settle import settle

CAPACITIES = 4
"""Of a package, 1 the smallest. Capacity k keeps k of so many parts of every weight's coefficients."""


def part(kept: Mapping[str, int], capacity: int) -> dict[str, int]:
    """How many coefficients that capacity has of a network that keeps so many in all, at least one of each weight."""
    return {name: math.ceil(count * capacity / CAPACITIES) for name, count in kept.items()}


def gain(kept: int) -> Tensor:
    """(kept,): how much farther each coefficient goes in a step than in the whole network: as far as it would in a
    network of the smallest capacity that has it, whose few coefficients are larger (`train.unit`)."""
    found = torch.ones(kept)
    for capacity in range(CAPACITIES - 1, 0, -1):
        few = math.ceil(kept * capacity / CAPACITIES)
        found[:few] = math.sqrt(kept / few)
    return found


@contextmanager
def at(network: nn.Module, kept: Mapping[str, int]) -> Iterator[None]:
    """A compressed network with so many of its coefficients for a while; nothing is lost."""
    found = {name: site.frequency for name, site in sites(network).items() if site.compressed}
    for name, frequency in found.items():
        frequency.first = kept[name]
    try:
        yield
    finally:
        for frequency in found.values():
            frequency.first = None


def cut(network: nn.Module, kept: Mapping[str, int]) -> nn.Module:
    """A copy of a compressed network with so many of its coefficients and no others."""
    smaller = copy.deepcopy(network)
    for name, site in sites(smaller).items():
        if site.compressed:
            site.frequency.truncate(kept[name])
            site.coefficients.data = site.coefficients.data[: kept[name]].clone()
    return smaller


class Nest:
    """The capacities below the largest of a compressed network that will keep `kept`, as `training.fit` takes them.

    By the sandwich rule: the smallest at every step, and one of those between; the largest is the network itself.
    """

    def __init__(self, network: nn.Module, kept: Mapping[str, int]) -> None:
        self._network = network
        self._parts = [part(kept, capacity) for capacity in range(1, CAPACITIES)]

    def losses(self, forward: Callable[[], Any], loss: Callable[[Any], Tensor]) -> list[Tensor]:
        between = 1 + int(torch.randint(len(self._parts) - 1, ()))
        found = []
        for place in (0, between):
            with at(self._network, self._parts[place]):
                found.append(loss(forward()))
        return found


def packed(name: str, network: nn.Module, inputs: Tensor | None) -> Package:
    """The package of a compressed network in all its capacities.

    Statistics of a batch norm belong to one capacity. With `inputs` (N, …) each capacity takes its own of them, and
    ships the two numbers a channel that a norm then is; without, all have the network's. Raises CorruptData for values
    that are not finite.
    """
    kept = {name: site.frequency.kept for name, site in sites(network).items() if site.compressed}
    packages = []
    for capacity in range(1, CAPACITIES + 1):
        smaller = cut(network, part(kept, capacity))
        if inputs is not None:
            settle(smaller, inputs)
        folded = norms.folded(smaller)
        round_to_half(folded)
        packages.append(shipped(name, folded))
    return nested(packages)


def nested(packages: Sequence[Package]) -> Package:
    """Packages of one network, the smallest first, as one. Raises ValueError unless the coefficients of each are the
    first of the next one's."""
    tensors = zip(*(one.tensors for one in packages), strict=True)
    return Package(packages[-1].name, tuple(_nested(versions) for versions in tensors), len(packages))


def _nested(versions: Sequence[package.Tensor]) -> package.Tensor:
    largest = versions[-1]
    dtype = np.result_type(*(version.values for version in versions))
    if any((version.shape, version.transposed) != (largest.shape, largest.transposed) for version in versions):
        raise ValueError("the tensors of one network have the same shapes in all capacities")
    if largest.kind == "raw":
        if all(np.array_equal(version.values, largest.values) for version in versions):
            return largest
        return replace(largest, kind="each", values=np.concatenate([v.values.astype(dtype) for v in versions]))
    prefixes = [_prefix(version) for version in versions]
    whole = prefixes[-1]
    if not all(np.array_equal(prefix, whole[: len(prefix)]) for prefix in prefixes):
        raise ValueError("the coefficients of a capacity are not the first of the next one's")
    parts = tuple(map(len, prefixes))
    return package.Tensor(largest.shape, whole.astype(dtype), "prefix", transposed=largest.transposed, parts=parts)


def _prefix(tensor: package.Tensor) -> package.Values:
    """The coefficients from the first on, zeros among them too."""
    if tensor.positions is None:
        return tensor.values
    values = np.zeros(int(tensor.positions[-1]) + 1, tensor.values.dtype)
    values[tensor.positions] = tensor.values
    return values


def neutral(tensor: package.Tensor) -> bool:
    """Whether it is of ones or of zeros in every capacity: a factor or a term that does nothing."""
    return tensor.kind in ("raw", "each") and bool((tensor.numbers == 0).all() or (tensor.numbers == 1).all())
