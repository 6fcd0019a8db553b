"""Compression of a network that is trained already: its weights' DCT, truncated. Takes no data and no training."""

from __future__ import annotations

from torch import nn

from bench.compress.frequency import layers
from bench.compress.frequency import target as targets
from bench.compress.frequency.budget import Split
from bench.compress.frequency.budget import budget as named
from bench.compress.target import Target


def compress(
    network: nn.Module,
    target: str | Target,
    budget: str | Split = "energy",
    *,
    name: str = "",
    parameters: int | None = None,
) -> dict[str, int]:
    """Make every weight of any `network` the truncated DCT nearest to it, in place; returns what each site keeps.

    `budget` is the name of one, or one made before (`sensitivity`). Biases and norms stay as they are: running
    statistics of batch norms are best taken anew from a few inputs afterwards, or by a fine-tuning. Raises UsageError,
    with nothing changed, for a target that is no target or out of this network's reach, and for a network that cannot
    be compressed (`layers.compress`); UnknownName. For `name` and `parameters` see `target.kept`.
    """
    layers.check(network)
    split = named(budget, network) if isinstance(budget, str) else budget
    wanted = targets.parsed(target) if isinstance(target, str) else target
    kept = targets.kept(wanted, network, split, name=name, parameters=parameters)
    layers.compress(network, kept)
    return kept
