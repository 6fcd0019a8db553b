"""Layers of which pnnx is to read the functions that they call, and not what they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from bench.export.equivalents import axes
from bench.guest import guest

_HIDDEN = {
    nn.AvgPool2d, nn.Bilinear, nn.CircularPad1d, nn.CircularPad2d, nn.ConstantPad1d, nn.ConstantPad2d,
    nn.CosineSimilarity, nn.Embedding, nn.GRUCell, nn.LPPool2d, nn.LSTMCell, nn.PairwiseDistance, nn.PixelUnshuffle,
    nn.RNNCell, nn.Softmin, nn.Softplus, nn.Softsign, nn.Tanhshrink, nn.Threshold, nn.ZeroPad2d,
}  # fmt: skip
"""Layers whose functions have equivalents."""


@contextmanager
def transparent(network: nn.Module, inputs: Sequence[Tensor]) -> Iterator[None]:
    """Hide such layers of the network from pnnx: for the time of a recording with `inputs`, their classes have other
    names."""
    many = _of_many_axes(network, inputs)
    hidden = [(layer, type(layer)) for layer in network.modules() if layer in many or _has_equivalents(layer)]
    is_tracing = torch.jit.is_tracing  # type: ignore[attr-defined]
    try:
        for layer, kind in hidden:
            layer.__class__ = type(kind.__name__, (kind,), {"__module__": __name__})
        # Networks that ask compute with sizes as tensors while they are traced. Here sizes are numbers, as otherwise.
        torch.jit.is_tracing = lambda: False  # type: ignore[attr-defined]
        yield
    finally:
        torch.jit.is_tracing = is_tracing  # type: ignore[attr-defined]
        for layer, kind in hidden:
            layer.__class__ = kind


def _has_equivalents(layer: nn.Module) -> bool:
    match layer:
        case nn.modules.conv._ConvNd():
            return layer.padding_mode == "circular"
        case nn.LayerNorm():
            return len(layer.normalized_shape) > 1
        case nn.modules.instancenorm._InstanceNorm():
            return layer.track_running_stats or isinstance(layer, nn.InstanceNorm1d)
        case nn.modules.batchnorm._BatchNorm():
            return layer.running_mean is None
        case nn.GroupNorm():
            return not layer.affine
    return type(layer) in _HIDDEN


def _of_many_axes(network: nn.Module, inputs: Sequence[Tensor]) -> set[nn.Module]:
    """The layers of torch's own that are given tensors of more axes than ncnn holds."""
    found: set[nn.Module] = set()

    def look(layer: nn.Module, given: tuple[Any, ...]) -> None:
        if any(isinstance(each, Tensor) and axes.count(each) > axes.MOST for each in given):
            found.add(layer)

    layers = [layer for layer in network.modules() if type(layer).__module__.startswith("torch.nn.")]
    hooks = [layer.register_forward_pre_hook(look) for layer in layers]
    try:
        with torch.no_grad(), guest():
            network(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return found
