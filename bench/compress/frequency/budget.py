"""Which weight keeps how many coefficients of a network's total: equally, or by energy. `sensitivity` measures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from torch import nn

from bench.compress.frequency.layers import Site, sites
from bench.errors import UnknownName, UsageError

Split = Callable[[int], dict[str, int]]
"""From a total to the coefficients that each site keeps, at least one each; they sum to the total."""


def sizes(network: nn.Module) -> dict[str, int]:
    """Per site, how many coefficients it can keep: those it has, when it is compressed, else as many as weights."""
    return {
        name: site.frequency.kept if site.compressed else math.prod(site.shape) for name, site in sites(network).items()
    }


def check(total: int, of: Mapping[str, int]) -> None:
    """Raises UsageError unless every site can keep at least one of `total` coefficients, and they have that many."""
    if not len(of) <= total <= sum(of.values()):
        raise UsageError(
            f"{total:,} coefficients cannot be shared among {len(of)} tensors with {sum(of.values()):,} weights",
            f"Ask for between {len(of)} and {sum(of.values()):,}.",
        )


def budget(name: str, network: nn.Module) -> Split:
    """The budget of that name for `network`: `uniform`, as published, or `energy`. Raises UnknownName."""
    if name == "uniform":
        of = sizes(network)
        return lambda total: uniform(of, total)
    if name == "energy":
        return energy(network)
    raise UnknownName.of("budget", name, ("uniform", "energy"))


def uniform(sizes: Mapping[str, int], total: int) -> dict[str, int]:
    """`total` coefficients shared equally over tensors of these sizes, as published.

    What a small tensor cannot use goes to the others; what does not divide goes to the first ones.
    Raises UsageError unless len(sizes) ≤ total ≤ the sum of sizes.
    """
    check(total, sizes)
    kept: dict[str, int] = {}
    for name in sorted(sizes, key=lambda name: sizes[name]):
        kept[name] = min(sizes[name], math.ceil((total - sum(kept.values())) / (len(sizes) - len(kept))))
    return {name: kept[name] for name in sizes}


class _Segment(NamedTuple):
    """A run of coefficients of one site that are worth the same each."""

    slope: float
    length: int
    name: str


def energy(network: nn.Module) -> Split:
    """Water filling, without data: the prefixes for which the product of all weights' shares of energy is largest.

    A weight's share is Σ C² over its prefix to Σ C² over all; a signal goes through all layers, so shares multiply. The
    best total is taken along the upper concave envelope of each site's log share, level by level.
    """
    segments: list[_Segment] = []
    for name, site in sites(network).items():
        ends = _envelope(*_shares(site))
        segments += [
            _Segment((value - before) / (end - start), end - start, name)
            for (start, before), (end, value) in pairwise(ends)
        ]
    # Sorting is stable: among equals the network's own order decides.
    segments.sort(key=lambda segment: -segment.slope)
    of = sizes(network)

    def split(total: int) -> dict[str, int]:
        check(total, of)
        kept = dict.fromkeys(of, 1)
        left = total - len(kept)
        for _, length, name in segments:
            taken = min(length, left)
            kept[name] += taken
            left -= taken
        return kept

    return split


def _shares(site: Site) -> tuple[list[int], list[float]]:
    """Prefix lengths, ascending from 1 to all, and the log of the share of energy in each."""
    if site.compressed:
        squares = site.coefficients.detach()[: site.frequency.kept].double().square().cpu().numpy()
        ends = np.arange(1, len(squares) + 1)
    else:
        import scipy.fft  # of this budget alone

        coefficients = scipy.fft.dctn(site.plain.detach().float().cpu().numpy(), norm="ortho")
        levels = np.asarray(sum(np.indices(site.shape, sparse=True))).ravel()
        squares = np.bincount(levels, np.square(coefficients, dtype=np.float64).ravel())
        ends = np.cumsum(np.bincount(levels))
    captured = np.cumsum(squares)
    # A weight that is zero has nothing to lose.
    share = captured / captured[-1] if captured[-1] > 0 else np.ones(len(captured))
    return ends.tolist(), np.log(np.maximum(share, 1e-12)).tolist()


def _envelope(ends: list[int], values: list[float]) -> list[tuple[int, float]]:
    """The points of the least concave curve that is nowhere below the given one."""
    hull: list[tuple[int, float]] = []
    for end, value in zip(ends, values, strict=True):
        while len(hull) > 1 and _slope(hull[-2], hull[-1]) <= _slope(hull[-2], (end, value)):
            hull.pop()
        hull.append((end, value))
    return hull


def _slope(a: tuple[int, float], b: tuple[int, float]) -> float:
    return (b[1] - a[1]) / (b[0] - a[0])
