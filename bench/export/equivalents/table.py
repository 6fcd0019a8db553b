"""The table of equivalents, and what they ask of a tensor while it is recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

Function = Callable[..., Any]
TABLE: dict[Any, Function] = {}
LARGE = 1e30
"""Stands for infinity in masks, so that 0 times it is 0."""


def of(*functions: Any) -> Callable[[Function], Function]:
    """Register an equivalent. It returns NotImplemented where the function is right as it is."""

    def register(equivalent: Function) -> Function:
        TABLE.update(dict.fromkeys(functions, equivalent))
        return equivalent

    return register


_constants: dict[int, Any] = {}
"""Storages of tensors that do not depend on the network's inputs, kept so that no other gets their addresses."""


def begin(network: nn.Module) -> None:
    """A network is going to be recorded, of which only the weights are constant."""
    _constants.clear()
    _note((*network.parameters(), *network.buffers()))


def _note(result: Any) -> None:
    for leaf in tree_leaves(result):
        if isinstance(leaf, Tensor):
            storage = leaf.untyped_storage()
            _constants[storage._cdata] = storage


def follows(*values: Any) -> bool:
    """Whether any of them may be computed from an input of the network, not from weights and constants alone."""
    return any(isinstance(leaf, Tensor) and leaf.untyped_storage()._cdata not in _constants for leaf in values)


def constant(function: Function, args: Any, kwargs: Any) -> Any:
    """The result of a function of constants, which is a constant of the recording, and not computed in it."""
    state = torch._C._get_tracing_state()
    torch._C._set_tracing_state(None)  # type: ignore[attr-defined]
    try:
        result = tree_map(_detached, function(*args, **kwargs))
    finally:
        torch._C._set_tracing_state(state)  # type: ignore[attr-defined]
    _note(result)
    return result


def _detached(leaf: Any) -> Any:
    return (
        leaf.detach()
        if isinstance(leaf, Tensor) and leaf.requires_grad and not isinstance(leaf, nn.Parameter)
        else leaf
    )


def recorded(function: Function, args: Any, kwargs: Any) -> Any:
    """The result of a function of what follows from the inputs. Constants that it writes to are none any more."""
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    versions = [tensor._version for tensor in tensors]
    result = function(*args, **kwargs)
    for tensor, version in zip(tensors, versions, strict=True):
        if tensor._version != version:
            _constants.pop(tensor.untyped_storage()._cdata, None)
    return result
