"""How large a network is, compressed and not: numbers and bytes, by the very file that would be shipped."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
from torch import Tensor, nn

from bench.compress.frequency import package
from bench.compress.frequency.int8 import pays
from bench.compress.frequency.layers import Site, parts, shipped, sites, tensor_of


@dataclass(frozen=True)
class Size:
    """Of one network. `weights` are the values of the weights that FR compresses, `coefficients` what is kept of them
    (a site that is not compressed keeps all), `rest` the values of everything else: biases, norms, running statistics.

    `bytes` is the `.frq` file, whole; `ordinary_bytes` the same file with every weight and the rest as float32.
    """

    weights: int
    coefficients: int
    rest: int
    bytes: int
    ordinary_bytes: int

    @property
    def coefficient_ratio(self) -> float:
        """Weights for each coefficient that is kept."""
        return self.weights / self.coefficients

    @property
    def byte_ratio(self) -> float:
        """File to file, in the same container, all that the network needs on both sides."""
        return self.ordinary_bytes / self.bytes


def count(network: nn.Module, name: str = "") -> Size:
    """The size of a network, compressed or not. `name` is the one that its package will carry."""
    found = sites(network)
    kept = {site.name: site.frequency.kept for site in found.values() if site.compressed}
    coefficients = sum(kept.get(site.name, math.prod(site.shape)) for site in found.values())
    rest = sum(part.numel() for _, part in parts(network) if not isinstance(part, Site))
    weights = sum(math.prod(site.shape) for site in found.values())
    written = len(package.write(shipped(name, network)))
    return Size(weights, coefficients, rest, written, _ordinary_bytes(network, name))


def planned_bytes(network: nn.Module, kept: Mapping[str, int], name: str = "", *, int8: bool = False) -> int:
    """The bytes that the package of `network` has with `kept[site]` coefficients, in float16, or in 8 bits where that
    pays, and none of them zero; a site that `kept` does not name is shipped as it is. Its other values take what they
    need now."""
    tensors = (
        _blank(part, kept[part.name], np.int8 if int8 and pays(kept[part.name]) else np.float16, "prefix")
        if isinstance(part, Site) and part.name in kept
        else tensor_of(part)
        for _, part in parts(network)
    )
    return len(package.write(package.Package(name, tuple(tensors))))


def _ordinary_bytes(network: nn.Module, name: str) -> int:
    tensors = (_blank(part, math.prod(part.shape), np.float32, "raw") for _, part in parts(network))
    return len(package.write(package.Package(name, tuple(tensors))))


def _blank(
    part: Site | Tensor, count: int, dtype: type[np.float16 | np.float32 | np.int8], kind: package.Kind
) -> package.Tensor:
    values = cast(package.Values, np.zeros(count, dtype))
    transposed = isinstance(part, Site) and part.transposed
    return package.Tensor(
        tuple(part.shape) or (1,), values, kind, vector=not isinstance(part, Site), transposed=transposed,
        scale=np.float16(1) if dtype is np.int8 else None,
    )  # fmt: skip
