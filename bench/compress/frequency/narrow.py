"""An FR network with its wide spaces computed at fewer points than they have channels, in torch (docs/resident.md)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.compress.frequency import factor, layers, quadrature
from bench.compress.frequency.quadrature import Quadrature
from bench.errors import ExportRefused

Source = tuple[str | None, int]
"""Of a layer's input: the layer whose output these channels are, None where that is wide; and how many channels."""
Scheme = Callable[[str, int], Quadrature]
"""The points of a layer's output, by its name and their number."""


@dataclass(frozen=True)
class Narrowing:
    """How an FR network is computed at less than its width; layers are named by their weights.

    `points`: at how many points the output of a layer is computed, where that is fewer than its channels; `reads`: of
    what a layer's input consists, where that has such an output in it; `forms`: of each layer that has a choice.
    """

    points: Mapping[str, int]
    reads: Mapping[str, tuple[Source, ...]]
    forms: Mapping[str, str] = field(default_factory=dict)

    def text(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def parse(cls, text: str) -> Narrowing:
        """What `text` gave."""
        held = json.loads(text)
        reads = {name: tuple((maker, int(count)) for maker, count in parts) for name, parts in held["reads"].items()}
        return cls(held["points"], reads, held["forms"])


class _PerImage(nn.Module):
    """An instance norm without parameters, of any number of channels."""

    def __init__(self, epsilon: float) -> None:
        super().__init__()
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        return F.instance_norm(x, eps=self.epsilon)


def narrowed(
    network: nn.Module, narrowing: Narrowing, scheme: Scheme = lambda name, count: quadrature.equal(count)
) -> nn.Module:
    """A copy of a compressed network that computes what the narrowing says, each layer through its factors.

    What is between layers has to treat each channel by itself, as it does wherever an exported graph can be narrowed.
    """
    plain = layers.decoded(network)
    for name, site in layers.sites(network).items():
        if not (site.compressed and site.factorable):
            continue
        inner, core, outer = factor.factors(site, site.shape)
        held = cast(Tensor | None, site.module.bias)
        bias = None if held is None or name in narrowing.points else nn.Parameter(held.detach())
        if name in narrowing.points:  # and a norm takes its bias away, or it would have all its channels
            at = scheme(name, narrowing.points[name])
            outer = _tensor(quadrature.columns(outer.shape[0], outer.shape[1], at.points), outer)
        if name in narrowing.reads:
            inner = _inner(inner, narrowing, narrowing.reads[name], scheme)
        made = factor.Factored(site.module, factor.Fixed((inner, core, outer)), bias)
        plain = layers.placed(plain, site.path, made)
    for path, module in list(plain.named_modules()):
        if isinstance(module, nn.InstanceNorm2d) and not (module.affine or module.track_running_stats):
            plain = layers.placed(plain, path, _PerImage(module.eps))
    return plain.eval()


def _inner(whole: Tensor, narrowing: Narrowing, parts: tuple[Source, ...], scheme: Scheme) -> Tensor:
    rank, total = whole.shape
    if sum(channels for _, channels in parts) != total:
        raise ExportRefused(f"a layer of {total} inputs cannot read {parts}")
    made, first = [], 0
    for maker, channels in parts:
        if maker in narrowing.points and maker is not None:
            at = scheme(maker, narrowing.points[maker])
            made.append(_tensor(quadrature.rows(total, rank, first, channels, at), whole))
        else:
            made.append(whole[:, first : first + channels])
        first += channels
    return torch.cat(made, 1)


def _tensor(values: quadrature.Reals, like: Tensor) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).to(like)
