"""A safetensors file with a scaled network: the widths of its layers, its parameters as float16 in one row."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from bench.compress import fuse, row, tensors
from bench.compress.narrower import structure
from bench.errors import CorruptData, UsageError
from bench.networks import Network
from bench.networks.count import count, examples

STRUCTURE = "structure"
_AGAIN = "Make the package again."


def write(network: Network, widths: structure.Widths, made: nn.Module, method: str = "") -> bytes:
    """The package by `method` of `made`, which is the network with these widths and other values. Its batch norms are
    folded first. Raises UsageError for values that float16 cannot hold, CorruptData for others that are not finite."""
    ordinary = network.build()  # by the seed that a reader has, too: buffers may be random
    folded = fuse.fused(made, examples(network.inputs))
    told = structure.numbers(structure.sites(ordinary), widths)
    held = row.held_of(folded, _blank(network, ordinary, widths))
    return tensors.pack({STRUCTURE: torch.tensor(told, dtype=torch.int32), **held}, method)


def read(network: Network, package: bytes, method: str) -> nn.Module:
    """The module in evaluation that `write` got, with batch norms folded; `method` is who asks. Raises UsageError for
    the package of another network and CorruptData for a damaged one."""
    held = tensors.unpack(package)
    if (maker := tensors.maker(package)) not in (None, method):
        raise UsageError(f"the package is one of {maker}, not of {method}", "Name the method that it was made by.")
    if not {STRUCTURE, row.VALUES} <= held.keys() or held[STRUCTURE].dtype != torch.int32:
        raise UsageError(f"the package is not one of {method}", "Name the method that the package was made by.")
    ordinary = network.build()
    widths = _fitting(network, structure.sites(ordinary), held[STRUCTURE].flatten().tolist())
    try:
        made = _blank(network, ordinary, widths)
        same = count(made, network.inputs).outputs == count(ordinary, network.inputs).outputs
    except (UsageError, RuntimeError):
        same = False
    if not same:
        raise CorruptData(f"the widths in the package of {network.name} do not go together", _AGAIN)
    row.fill(made, held, (STRUCTURE,))
    return made.eval()


def folded(network: Network, ordinary: nn.Module) -> nn.Module:
    """The shapes that a package is of: batch norms folded, and no values."""
    return fuse.fused(ordinary, examples(network.inputs)).to("meta")


def planned(folded: nn.Module, widths: structure.Widths, told: int, method: str) -> tuple[int, int]:
    """Parameters and, at most, bytes that a package of `method` has of these widths. `told` is how many numbers say
    them."""
    own = structure.sites(folded)
    made = structure.resized(folded, {name: width for name, width in widths.items() if name in own})
    total = sum(parameter.numel() for parameter in made.parameters())
    buffers = {row.BUFFER + name: torch.zeros_like(one, device="cpu") for name, one in row.buffers(made).items()}
    blank = {STRUCTURE: torch.zeros(told, dtype=torch.int32), row.VALUES: torch.zeros(total, dtype=torch.float16)}
    return total, len(tensors.pack(blank | buffers, method))


def _fitting(network: Network, found: Mapping[str, structure.Site], told: list[int]) -> structure.Widths:
    widths = structure.widths_of(found, told)
    if widths is None:
        why = f"it tells of {len(told) // 2} layers instead of {len(found)}"
    elif wrong := [name for name, width in widths.items() if not structure.possible(found[name], width)]:
        width, own = widths[wrong[0]], found[wrong[0]].width
        why = f"{wrong[0]} is {width.into} → {width.out} in it, and {own.into} → {own.out} in the network"
    else:
        return widths
    raise UsageError(
        f"the package does not fit {network.name}: {why}", "Name the network that the package was made of."
    )


def _blank(network: Network, ordinary: nn.Module, widths: structure.Widths) -> nn.Module:
    return fuse.fused(structure.resized(ordinary, widths), examples(network.inputs))
