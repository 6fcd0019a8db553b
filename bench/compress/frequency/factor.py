"""The Tucker form of an FR network in torch: every layer is 1×1 → small core → 1×1, the same function exactly.

What a layer learns is its small core, so a network can be trained in this form at a fraction of the cost. And since
the columns of a smaller DCT sample the same cosines at fewer points, the coefficients of a wide network are, but for
the coarser sampling, those of a narrow one: a *twin* with fewer channels learns them cheaper still.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from itertools import chain
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.compress.frequency import dct, layers
from bench.compress.frequency.layers import Site
from bench.errors import UsageError

Factors = tuple[Tensor, Tensor, Tensor]
"""Inner (r_in, n_in), core as the layer's own kind of weight but of r_in and r_out channels, outer (n_out, r_out)."""


class Fixed(nn.Module):
    """Factors that stay as they are."""

    def __init__(self, factors: Factors) -> None:
        super().__init__()
        self.inner, self.core, self.outer = (nn.Parameter(factor.detach()) for factor in factors)

    def forward(self) -> Factors:
        return self.inner, self.core, self.outer


class _Learnt(nn.Module):
    """The factors of a compressed site, now, as a layer with the channels of `shape`."""

    def __init__(self, site: Site, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.layer = site.module  # so that its parameters are found
        self.site, self.shape = site, shape

    def forward(self) -> Factors:
        return factors(self.site, self.shape)


class Factored(nn.Module):
    """What `layer` does, with the weight that `factors` make."""

    def __init__(self, layer: nn.Module, factors: Fixed | _Learnt, bias: Tensor | None) -> None:
        super().__init__()
        self.factors = factors
        self.bias = bias
        self._core: Callable[[Tensor, Tensor], Tensor] = F.linear
        if isinstance(layer, nn.ConvTranspose2d):
            options: dict[str, Any] = {name: getattr(layer, name) for name in ("stride", "padding", "dilation")}
            more = layer.output_padding
            self._core = lambda x, core: F.conv_transpose2d(x, core, output_padding=more, **options)
        elif isinstance(layer, nn.Conv2d):
            options = {name: getattr(layer, name) for name in ("stride", "padding", "dilation")}
            # Padding belongs to the core: a 1×1 convolution without bias maps zero to zero.
            self._core = lambda x, core: F.conv2d(x, core, **options)

    def forward(self, x: Tensor) -> Tensor:
        inner, core, outer = self.factors()
        if core.dim() == 2:
            return F.linear(self._core(F.linear(x, inner), core), outer, self.bias)
        return F.conv2d(self._core(F.conv2d(x, inner[..., None, None]), core), outer[..., None, None], self.bias)


def factored(network: nn.Module) -> nn.Module:
    """A copy of a compressed network with each layer as its three factors; one that cannot be factored stays dense."""
    plain = layers.decoded(network)
    for site in layers.sites(network).values():
        if site.compressed and site.factorable:
            bias = None if site.module.bias is None else nn.Parameter(cast(Tensor, site.module.bias).detach())
            made = Factored(site.module, Fixed(factors(site, site.shape)), bias)
            plain = layers.placed(plain, site.path, made)
    return plain


def learner(network: nn.Module, twin: nn.Module | None = None) -> nn.Module:
    """A network that computes what a compressed `network` does through its factors, and has the very same parameters:
    what one learns, the other has learnt. It follows when `network` is truncated.

    With a `twin`, a network like it but for fewer channels, it computes in those: nearly the same, much faster.
    Raises UsageError for a twin of other layers, and for one of a network with parameters beside its coefficients,
    which no narrower layer can share.
    """
    shared = {id(held): held for held in chain(network.parameters(), network.buffers())}
    made = copy.deepcopy(network, shared) if twin is None else copy.deepcopy(twin)
    places = layers.sites(made)
    found = {name: site for name, site in layers.sites(network).items() if site.compressed}
    only = all(site.factorable for site in found.values()) and len(list(network.parameters())) == len(found)
    if twin is not None and (places.keys() != found.keys() or not only):
        raise UsageError(
            "a network learns through a narrower one only if both have the same layers and nothing but coefficients",
            "Leave biases and affine norms out, or train without a twin.",
        )
    for name, site in found.items():
        if site.factorable:
            bias = cast(nn.Parameter | None, site.module.bias)
            made = layers.placed(made, site.path, Factored(site.module, _Learnt(site, places[name].shape), bias))
        else:
            made = layers.placed(made, site.path, site.module)
    return made


def factors(site: Site, shape: tuple[int, ...]) -> Factors:
    """The factors of a compressed site as a layer with the channels of `shape`; differentiable."""
    core = site.frequency.core(site.coefficients)
    for matrix in site.frequency.bases()[2:]:
        core = torch.tensordot(core, matrix, dims=([2], [1]))
    (n_out, r_out), (n_in, r_in) = [(site.shape[axis], core.shape[axis]) for axis in (0, 1)]
    m_out, m_in = shape[:2]
    if site.transposed:
        n_out, r_out, m_out, n_in, r_in, m_in = n_in, r_in, m_in, n_out, r_out, m_out
    # Sums over fewer channels are made as large as the whole ones, and each channel's value stays what it was.
    inner = _columns(m_in, r_in, core) * math.sqrt(n_in / m_in)
    return inner.T, core, _columns(m_out, r_out, core) * math.sqrt(m_out / n_out)


def _columns(n: int, count: int, like: Tensor) -> Tensor:
    return torch.tensor(dct.basis(n, count)).to(like)
