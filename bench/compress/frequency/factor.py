"""The Tucker form of an FR network in torch: every layer is 1×1 → small core → 1×1, the same function exactly."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bench.compress.frequency import layers
from bench.compress.frequency.package import Factors, Tensor, factors
from bench.errors import UsageError


def factored(network: nn.Module) -> nn.Module:
    """A copy of a compressed network with each layer as its three factors. Raises UsageError for grouped layers."""
    plain = layers.decoded(network)
    for name, site in layers.sites(network).items():
        bias = cast(nn.Parameter | None, site.module.bias)
        kept = site.coefficients.detach()[: site.frequency.kept].numpy()
        parts = factors(Tensor(site.frequency.shape, kept, "prefix", transposed=site.transposed))
        plain.set_submodule(site.path, _chain(name, site.module, parts, None if bias is None else bias.detach()))
    return plain


def _chain(name: str, layer: nn.Module, parts: Factors, bias: torch.Tensor | None) -> nn.Sequential:
    (r_in, n_in), (n_out, r_out) = parts.inner.shape, parts.outer.shape
    inner: nn.Module
    core: nn.Module
    outer: nn.Module
    values = parts.core
    if isinstance(layer, nn.Linear):
        inner, core = nn.Linear(n_in, r_in, bias=False), nn.Linear(r_in, r_out, bias=False)
        outer = nn.Linear(r_out, n_out, bias=bias is not None)
        return nn.Sequential(_fill(inner, parts.inner), _fill(core, values), _fill(outer, parts.outer, bias))
    if not isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) or layer.groups != 1 or layer.padding_mode != "zeros":
        raise UsageError(f"{name} cannot be factored: it is grouped or padded with something else than zeros")
    inner, outer = nn.Conv2d(n_in, r_in, 1, bias=False), nn.Conv2d(r_out, n_out, 1, bias=bias is not None)
    size: Any = layer.kernel_size
    options: dict[str, Any] = {name: getattr(layer, name) for name in ("stride", "padding", "dilation")}
    if isinstance(layer, nn.ConvTranspose2d):
        options["output_padding"] = layer.output_padding
        core = nn.ConvTranspose2d(r_in, r_out, size, bias=False, **options)
        values = values.swapaxes(0, 1)
    else:
        core = nn.Conv2d(r_in, r_out, size, bias=False, **options)
    pixelwise = parts.inner[:, :, None, None], parts.outer[:, :, None, None]
    return nn.Sequential(_fill(inner, pixelwise[0]), _fill(core, values), _fill(outer, pixelwise[1], bias))


def _fill(layer: nn.Module, weight: NDArray[np.float32], bias: torch.Tensor | None = None) -> nn.Module:
    state = {"weight": torch.tensor(weight)}
    layer.load_state_dict(state if bias is None else state | {"bias": bias})
    return layer
