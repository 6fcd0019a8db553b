"""Networks that round to steps, as quantised ones do: how far their answers are decided by values beside a step's edge.

A runtime in float32 computes a value that lies on the edge between two steps a little differently, and rounds it to the
other step: no error, and more than rounding elsewhere. How much more depends on the network, so it is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.export import eager
from bench.export.answers import Answers
from bench.tolerance import ROUNDING

_TIMES = 3
"""How often the network is asked again, each time with other deviations."""
_MARGIN = 2.0
"""A few trials do not find the largest change that there can be."""


class Rounding(nn.Module):
    """Rounds to whole numbers in -levels…levels, halves away from zero; what is beyond is the last of them."""

    def __init__(self, levels: int = 127) -> None:
        super().__init__()
        self.levels = levels
        self.deviations: torch.Generator | None = None
        """While it is set, values are moved first by as much as a float32 runtime may compute them differently."""

    def forward(self, values: Tensor) -> Tensor:
        if self.deviations is not None:
            moved = 2 * torch.rand(values.shape, generator=self.deviations) - 1
            values = values + ROUNDING * self.levels * moved
        limited = values.clamp(-self.levels, self.levels)
        return torch.sign(limited) * torch.floor(limited.abs() + 0.5)


def doubt(network: nn.Module, samples: Sequence[NDArray[Any]], found: Answers) -> tuple[NDArray[np.float32], ...]:
    """By how much each sample's answers may differ because steps were decided otherwise: for each output (N,), nothing
    for a network without a `Rounding`.

    It is twice the largest change of any value of that output when all that is rounded is moved at random by at most
    `tolerance.ROUNDING` of its range. `found` is what the network answers to `samples`.
    """
    parts = [part for part in network.modules() if isinstance(part, Rounding)]
    if not parts:
        return ()
    largest = [np.zeros(len(values), np.float32) for values in found.values]
    for seed in range(_TIMES):
        for part in parts:
            part.deviations = torch.Generator().manual_seed(seed)
        try:
            for number in range(len(samples[0])):
                with torch.no_grad():
                    moved = [tensor for _, tensor in eager.leaves(network(*eager.arguments(samples, number)))]
                for change, values, now in zip(largest, found.values, moved, strict=True):
                    delta = np.abs(now.float().numpy().reshape(values[number].shape) - values[number]).max()
                    change[number] = max(change[number], delta)
        finally:
            for part in parts:
                part.deviations = None
    return tuple(_MARGIN * change for change in largest)
