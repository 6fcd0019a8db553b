"""Networks that round to steps, as quantised ones do, or that choose by a threshold: how far their answers are decided
by values beside an edge.

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

from bench.errors import ExportRefused
from bench.export import eager
from bench.export.answers import Answers

DEVIATION = 1e-6
"""Of the range that is rounded: how differently two runtimes compute a value in float32, some eight units in its last
place. (`tolerance.ROUNDING` is of a whole network; here each layer rounds anew, and nothing adds up between them.)"""
_TIMES, _RUNS = 3, 24
"""How often the network is asked again for each sample, and at least for all together, with other deviations."""
_SMALLEST = float(np.finfo(np.float32).tiny)
_MARGIN = 2.0
"""A few trials do not find the largest change that there can be."""
_TOLD, _MOST = 0.01, 0.25
"""Of a sample's largest value: beyond the first, how little a comparison proves is said; beyond the second it would
pass answers of a wrong kernel too."""


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
            values = values + DEVIATION * self.levels * moved
        limited = values.clamp(-self.levels, self.levels)
        return torch.sign(limited) * torch.floor(limited.abs() + 0.5)


class Gate(nn.Module):
    """Whether values are below a threshold, of which a network makes a choice, sample by sample."""

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold
        self.side = 0
        """1 or -1: the threshold is taken as high, or as low, as values beside it may be off."""
        self.watched, self.close = False, False
        """While it is watched: whether any value was so close that it may be decided otherwise."""

    def forward(self, values: Tensor, off: Tensor) -> Tensor:
        """Of `values` (N,), how far each may be `off` in another runtime, (N,)."""
        if self.watched:
            self.close = bool(((values - self.threshold).abs() <= off).any())
        return values < self.threshold + self.side * off


def doubt(network: nn.Module, samples: Sequence[NDArray[Any]], found: Answers) -> tuple[NDArray[np.float32], ...]:
    """By how much each sample's answers may differ because steps were decided otherwise: for each output (N,), nothing
    for a network without a `Rounding`.

    Of rounding it is twice the largest change of any value of that output, as a share of the sample's largest value,
    that any sample shows when all that is rounded is moved at random by at most DEVIATION of its range. `found` is what
    the network answers to `samples`. Of a `Gate` it is how far the answer to that very sample changes where its value
    is so close to the threshold that rounding may decide it: nothing for all others.
    """
    rounded, chosen = _rounded(network, samples, found), _chosen(network, samples, found)
    if not rounded or not chosen:
        return rounded or chosen
    return tuple(one + other for one, other in zip(rounded, chosen, strict=True))


def _chosen(network: nn.Module, samples: Sequence[NDArray[Any]], found: Answers) -> tuple[NDArray[np.float32], ...]:
    gates = [part for part in network.modules() if isinstance(part, Gate)]
    if not gates:
        return ()
    doubts = [np.zeros(len(values), np.float32) for values in found.values]
    for number in range(len(samples[0])):
        for gate in gates:
            gate.watched = True
        _now(network, samples, number)
        for gate in gates:
            gate.watched = False
        if not any(gate.close for gate in gates):
            continue
        for side in (-1, 1):
            for gate in gates:
                gate.side = side
            moved = _now(network, samples, number)
            for gate in gates:
                gate.side = 0
            for own, values, now in zip(doubts, found.values, moved, strict=True):
                own[number] = max(
                    own[number], np.abs(now.float().numpy().reshape(values[number].shape) - values[number]).max()
                )
    return tuple(doubts)


def _now(network: nn.Module, samples: Sequence[NDArray[Any]], number: int) -> list[Tensor]:
    """What it answers to one sample."""
    with torch.no_grad():
        return [tensor for _, tensor in eager.leaves(network(*eager.arguments(samples, number)))]


def _rounded(network: nn.Module, samples: Sequence[NDArray[Any]], found: Answers) -> tuple[NDArray[np.float32], ...]:
    parts = [part for part in network.modules() if isinstance(part, Rounding)]
    if not parts:
        return ()
    whole = [np.abs(values).reshape(len(values), -1).max(1) for values in found.values]
    shares = [0.0] * len(whole)
    for seed in range(max(_TIMES, -(-_RUNS // len(samples[0])))):
        for part in parts:
            part.deviations = torch.Generator().manual_seed(seed)
        try:
            for number in range(len(samples[0])):
                moved = _now(network, samples, number)
                for output, (values, now) in enumerate(zip(found.values, moved, strict=True)):
                    delta = np.abs(now.float().numpy().reshape(values[number].shape) - values[number]).max()
                    shares[output] = max(shares[output], float(delta / max(whole[output][number], _SMALLEST)))
        finally:
            for part in parts:
                part.deviations = None
    return tuple(np.float32(_MARGIN * share) * each for share, each in zip(shares, whole, strict=True))


def loose(title: str, found: Answers) -> str | None:
    """A sentence for answers that can only be held to much more than rounding. Raises ExportRefused where that is so
    much that holding them to it proves nothing: of the median sample, since a choice by a threshold is in doubt for the
    few that are beside it."""
    pairs = list(zip(found.values, found.doubts, strict=False))
    whole = [np.abs(values).reshape(len(values), -1).max(1) for values, _ in pairs]
    shares = [
        float(np.median(doubt / np.maximum(most, _SMALLEST))) for (_, doubt), most in zip(pairs, whole, strict=True)
    ]
    share = max(shares, default=0.0)
    if share > _MOST:
        raise ExportRefused(
            f"the answers of {title} depend on which way values on the edge of a step are rounded, by {share:.0%} of "
            "the largest, so no comparison with torch would tell a right kernel from a wrong one",
            "Ask for int8-weights, whose arithmetic is float, or quantise a trained network.",
        )
    if share > _TOLD:
        return (
            f"its answers are held to those of torch within {share:.1%} of a sample's largest: by so much they "
            "depend on which way values on the edge of a step are rounded"
        )
    return None
