"""Functions that pnnx or ncnn gets wrong, or does not have, in terms of those that they do right."""

from __future__ import annotations

from typing import Any

from torch.overrides import TorchFunctionMode


class Equivalents(TorchFunctionMode):
    """While it is active, torch functions of the table are computed by their equivalents."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))
