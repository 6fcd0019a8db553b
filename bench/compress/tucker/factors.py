"""A layer as its factors: 1×1 → core → 1×1, as ordinary layers of torch that any runtime can export."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from bench.compress.tucker import decompose
from bench.compress.tucker.ranks import Ranks
from bench.compress.tucker.sites import DENSE, Site


def factored(network: nn.Module, found: Mapping[str, Site], ranks: Mapping[str, Ranks]) -> nn.Module:
    """A copy of `network` in which each site is the factors nearest to it at its ranks. Sites that `ranks` does not
    name, and those of `DENSE`, stay as they are."""
    made = copy.deepcopy(network)
    for path, wanted in ranks.items():
        if wanted != DENSE:
            layer = blank(found[path], wanted)
            _fill(layer, found[path], wanted)
            made = placed(made, path, layer)
    return made


def placed(network: nn.Module, path: str, layer: nn.Module) -> nn.Module:
    """`network` with `layer` at `path`, in place; `layer` itself where that is the whole network."""
    if not path:
        return layer.eval()
    layer.train(network.get_submodule(path).training)
    network.set_submodule(path, layer)
    return network


def blank(site: Site, ranks: Ranks) -> nn.Sequential:
    """The factors of a site with the seeded values that torch's layers begin with."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return nn.Sequential(*_layers(site, ranks))


def _layers(site: Site, ranks: Ranks) -> list[nn.Module]:
    out, into = site.shape[:2]
    module = cast(Any, site.module)
    bias = module.bias is not None
    if site.kind == "linear":
        return [nn.Linear(into, ranks.into, bias=False), nn.Linear(ranks.out, out, bias)]
    if site.kind == "flattened":
        kernel = (site.shape[2], site.shape[3])
        core = nn.Conv2d(ranks.into or into, ranks.out or out, kernel, bias=bias and not ranks.out)
        before = [nn.Conv2d(into, ranks.into, 1, bias=False)] if ranks.into else []
        behind = [nn.Linear(ranks.out, out, bias)] if ranks.out else []
        return [nn.Unflatten(1, site.shape[1:]), *before, core, nn.Flatten(), *behind]
    options: dict[str, Any] = {name: getattr(module, name) for name in ("stride", "padding", "dilation")}
    options["padding_mode"] = module.padding_mode
    kernel = module.kernel_size
    if site.kind == "transposed":
        options["output_padding"] = module.output_padding
        if site.matrix:
            point = nn.Conv2d(into, ranks.into, 1, bias=False)
            return [point, nn.ConvTranspose2d(ranks.out, out, kernel, bias=bias, **options)]
    elif site.matrix:
        return [nn.Conv2d(into, ranks.into, kernel, bias=False, **options), nn.Conv2d(ranks.out, out, 1, bias=bias)]
    kind = nn.ConvTranspose2d if site.kind == "transposed" else nn.Conv2d
    # What is padded belongs to the core: a 1×1 convolution without bias maps zero to zero, and each pixel by itself.
    core_layer = kind(ranks.into or into, ranks.out or out, kernel, bias=bias and not ranks.out, **options)
    first = [nn.Conv2d(into, ranks.into, 1, bias=False)] if ranks.into else []
    last = [nn.Conv2d(ranks.out, out, 1, bias=bias)] if ranks.out else []
    return [*first, core_layer, *last]


@torch.no_grad()
def _fill(layer: nn.Sequential, site: Site, ranks: Ranks) -> None:
    """The nearest factors to the site's weight, and its bias."""
    weight = site.weight
    if site.matrix:
        factors = [*decompose.svd(weight.reshape(weight.shape[:2]), ranks.out)]
    else:
        inner, core, outer = decompose.tucker2(weight, ranks)
        factors = [factor for factor in (inner, core, outer) if factor is not None]
    weighted = [cast(Any, part) for part in layer if hasattr(part, "weight")]
    for part, factor in zip(weighted, factors, strict=True):
        values = factor.swapaxes(0, 1) if isinstance(part, nn.ConvTranspose2d) else factor
        part.weight.copy_(torch.from_numpy(np.ascontiguousarray(values)).reshape(part.weight.shape))
    like = cast(Tensor, site.module.weight)
    layer.to(like.device, like.dtype)
    if site.module.bias is not None:
        weighted[-1].bias.copy_(site.module.bias)
    layer.requires_grad_(like.requires_grad)
