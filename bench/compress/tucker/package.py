"""A safetensors file with a factored network: the ranks of its layers, all its parameters as float16 in one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from bench.compress import fuse, row, tensors
from bench.compress.tucker import factors
from bench.compress.tucker.ranks import Ranks
from bench.compress.tucker.sites import DENSE, Found, sites
from bench.errors import UsageError
from bench.networks import Network
from bench.networks.count import examples

RANKS = "ranks"


def write(network: Network, found: Found, ranks: Mapping[str, Ranks], made: nn.Module) -> bytes:
    """The package of `made`, which is the network with its sites `found` at these ranks. Batch norms are folded into
    the expansions before them first. Raises UsageError for values that float16 cannot hold, CorruptData for others that
    are not finite."""
    held = row.held_of(fuse.fused(made, examples(network.inputs)), _blank(network, found, ranks))
    told = torch.tensor([number for path in found.sites for number in ranks.get(path, DENSE)], dtype=torch.int32)
    return tensors.pack({RANKS: told, **held})


def read(network: Network, package: bytes) -> tuple[nn.Module, Found, dict[str, Ranks]]:
    """The module in evaluation that `write` got, with batch norms folded; the network's sites and their ranks. Raises
    UsageError for the package of another network and CorruptData for a damaged one."""
    held = tensors.unpack(package)
    if not {RANKS, row.VALUES} <= held.keys() or held[RANKS].dtype != torch.int32:
        raise UsageError("the package is not one of tucker", "Name the method that the package was made by.")
    found = sites(network.build(), examples(network.inputs))
    ranks = _fitting(network, found, held[RANKS].flatten().tolist())
    made = _blank(network, found, ranks)
    row.fill(made, held, (RANKS,))
    return made.eval(), found, ranks


def overhead(module: nn.Module, inputs: Sequence[Tensor], found: Found) -> tuple[int, int]:
    """Of any package of a network: bytes beside the parameters, at most, and parameters beside those of its sites."""
    folded = fuse.fused(module, inputs)
    total = sum(parameter.numel() for parameter in folded.parameters())
    kept = {row.BUFFER + name: torch.zeros_like(one) for name, one in row.buffers(folded).items()}
    values = torch.zeros(total, dtype=torch.float16)
    blank = {RANKS: torch.zeros(2 * len(found.sites), dtype=torch.int32), row.VALUES: values, **kept}
    sited = sum(site.price(DENSE).parameters for site in found.sites.values())
    return len(tensors.pack(blank)) - 2 * total, total - sited


def _blank(network: Network, found: Found, ranks: Mapping[str, Ranks]) -> nn.Module:
    made = network.build()  # by the seed that a reader has, too: buffers may be random
    for path, pair in ranks.items():
        if pair != DENSE:
            made = factors.placed(made, path, factors.blank(found.sites[path], pair))
    return fuse.fused(made, examples(network.inputs))


def _fitting(network: Network, found: Found, told: list[int]) -> dict[str, Ranks]:
    ranks = {path: Ranks(*told[2 * n : 2 * n + 2]) for n, path in enumerate(found.sites) if 2 * n + 1 < len(told)}
    if len(told) != 2 * len(found.sites):
        why = f"it tells of {len(told) // 2} layers instead of {len(found.sites)}"
    elif wrong := [path for path, pair in ranks.items() if not found.sites[path].possible(pair)]:
        path, shape = wrong[0], found.sites[wrong[0]].shape
        pair = ranks[path]
        why = f"{path or 'the layer'} has the ranks {pair.into} and {pair.out} in it, and is {shape[1]} → {shape[0]}"
    else:
        return ranks
    raise UsageError(
        f"the package does not fit {network.name}: {why}", "Name the network that the package was made of."
    )
