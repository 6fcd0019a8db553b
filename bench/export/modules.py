"""Where each layer of an ncnn graph is in the author's network: `features.3.conv` instead of the 17th convolution.

The converter keeps no names, and a method may have put several layers, or one in a smaller space, in the place of one
of the network's. So the two sequences are aligned, as texts are: in their order, layers that slide the same kernel to a
picture of the same size, and rather those that also have as many channels and weights.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from bench.errors import ExportRefused
from bench.export import cost, eager, graph
from bench.export.graph import Graph
from bench.guest import guest
from bench.records import Tensor

_MOST = 2_000
"""Layers on either side; the table of an alignment has the product."""
_LONGEST = 200


class Kernel(NamedTuple):
    """A layer with weights: what of it stays when it is made smaller, then what may not."""

    kind: str
    size: tuple[int, ...]
    picture: tuple[int, ...]
    channels: int
    weights: int


def write(network: nn.Module, inputs: Sequence[Tensor], samples: Sequence[Any], param: Path, to: Path) -> None:
    """Write a JSON list with a path in `network` for each layer of a param file ("" where there is none), found with
    the first of `samples`. Raises ExportRefused for a network that cannot be watched."""
    parsed = graph.parse(param.read_text(encoding="ascii"))
    to.write_text(json.dumps(names(parsed, inputs, kernels(network, samples))), encoding="utf-8")


def kernels(network: nn.Module, samples: Sequence[Any]) -> list[tuple[str, Kernel]]:
    """The layers with weights that one inference calls, in order, with their paths. Raises ExportRefused."""
    if isinstance(network, torch.jit.ScriptModule):
        raise ExportRefused("a TorchScript network cannot be watched")
    found: list[tuple[str, Kernel]] = []

    def watch(path: str, module: nn.Module) -> Any:
        def called(_: nn.Module, __: Any, output: Any) -> None:
            if isinstance(output, torch.Tensor) and (kernel := _of_module(module, output)) is not None:
                found.append((path[:_LONGEST], kernel))

        return module.register_forward_hook(called)

    handles = [watch(path, module) for path, module in network.named_modules()]
    try:
        with torch.no_grad(), guest():
            eager.evaluating(network)(*eager.arguments(samples, 0))
    except Exception as error:
        raise ExportRefused(f"the network cannot be watched: {type(error).__name__}") from error
    finally:
        for handle in handles:
            handle.remove()
    return found


def _of_module(module: nn.Module, output: torch.Tensor) -> Kernel | None:
    weight = getattr(module, "weight", None)
    if not isinstance(weight, torch.Tensor):
        return None
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        kind = "up" if isinstance(module, nn.ConvTranspose2d) else "grouped" if module.groups > 1 else "slide"
        size = tuple(int(one) for one in module.kernel_size)
        return Kernel(kind, size, tuple(output.shape[2:]), output.shape[1], weight.numel())
    if isinstance(module, nn.Linear):
        return Kernel("product", (1, 1), (), output.shape[-1], weight.numel())
    return None


_KINDS = {
    "Convolution": "slide", "RankCore": "slide", "ConvolutionDepthWise": "grouped", "Deconvolution": "up",
    "DeconvolutionDepthWise": "up", "RankUp": "up", "InnerProduct": "product",
}  # fmt: skip


def _of_graph(parsed: Graph, inputs: Sequence[Tensor]) -> list[tuple[int, Kernel]]:
    shapes = cost.shapes(parsed, inputs)
    found = []
    for place, layer in enumerate(parsed.layers):
        if (kind := _KINDS.get(layer.type)) is None:
            continue
        width = int(layer.parameters.get("1", "1"))
        size = (int(layer.parameters.get("11", width)), width)
        channels, *picture = shapes[layer.outputs[0]]
        weights = int(layer.parameters.get("6", "0"))
        if kind == "product":
            size, picture, weights = (1, 1), [], int(layer.parameters.get("2", "0"))
        found.append((place, Kernel(kind, size, tuple(picture), channels, weights)))
    return found


def names(parsed: Graph, inputs: Sequence[Tensor], called: Sequence[tuple[str, Kernel]]) -> list[str]:
    """A path for each layer, "" where there is none."""
    listed = [""] * len(parsed.layers)
    try:
        layers = _of_graph(parsed, inputs)
    except (LookupError, ValueError, ArithmeticError):
        return listed  # layers whose shapes nobody here knows
    if max(len(layers), len(called)) <= _MOST:
        for place, path in _aligned(layers, called):
            listed[place] = path
    return listed


def _alike(left: Kernel, right: Kernel) -> int:
    """How well a layer of the graph stands for one of the network; 0: not at all."""
    if (left.kind, left.size, left.picture) != (right.kind, right.size, right.picture):
        return 0
    return 4 + 2 * (left.channels == right.channels) + 2 * (left.weights == right.weights)


def _aligned(layers: Sequence[tuple[int, Kernel]], called: Sequence[tuple[str, Kernel]]) -> list[tuple[int, str]]:
    """The pairs of the alignment that is best altogether (S. B. Needleman, C. D. Wunsch, JMB 48 (1970) 443–453)."""
    rows, columns = len(layers), len(called)
    best = [[0] * (columns + 1) for _ in range(rows + 1)]
    for i in range(rows - 1, -1, -1):
        for j in range(columns - 1, -1, -1):
            score = _alike(layers[i][1], called[j][1])
            paired = best[i + 1][j + 1] + score if score else 0
            best[i][j] = max(paired, best[i + 1][j], best[i][j + 1])
    pairs, i, j = [], 0, 0
    while i < rows and j < columns:
        score = _alike(layers[i][1], called[j][1])
        if score and best[i][j] == best[i + 1][j + 1] + score:
            pairs.append((layers[i][0], called[j][0]))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs
