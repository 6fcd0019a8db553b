"""What pnnx or ncnn gets wrong or does not have, in terms of what they do right; in effect while a network is recorded.

Each equivalent computes the same as the function that it stands for, and is proved so with the rest of the recording.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from bench.export.equivalents import arithmetic, axes, comparisons, shapes, windows
from bench.export.equivalents.table import TABLE

__all__ = ["Equivalents", "arithmetic", "comparisons", "shapes", "transparent", "windows"]

_SIZES = {Tensor.shape.__get__, Tensor.size}  # type: ignore[attr-defined]


class Equivalents(TorchFunctionMode):
    """While it is active, functions of the table are computed by their equivalents."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _SIZES:  # plain numbers: the size is fixed, and what follows from it is constant
            sizes = func(*args, **kwargs)
            return torch.Size(map(int, sizes)) if isinstance(sizes, tuple) else int(sizes)
        if func in axes.RESHAPES or axes.is_many(*args):
            result = axes.OF_MANY.get(func, _unknown)(*args, **kwargs)
            if result is not NotImplemented:
                return result
        with self:  # for what the equivalent calls itself
            result = TABLE.get(func, _unknown)(*args, **kwargs)
        return func(*args, **kwargs) if result is NotImplemented else result


def _unknown(*args: Any, **kwargs: Any) -> Any:
    return NotImplemented


@contextmanager
def transparent(network: nn.Module) -> Iterator[None]:
    """Hide from pnnx what these layers of the network are, so that it reads the functions that they call.

    For the time of the recording they are of a class with another name.
    """
    hidden = [(layer, type(layer)) for layer in network.modules() if _is_hidden(layer)]
    try:
        for layer, kind in hidden:
            layer.__class__ = type(kind.__name__, (kind,), {"__module__": __name__})
        yield
    finally:
        for layer, kind in hidden:
            layer.__class__ = kind


def _is_hidden(layer: nn.Module) -> bool:
    match layer:
        case nn.modules.conv._ConvNd():
            return layer.padding_mode == "circular"
        case nn.LayerNorm():
            return len(layer.normalized_shape) > 1
        case nn.modules.batchnorm._BatchNorm():
            return layer.running_mean is None
    return type(layer) in _HIDDEN


_HIDDEN = {
    nn.AvgPool2d, nn.Bilinear, nn.CircularPad1d, nn.CircularPad2d, nn.ConstantPad1d, nn.ConstantPad2d,
    nn.CosineSimilarity, nn.LPPool2d, nn.Softmin, nn.Softplus, nn.Softsign, nn.Tanhshrink, nn.Threshold,
    nn.ZeroPad2d,
}  # fmt: skip
