"""Compression of a network that is trained already: ranks from its weights, and factors nearest to them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor, nn

from bench.compress.target import Target
from bench.compress.tucker import factors, package, scaling
from bench.compress.tucker import ranks as evbmf
from bench.compress.tucker.method import FORMS, parsed
from bench.compress.tucker.ranks import Ranks
from bench.compress.tucker.scaling import Scaled
from bench.compress.tucker.sites import Found, Price, sites
from bench.errors import CorruptData, UsageError
from bench.networks.count import count
from bench.records import Progress
from bench.records import Tensor as Described


@dataclass(frozen=True, eq=False)
class Whole:
    """A network as it is, in evaluation, with one sample of each input; `title` is what messages call it."""

    module: nn.Module
    inputs: Sequence[Tensor]
    title: str
    found: Found = field(init=False)

    def __post_init__(self) -> None:
        found = sites(self.module, self.inputs)
        object.__setattr__(self, "found", found)
        if not found.sites:
            why = "".join(f"; {path or 'the layer'} {reason}" for path, reason in list(found.left.items())[:1])
            raise UsageError(
                f"{self.title} has no convolution or linear layer that tucker could factor{why}",
                "Name the Python of the network, or another method: half takes any.",
            )


def compress(
    network: nn.Module, inputs: Sequence[Tensor], target: str | None = None, title: str = "the network"
) -> nn.Module:
    """A copy of any trained `network` with its layers factored; `inputs` is one sample of each of its inputs.

    Batch norms stay as they are, and the copy is best tuned afterwards. Raises UsageError for a network without a layer
    to factor, for one whose weights are nothing but noise, and for a target that is none or out of reach.
    """
    whole = Whole(network.eval(), inputs, title)
    scaled = within(whole, asked_for(whole), None if target is None else parsed(target))
    return factors.factored(network, whole.found.sites, scaled.ranks)


def asked_for(whole: Whole, progress: Progress = lambda done, words: None) -> dict[str, Ranks]:
    """EVBMF's ranks of each site; of a side in which it finds nothing but noise, and of the last layer, all there are.

    What a small layer has learnt can look like noise: LeNet-5's first convolution does. Of its last layer, 10 × 500,
    EVBMF keeps a rank of 3, which costs 21 points (docs/methods.md). Raises UsageError, naming the
    first, where layers of noise are most of the network, and CorruptData for weights that are not finite.
    """
    found: dict[str, Ranks] = {}
    noise: dict[str, int] = {}
    last = list(whole.found.sites)[-1] if len(whole.found.sites) > 1 else None
    for number, (path, site) in enumerate(whole.found.sites.items()):
        weight, most = site.weight, Ranks(site.shape[1], site.shape[0])
        if not np.isfinite(weight).all():
            raise CorruptData(f"{site.name} holds values that are not finite", "Use an earlier state of the training.")
        ranks = evbmf.of_weight(weight)
        found[path] = most if path == last else Ranks(ranks.into or most.into, ranks.out or most.out)
        words = f"{found[path].into} of {most.into} channels in, {found[path].out} of {most.out} out"
        if ranks.out == 0 and (site.first or ranks.into == 0):
            noise[site.name] = weight.size
            words = "all channels, since no rank stands out of its noise"
        elif path == last:
            words = f"all {most.out} channels out, which are the answers"
        progress((number + 1) / len(whole.found.sites), f"{path or 'the layer'}: {words}")
    if 2 * sum(noise.values()) > sum(math.prod(site.shape) for site in whole.found.sites.values()):
        others = f" (and {len(noise) - 1} more)" if len(noise) > 1 else ""
        raise UsageError(
            f"{next(iter(noise))}{others} of {whole.title} looks untrained: EVBMF finds nothing in it but noise",
            "Tucker takes its ranks from trained weights: name them with --weights, or data to train with.",
        )
    return found


def within(whole: Whole, base: Mapping[str, Ranks], target: Target | None) -> Scaled:
    """The ranks `base` themselves, or scaled by one factor so that the network is as large as the target allows.
    Raises UsageError for a target out of reach, or where no layer becomes smaller."""
    found = whole.found.sites
    dense = scaling.price(found, {})
    if target is None:
        chosen = scaling.as_asked(found, base)
        if scaling.price(found, chosen) == dense:
            raise UsageError(
                f"no layer of {whole.title} becomes smaller at the ranks that EVBMF finds in its weights",
                f"Ask for a target. {FORMS}",
            )
        return Scaled(chosen, 1.0)
    amount, most, unit = _measure(whole, target)
    words = f"{most:,.0f} {unit}"
    if (now := amount(dense)) <= most:
        raise UsageError(
            f"{whole.title} as it is has {now:,.0f} {unit}, no more than the {most:,.0f} of the target",
            "Ask for a smaller one, or measure it with the method half.",
        )
    scaled = scaling.fitting(found, base, lambda price: amount(price) / most)
    if scaled is None:
        least = amount(scaling.price(found, scaling.as_asked(found, dict.fromkeys(found, Ranks(1, 1)))))
        suffix = {"bytes": "B", "multiply-adds": "MAC"}.get(unit, "")
        raise UsageError(
            f"{whole.title} cannot be factored down to {words}: with ranks of 1 everywhere it has {least:,.0f}",
            f"Ask for {least:,.0f}{suffix} or more.",
        )
    return scaled


def _measure(whole: Whole, target: Target) -> tuple[Callable[[Price], float], float, str]:
    """How much of what a target counts a network has, by the price of its sites; how much it may have; its unit."""
    dense = scaling.price(whole.found.sites, {})
    if target.kind in ("macs", "mac ratio"):
        all_ = count(whole.module, [_described(one) for one in whole.inputs]).macs
        most = target.amount if target.kind == "macs" else all_ / target.amount
        return (lambda price: all_ - dense.macs + price.macs), most, "multiply-adds"
    beside, rest = package.overhead(whole.module, whole.inputs, whole.found)
    if target.kind == "bytes":
        return (lambda price: beside + 2 * (rest + price.parameters)), target.amount, "bytes"
    parameters = sum(parameter.numel() for parameter in whole.module.parameters())
    most = int(2 * parameters / target.amount) if target.kind == "ratio" else target.amount
    return (lambda price: rest + price.parameters), most, "parameters"


def _described(sample: Tensor) -> Described:
    return Described(
        name="in", shape=tuple(sample.shape[1:]), dtype="float32" if sample.is_floating_point() else "int32"
    )
