"""The table of equivalents, and what they ask of a tensor while it is recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

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


def follows(*values: Any) -> bool:
    """Whether any of them is computed from an input of the network, and not from its weights and constants alone."""
    seen: set[Any] = set()
    ahead = [torch._C._get_value_trace(each) for each in values if isinstance(each, Tensor)]  # type: ignore[attr-defined]
    while ahead:
        value = ahead.pop()
        node = value.node()
        if node.kind() == "prim::Param":
            if str(value.type()) == "Tensor" or value.type().kind() == "TensorType":
                return True
        elif value.unique() not in seen:
            seen.add(value.unique())
            ahead.extend(node.inputs())
    return False
