"""All parameters of a network as one row of float16, as a package has them, and its buffers where they were changed.

In one row, since the header of a safetensors file needs some eighty bytes for each tensor that it names, as much as a
small layer.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor, nn

from bench.compress import tensors
from bench.errors import CorruptData

VALUES, BUFFER = "values", "buffer."
_COUNTER = "num_batches_tracked"
"""A batch norm's, which nothing in evaluation looks at."""
_AGAIN = "Make the package again."


def held_of(module: nn.Module, blank: nn.Module) -> dict[str, Tensor]:
    """What a package holds of `module`, which `blank` is without its values. Raises UsageError for values that float16
    cannot hold."""
    values = [tensors.half(name, parameter).flatten() for name, parameter in module.named_parameters()]
    fresh = buffers(blank)
    changed = {
        BUFFER + name: buffer
        for name, buffer in buffers(module).items()
        if name not in fresh or buffer.shape != fresh[name].shape or not torch.equal(buffer, fresh[name])
    }
    return {VALUES: torch.cat(values), **changed}


def buffers(module: nn.Module) -> dict[str, Tensor]:
    """Those that a network in evaluation computes with, by name."""
    parameters = dict(module.named_parameters())
    return {
        name: tensor
        for name, tensor in tensors.lasting(module).items()
        if name not in parameters and name.rpartition(".")[2] != _COUNTER
    }


@torch.no_grad()
def fill(module: nn.Module, held: dict[str, Tensor], others: Collection[str]) -> None:
    """The values into the module's parameters in order, and buffers by name; what else a package holds is `others`.
    Raises CorruptData for what does not fit."""
    parameters, values = list(module.parameters()), held[VALUES]
    total = sum(parameter.numel() for parameter in parameters)
    if values.numel() != total:
        raise CorruptData(f"the package holds {values.numel():,} values for {total:,} parameters", _AGAIN)
    if values.dtype != torch.float16:
        raise CorruptData(f"the package holds its values as {_kind(values)} instead of float16", _AGAIN)
    if values.dim() != 1:
        raise CorruptData(f"the package holds its values as {tensors.times(values)} instead of in one row", _AGAIN)
    own = buffers(module)
    for name, tensor in held.items():
        if name in others or name == VALUES:
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
