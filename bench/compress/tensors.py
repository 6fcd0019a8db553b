"""A module's tensors as a safetensors file, and back: the package of a method that leaves layers as they are."""

from __future__ import annotations

import hashlib
import json

import torch
from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor, nn

from bench.errors import CorruptData, UsageError

_SUM = "sum"
_DIGITS = 16
"""Of the check sum in a package: 64 bits, which no damage meets by chance. All 64 digits would be 3 % of a package of
1.6 kB."""
_AGAIN = "Make the package again."


def lasting(module: nn.Module) -> dict[str, Tensor]:
    """Every parameter and every lasting buffer by name; what two names share only once."""
    state = module.state_dict(keep_vars=True)
    found = dict(module.named_parameters())
    return found | {name: buffer for name, buffer in module.named_buffers() if name in state}


def is_weight(tensor: Tensor) -> bool:
    """Whether it has two axes or more, unlike biases and what norms have."""
    return tensor.dim() >= 2 and tensor.is_floating_point()


def half(name: str, tensor: Tensor) -> Tensor:
    """The tensor rounded to float16. Raises UsageError, naming it, for values beyond what that can hold."""
    rounded = tensor.detach().half()
    if tensor.isfinite().all() and not rounded.isfinite().all():
        raise UsageError(
            f"{name} holds {tensor.abs().max().item():,.0f}, and float16 ends at 65,504",
            "Scale the weights of that layer down, or measure the network as it is.",
        )
    return rounded


def pack(tensors: dict[str, Tensor], method: str = "") -> bytes:
    """The file's bytes, with a check sum among its metadata, and the method where several write such files.

    Raises CorruptData for a tensor with values that are not finite.
    """
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise CorruptData(
                f"{name} holds values that are not finite",
                "The training diverged; try another seed or an earlier state.",
            )
    found = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    # One entry, since those of several have no order, and the same network is to be the same bytes.
    return bytes(safetensors.save(found, {_SUM: f"{check_sum(found)} {method}".rstrip()}))


def unpack(package: bytes) -> dict[str, Tensor]:
    """The tensors in the bytes of a file that `pack` made. Raises CorruptData, also where they are not what it got."""
    try:
        found = safetensors.load(package)
        told = _told(package)
    except (SafetensorError, ValueError, KeyError) as error:
        raise CorruptData(f"the package is not a safetensors file: {error}", _AGAIN) from None
    if told is None:
        raise CorruptData("the package has no check sum, which every package of bench has", _AGAIN)
    if not isinstance(told, str) or told.partition(" ")[0] != check_sum(found):
        raise CorruptData("the package's check sum does not match its tensors", _AGAIN)
    return found


def maker(package: bytes) -> str | None:
    """The method that a package says it is of, if it says so; at most 40 characters."""
    return str(_told(package)).partition(" ")[2][:40] or None


def _told(package: bytes) -> object:
    """What the metadata of a safetensors file say of its check sum and method."""
    header = json.loads(package[8 : 8 + int.from_bytes(package[:8], "little")])
    return (header.get("__metadata__") or {}).get(_SUM)


def check_sum(tensors: dict[str, Tensor]) -> str:
    """Of names, types, shapes and values: the first digits of their SHA-256, whatever order the tensors come in."""
    made = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        made.update(repr((name, str(tensor.dtype), tuple(tensor.shape))).encode())
        made.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return made.hexdigest()[:_DIGITS]


@torch.no_grad()
def load(module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Give a module the tensors that `lasting` names, in its own precision, in place. Raises UsageError, naming the
    first difference, when they are not those of this module."""
    own = lasting(module)
    wrong = [f"{name} is missing" for name in own if name not in tensors]
    wrong += [f"{name} is unknown to it" for name in tensors if name not in own]
    wrong += [
        f"{name} is {times(tensors[name])} instead of {times(tensor)}"
        for name, tensor in own.items()
        if name in tensors and tensors[name].shape != tensor.shape
    ]
    if wrong:
        raise UsageError(
            f"the package does not fit this network: {wrong[0]}", "Name the network that the package was made of."
        )
    for name, tensor in own.items():
        tensor.copy_(tensors[name])


def times(tensor: Tensor) -> str:
    """Its shape in words: `3×4`."""
    return "×".join(map(str, tensor.shape)) or "one number"
