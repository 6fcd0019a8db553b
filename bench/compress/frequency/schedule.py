"""Dynamic tail truncation: how a network gets from many coefficients to few while it is trained."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor, nn
from torch.optim import Optimizer

from bench.compress.frequency.layers import sites
from bench.errors import CorruptData

GAMMA = 0.01  # as published


class TailTruncation:
    """keep ← keep − γ (keep − target), for every site of a compressed network, at each `step`.

    Call it once an optimiser step, or once an epoch with a larger γ; it never acts by itself.

    A cut leaves the parameter and what an optimiser knows of it as they are: the vector keeps its length, position i
    stays the i-th coefficient of the order, and one beyond the cut has no influence and a gradient of zero.
    """

    def __init__(self, network: nn.Module, targets: Mapping[str, int], gamma: float = GAMMA) -> None:
        self._sites = sites(network)
        self._keep = {name: float(site.frequency.kept) for name, site in self._sites.items()}
        self._targets = dict(targets)
        self._gamma = gamma

    def step(self) -> None:
        for name in self._sites:
            self._keep[name] -= self._gamma * (self._keep[name] - self._targets[name])
            self._cut(name)

    def _cut(self, name: str) -> None:
        frequency = self._sites[name].frequency
        # Less than one coefficient above the target counts as there: the series alone never arrives.
        kept = max(self._targets[name], math.floor(self._keep[name]))
        if kept < frequency.kept:
            frequency.truncate(kept)

    @property
    def kept(self) -> int:
        """Coefficients that the whole network keeps now."""
        return sum(site.frequency.kept for site in self._sites.values())

    @property
    def finished(self) -> bool:
        return all(site.frequency.kept <= self._targets[name] for name, site in self._sites.items())

    def finish(self, optimiser: Optimizer | None = None) -> None:
        """Cut what is still above the target, and drop the coefficients that were cut.

        Drops them from the state of `optimiser` too, which then goes on as if they had never been.
        """
        for name, site in self._sites.items():
            self._keep[name] = self._targets[name]
            self._cut(name)
            vector, kept = site.coefficients, site.frequency.kept
            state = {} if optimiser is None else optimiser.state.get(vector, {})
            for key, value in state.items():
                if isinstance(value, Tensor) and value.shape == vector.shape:
                    state[key] = value[:kept].clone()
            vector.grad, vector.data = None, vector.data[:kept].clone()

    def state_dict(self) -> dict[str, float]:
        """How far the schedule is: per site, the exact `keep` of the formula."""
        return dict(self._keep)

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Go on from `state`, of a network that was compressed to as many coefficients as this one.

        Raises CorruptData for a state of another network.
        """
        if state.keys() != self._keep.keys():
            raise CorruptData("the state of the tail truncation belongs to another network", "Start the training over.")
        for name, keep in state.items():
            self._keep[name] = keep
            self._cut(name)
