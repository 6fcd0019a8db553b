"""A safetensors file with a scaled network: the widths of its layers, its parameters as float16 in one row.

In one row, since the header of a file needs some eighty bytes for each tensor that it names, as much as a small layer.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from bench.compress import fuse, tensors
from bench.compress.narrower import structure
from bench.errors import CorruptData, UsageError
from bench.networks import Network
from bench.networks.count import count, examples

STRUCTURE, VALUES, BUFFER = "structure", "values", "buffer."
_COUNTER = "num_batches_tracked"
"""A batch norm's, which nothing in evaluation looks at."""
_AGAIN = "Make the package again."


def write(network: Network, widths: structure.Widths, made: nn.Module) -> bytes:
    """The package of `made`, which is the network with these widths and other values. Its batch norms are folded first.
    Raises UsageError for values that float16 cannot hold, CorruptData for others that are not finite."""
    ordinary = network.build()  # by the seed that a reader has, too: buffers may be random
    folded = fuse.fused(made, examples(network.inputs))
    values = [tensors.half(name, parameter).flatten() for name, parameter in folded.named_parameters()]
    told = structure.numbers(structure.sites(ordinary), widths)
    fresh = _buffers(_blank(network, ordinary, widths))
    changed = {
        BUFFER + name: buffer
        for name, buffer in _buffers(folded).items()
        if name not in fresh or buffer.shape != fresh[name].shape or not torch.equal(buffer, fresh[name])
    }
    return tensors.pack({STRUCTURE: torch.tensor(told, dtype=torch.int32), VALUES: torch.cat(values), **changed})


def read(network: Network, package: bytes, method: str) -> nn.Module:
    """The module in evaluation that `write` got, with batch norms folded; `method` is who asks. Raises UsageError for
    the package of another network and CorruptData for a damaged one."""
    held = tensors.unpack(package)
    if not {STRUCTURE, VALUES} <= held.keys() or held[STRUCTURE].dtype != torch.int32:
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
    _fill(made, held)
    return made.eval()


def folded(network: Network, ordinary: nn.Module) -> nn.Module:
    """The shapes that a package is of: batch norms folded, and no values."""
    return fuse.fused(ordinary, examples(network.inputs)).to("meta")


def planned(folded: nn.Module, widths: structure.Widths, told: int) -> tuple[int, int]:
    """Parameters and, at most, bytes that a package has of these widths. `told` is how many numbers say them."""
    own = structure.sites(folded)
    made = structure.resized(folded, {name: width for name, width in widths.items() if name in own})
    total = sum(parameter.numel() for parameter in made.parameters())
    buffers = {BUFFER + name: torch.zeros_like(buffer, device="cpu") for name, buffer in _buffers(made).items()}
    blank = {STRUCTURE: torch.zeros(told, dtype=torch.int32), VALUES: torch.zeros(total, dtype=torch.float16)}
    return total, len(tensors.pack(blank | buffers))


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


def _buffers(module: nn.Module) -> dict[str, Tensor]:
    parameters = dict(module.named_parameters())
    return {
        name: tensor
        for name, tensor in tensors.lasting(module).items()
        if name not in parameters and name.rpartition(".")[2] != _COUNTER
    }


@torch.no_grad()
def _fill(module: nn.Module, held: dict[str, Tensor]) -> None:
    """The values into the module's parameters in order, and buffers by name."""
    parameters, values = list(module.parameters()), held[VALUES]
    total = sum(parameter.numel() for parameter in parameters)
    if values.numel() != total:
        raise CorruptData(f"the package holds {values.numel():,} values for {total:,} parameters", _AGAIN)
    if values.dtype != torch.float16:
        raise CorruptData(f"the package holds its values as {_kind(values)} instead of float16", _AGAIN)
    if values.dim() != 1:
        raise CorruptData(f"the package holds its values as {tensors.times(values)} instead of in one row", _AGAIN)
    own = _buffers(module)
    for name, tensor in held.items():
        if name in (STRUCTURE, VALUES):
            continue
        buffer = own.get(name.removeprefix(BUFFER)) if name.startswith(BUFFER) else None
        if buffer is None:
            raise CorruptData(f"the package's {name[:80]!r} is nothing that the network has", _AGAIN)
        if buffer.shape != tensor.shape or buffer.dtype != tensor.dtype:
            raise CorruptData(
                f"the package's {name[:80]!r} is {tensors.times(tensor)} of {_kind(tensor)}, and in the network "
                f"{tensors.times(buffer)} of {_kind(buffer)}",
                _AGAIN,
            )
        buffer.copy_(tensor)
    if not all(tensor.isfinite().all() for tensor in held.values()):
        raise CorruptData("the package holds values that are not finite", _AGAIN)
    for parameter, part in zip(parameters, torch.split(values, [p.numel() for p in parameters]), strict=True):
        parameter.copy_(part.view_as(parameter))


def _kind(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
