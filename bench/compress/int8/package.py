"""A safetensors file: int8 weights by name, their scales in one row, those of inputs in another, all else in float32.

In rows, since the header of a file needs some eighty bytes for each tensor that it names.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from bench.compress import tensors
from bench.compress.int8.layers import Quantised
from bench.errors import CorruptData, UsageError

SCALES, INPUTS = "int8/scales", "int8/inputs"
"""No module's name has a slash beside the tensors of bench."""
_AGAIN = "Make the package again."


def write(network: nn.Module, made: Mapping[str, Quantised]) -> bytes:
    """The package of a module whose layers `made` are quantised. Raises CorruptData for values that are not finite."""
    found = tensors.lasting(network)
    found |= {_weight(name): torch.from_numpy(one.codes) for name, one in made.items()}
    found[SCALES] = torch.from_numpy(np.concatenate([made[name].scales for name in sorted(made)]))
    given = [made[name].input for name in sorted(made)]
    if None not in given:
        found[INPUTS] = torch.tensor(given, dtype=torch.float32)
    return tensors.pack(found)


def read(network: nn.Module, package: bytes) -> dict[str, Quantised]:
    """The quantised layers in the bytes of a package. All else goes into `network`, in place, and so do the weights
    that the codes stand for. Raises UsageError for the package of another network, CorruptData for a damaged one."""
    held = tensors.unpack(package)
    if SCALES not in held:
        raise UsageError("the package is not one of int8", "Name the method that the package was made by.")
    rows = {name: held.pop(name, None) for name in (SCALES, INPUTS)}
    names = sorted(
        name.removesuffix("weight").removesuffix(".") for name, one in held.items() if one.dtype == torch.int8
    )
    layers = {name: _layer(network, name) for name in names}
    weights = {name: held[_weight(name)] for name in names}
    shares = [len(layer.weight) for layer in layers.values()]
    scales, inputs = _row(rows[SCALES], sum(shares)), None
    if rows[INPUTS] is not None:
        inputs = _row(rows[INPUTS], len(names))
    tensors.load(network, held)
    made = {}
    for number, (name, own) in enumerate(zip(names, torch.split(scales, shares), strict=True)):
        into = None if inputs is None else float(inputs[number])
        made[name] = Quantised(weights[name].numpy(), own.numpy(), into)
        with torch.no_grad():
            layers[name].weight.copy_(made[name].weight())
    return made


def _weight(layer: str) -> str:
    return f"{layer}.weight" if layer else "weight"


def _layer(network: nn.Module, name: str) -> nn.Conv2d | nn.Linear:
    try:
        found = network.get_submodule(name)
    except AttributeError:
        found = None
    if type(found) not in (nn.Conv2d, nn.Linear):
        raise UsageError(
            f"the package does not fit this network: {name[:80]!r} is not one of its convolutions or linear layers",
            "Name the network that the package was made of.",
        )
    assert isinstance(found, nn.Conv2d | nn.Linear)
    return found


def _row(given: Tensor | None, count: int) -> Tensor:
    """Scales that can be divided by."""
    if given is None or given.dtype != torch.float32 or given.dim() != 1 or len(given) != count:
        raise CorruptData(f"the package does not hold the {count:,} scales of its layers", _AGAIN)
    if not bool(((given > 0) & given.isfinite()).all()):
        raise CorruptData("the package holds scales that are not above zero", _AGAIN)
    return given
