"""What pnnx or ncnn gets wrong or does not have, in terms of what they do right; in effect while a network is recorded.

Each equivalent computes the same as the function that it stands for, and is proved so with the rest of the recording.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from bench.errors import ExportRefused
from bench.export.equivalents import arithmetic, axes, comparisons, shapes, table, windows
from bench.export.equivalents.transparency import transparent

__all__ = ["Equivalents", "arithmetic", "comparisons", "shapes", "transparent", "windows"]

_SIZES = {Tensor.shape.__get__, Tensor.size}  # type: ignore[attr-defined]
_OF_SHAPES = {
    *(Tensor.new_empty, Tensor.new_full, Tensor.new_ones, Tensor.new_zeros),
    *(torch.empty_like, torch.full_like, torch.ones_like, torch.zeros_like),
}
"""What takes a tensor for its shape and type alone. The shape is fixed, so the result is constant."""


_BY_NAME = {f"aten::{function.__name__}": function for function in (*table.TABLE, *axes.OF_MANY)}
"""Programs of torch.export call operators in place of functions."""


class Equivalents(TorchFunctionMode):
    """While it is active, functions of the table are computed by their equivalents, and what does not depend on the
    inputs of `network` is a constant of the recording."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        table.begin(network)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _OF_SHAPES or not table.follows(*tree_leaves((args, kwargs))):
            return table.constant(func, args, kwargs)
        if func is Tensor.__setitem__ and any(isinstance(place, Tensor) for place in tree_leaves(args[1])):
            raise ExportRefused(
                "ncnn cannot assign to chosen places of a tensor",
                "Use torch.where: y = torch.where(y < 0, 0, y) in place of y[y < 0] = 0.",
            )
        if func in _SIZES:
            sizes = func(*args, **kwargs)
            return torch.Size(map(int, sizes)) if isinstance(sizes, tuple) else int(sizes)
        named = _BY_NAME.get(func._schema.name, func) if isinstance(func, torch._ops.OpOverload) else func
        if named in axes.MAKERS or axes.is_many(*args):
            result = axes.OF_MANY.get(named, _unknown)(*args, **kwargs)
            if result is not NotImplemented:
                return result
        with self:  # for what the equivalent calls itself
            result = _equivalent(named, args, kwargs)(*args, **kwargs)
        return table.recorded(func, args, kwargs) if result is NotImplemented else result


def _equivalent(function: Any, args: Any, kwargs: Any) -> Callable[..., Any]:
    """What stands for a function, if it takes these arguments."""
    found = table.TABLE.get(function, _unknown)
    try:
        inspect.signature(found).bind(*args, **kwargs)
    except TypeError:
        return _unknown
    return found


def _unknown(*args: Any, **kwargs: Any) -> Any:
    return NotImplemented
