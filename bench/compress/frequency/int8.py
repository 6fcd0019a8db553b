"""Coefficients in 8 bits: the integer multiples of one scale for each weight, where that pays."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from bench.compress.frequency import layers, package
from bench.errors import UsageError

ERROR = 0.02
"""Of a weight, by the root of its mean square: 8 bits that are farther off than this do not pay where float16 fits."""
FEWEST = 3
"""Coefficients of a weight for which a byte each and the scale's two are fewer than two bytes each."""


def pays(kept: int) -> bool:
    """Whether so many coefficients take fewer bytes in 8 bits."""
    return kept >= FEWEST


@torch.no_grad()
def rounded(values: Tensor) -> Tensor:
    """The nearest values in 8 bits, on the same device; float16 where no scale suits them."""
    scale = package.scale_of(float(values.abs().max()))
    return layers.steps(values, scale) * float(scale) if scale else values.half().to(values.dtype)


def rounding(network: nn.Module) -> Callable[[Tensor], Tensor]:
    """What `training.fit` computes with at the end of a training: coefficients as `quantize` will leave them, and
    everything else in float16. What is truncated meanwhile is followed."""
    sites = {id(site.coefficients): site for site in layers.sites(network).values() if site.compressed}

    def shipped(parameter: Tensor) -> Tensor:
        site = sites.get(id(parameter))
        half = parameter.half().to(parameter.dtype)
        if site is None or not pays(kept := site.frequency.kept):
            return half
        return torch.cat((rounded(parameter[:kept]), half[kept:]))

    return shipped


@torch.no_grad()
def quantize(network: nn.Module, fits: Callable[[nn.Module], bool]) -> None:
    """Round whatever is shipped of a compressed network, in place, coefficients to 8 bits where that pays.

    It does not where they are too few to make up for the scale, or so uneven that their steps are coarse: those weights
    stay float16, the coarsest first, as far as the network then still `fits`. Raises UsageError where it pays nowhere.
    """
    errors: dict[str, float] = {}
    sites = {site.name: site for site in layers.sites(network).values() if site.compressed}
    for name, site in sites.items():
        kept = site.coefficients[: site.frequency.kept]
        scale = package.scale_of(float(kept.abs().max()))
        if pays(len(kept)) and scale:
            errors[name] = float((rounded(kept) - kept).norm() / kept.norm())
            site.frequency.scale = scale
    for name in sorted(errors, key=lambda name: (-errors[name], name)):
        if errors[name] <= ERROR:
            break
        site = sites[name]
        before = site.frequency.scale
        site.frequency.scale = None
        if not fits(network):
            site.frequency.scale = before
    if all(site.frequency.scale is None for site in sites.values()):
        raise UsageError(
            "8 bits save nothing here: the weights keep too few coefficients each, or too uneven ones",
            "Ask for fr, whose coefficients are float16.",
        )
    layers.round_to_half(network)
