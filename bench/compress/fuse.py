"""Batch norms folded into the layer before them, as every converter does, but before weights are rounded."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from bench.networks.count import run

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_LAYERS = (*_CONVOLUTIONS, *_TRANSPOSED, nn.Linear)
_ROUNDING = 1e-3
"""Of the largest output: what folding may change in float32."""


def fused(network: nn.Module, inputs: Sequence[Tensor]) -> nn.Module:
    """A copy of `network` in evaluation, in which every batch norm that only follows one convolution or linear layer is
    in that layer's weight and bias. `inputs` is one sample of each input.

    A network whose forward torch.fx cannot trace is copied as it is, and so is one that answers differently then: a
    layer of its own kind, made of a convolution, may do more with its weight than convolve.
    """
    plain = copy.deepcopy(network).eval()
    folded = copy.deepcopy(plain)
    for layer, norm in list(pairs(plain, inputs)):
        folded.set_submodule(layer, _together(plain.get_submodule(layer), plain.get_submodule(norm)))
        folded.set_submodule(norm, nn.Identity())
    same = all(map(_close, run(plain, inputs), run(folded, inputs)))
    return folded if same else plain


def _close(one: Tensor, other: Tensor) -> bool:
    return bool((one - other).abs().max() <= _ROUNDING * one.abs().max())


def pairs(network: nn.Module, inputs: Sequence[Tensor]) -> Iterator[tuple[str, str]]:
    """Paths of a layer and the batch norm that is all that its output goes to."""
    try:
        traced = fx.GraphModule(network, _Tracer().trace(network))
        with torch.no_grad():
            _Ranks(traced).run(*inputs)
    except Exception:  # of any kind: the forward of a stranger's network meets proxies instead of tensors
        return
    calls = Counter(node.target for node in traced.graph.nodes if node.op == "call_module")
    owners = Counter(id(held) for module in network.modules() for held in module._parameters.values())
    for node in traced.graph.nodes:
        before = node.args[0] if node.op == "call_module" and len(node.args) == 1 else None
        if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) > 1:
            continue
        layer, norm = (network.get_submodule(str(one.target)) for one in (before, node))
        alone = calls[before.target] == calls[node.target] == 1 and owners[id(layer._parameters.get("weight"))] == 1
        if alone and isinstance(norm, _NORMS) and norm.running_mean is not None and _foldable(layer, before):
            yield str(before.target), str(node.target)


class _Tracer(fx.Tracer):
    """Takes what is derived from a convolution or linear layer as one layer, as torch's own are."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, _LAYERS) or super().is_leaf_module(m, module_qualified_name)


class _Ranks(fx.Interpreter):
    """Notes how many axes each node's tensor has."""

    def run_node(self, n: fx.Node) -> Any:
        answer = super().run_node(n)
        n.meta["rank"] = answer.dim() if isinstance(answer, Tensor) else None
        return answer


def _foldable(layer: nn.Module, node: fx.Node) -> bool:
    if layer._parameters.get("weight") is None:
        return False  # a parametrization computes it
    if isinstance(layer, nn.Linear):
        # Of a sequence, a batch norm has the places as its channels.
        return bool(node.meta["rank"] == 2)
    return isinstance(layer, _CONVOLUTIONS) or (isinstance(layer, _TRANSPOSED) and layer.groups == 1)


@torch.no_grad()
def _together(layer: nn.Module, norm: nn.Module) -> nn.Module:
    known = cast(nn.BatchNorm1d, norm)
    if isinstance(layer, nn.Linear):
        return fuse_linear_bn_eval(layer, known)
    return fuse_conv_bn_eval(cast(nn.Conv2d, layer), known, transpose=isinstance(layer, _TRANSPOSED))
