"""A module's tensors as a safetensors file, and back: the package of a method that leaves layers as they are."""

from __future__ import annotations

import torch
from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor, nn

from bench.errors import CorruptData, UsageError


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


def pack(tensors: dict[str, Tensor]) -> bytes:
    """The file's bytes. Raises CorruptData for a tensor with values that are not finite."""
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise CorruptData(
                f"{name} holds values that are not finite",
                "The training diverged; try another seed or an earlier state.",
            )
    return bytes(safetensors.save({name: tensor.detach().contiguous() for name, tensor in tensors.items()}))


def unpack(package: bytes) -> dict[str, Tensor]:
    """The tensors in a file's bytes. Raises CorruptData."""
    try:
        return safetensors.load(package)
    except (SafetensorError, ValueError, KeyError) as error:
        raise CorruptData(f"the package is not a safetensors file: {error}", "Make the package again.") from None


@torch.no_grad()
def load(module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Give a module the tensors that `lasting` names, in its own precision, in place. Raises UsageError, naming the
    first difference, when they are not those of this module."""
    own = lasting(module)
    wrong = [f"{name} is missing" for name in own if name not in tensors]
    wrong += [f"{name} is unknown to it" for name in tensors if name not in own]
    wrong += [
        f"{name} is {_times(tensors[name])} instead of {_times(tensor)}"
        for name, tensor in own.items()
        if name in tensors and tensors[name].shape != tensor.shape
    ]
    if wrong:
        raise UsageError(
            f"the package does not fit this network: {wrong[0]}", "Name the network that the package was made of."
        )
    for name, tensor in own.items():
        tensor.copy_(tensors[name])


def _times(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "one number"
