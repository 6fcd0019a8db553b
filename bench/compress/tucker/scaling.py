"""Which ranks a network gets within a target: those that its weights ask for, all of them scaled by one factor."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from bench.compress.tucker.ranks import Ranks
from bench.compress.tucker.sites import DENSE, Price, Site

_STEPS = 60
"""Of the bisection."""
_SPARE = 1.25
"""How far above its share a rank may be raised by what rounding has left over."""
_USED = 0.98
"""Of the target; where less is used, ranks may go further above their share."""

Chosen = dict[str, Ranks]
Side = tuple[str, str]
"""A site's path, and "into" or "out"."""


class Scaled(NamedTuple):
    """The factors of each site, and by what the ranks that its weights ask for were scaled."""

    ranks: Chosen
    factor: float


@dataclass
class _State:
    """Ranks that are wanted, what is taken of them, and what that costs."""

    sites: Mapping[str, Site]
    wanted: dict[Side, int]
    ranks: Chosen = field(default_factory=dict)
    prices: dict[str, Price] = field(default_factory=dict)
    parameters: int = 0
    macs: int = 0

    def __post_init__(self) -> None:
        for path in self.sites:
            self.update(path)

    def update(self, path: str) -> None:
        site, before = self.sites[path], self.prices.get(path, Price(0, 0))
        pair = Ranks(*(self.wanted.get((path, side), 0) for side in ("into", "out")))
        self.ranks[path] = site.chosen(Ranks(pair.out, pair.out) if site.matrix else pair)
        self.prices[path] = now = site.price(self.ranks[path])
        self.parameters += now.parameters - before.parameters
        self.macs += now.macs - before.macs

    @property
    def price(self) -> Price:
        return Price(self.parameters, self.macs)


def fitting(sites: Mapping[str, Site], base: Mapping[str, Ranks], use: Callable[[Price], float]) -> Scaled | None:
    """The largest network whose use of the target is no more than 1; None where even ranks of 1 use more.

    `use` is of the price of all sites together, and `base` has the ranks that weights ask for. What room the one factor
    leaves is given away rank by rank, to those first that rounding cut most.
    """
    shares = _shares(sites, base)
    most = {side: _most(sites[side[0]], side[1]) for side in shares}

    def at(factor: float) -> _State:
        wanted = {side: min(most[side], max(1, round(factor * share))) for side, share in shares.items()}
        return _State(sites, wanted)

    low, high = 0.0, max(most[side] / share for side, share in shares.items())
    if use(at(low).price) > 1:
        return None
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if use(at(middle).price) <= 1 else (low, middle)
    state = at(low)
    for spare in (_SPARE, math.inf):
        if use(state.price) < _USED or spare == _SPARE:
            _spend(state, {side: low * share for side, share in shares.items()}, most, spare, use)
    return Scaled(dict(state.ranks), low)


def _spend(
    state: _State, shares: Mapping[Side, float], most: Mapping[Side, int], spare: float, use: Callable[[Price], float]
) -> None:
    """Raise ranks one by one, the one that is least of its share first, while the target allows it."""
    open_ = {side for side in shares if state.wanted[side] < min(most[side], spare * shares[side] + 1)}
    while open_:
        side = min(open_, key=lambda side: ((state.wanted[side] + 1) / max(shares[side], 1e-9), side))
        state.wanted[side] += 1
        state.update(side[0])
        if use(state.price) > 1:
            state.wanted[side] -= 1
            state.update(side[0])
            open_.discard(side)
        elif state.wanted[side] >= min(most[side], spare * shares[side] + 1):
            open_.discard(side)


def as_asked(sites: Mapping[str, Site], base: Mapping[str, Ranks], factor: float = 1) -> Chosen:
    """The factors at these ranks times `factor`."""
    return {
        path: site.chosen(Ranks(*(max(1, round(factor * rank)) for rank in base[path]))) for path, site in sites.items()
    }


def price(sites: Mapping[str, Site], ranks: Mapping[str, Ranks]) -> Price:
    """Of all sites together."""
    prices = [site.price(ranks.get(path, DENSE)) for path, site in sites.items()]
    return Price(sum(one.parameters for one in prices), sum(one.macs for one in prices))


def _shares(sites: Mapping[str, Site], base: Mapping[str, Ranks]) -> dict[Side, int]:
    """What each side asks for; of a layer with one rank, and of the first, only its output side."""
    found: dict[Side, int] = {}
    for path, site in sites.items():
        for side in ("out",) if site.matrix or site.first else ("into", "out"):
            found[path, side] = max(1, getattr(base[path], side))
    return found


def _most(site: Site, side: str) -> int:
    return int(getattr(site.most, side))
