"""A network as the two files that ncnn loads: graph.param and weights.bin."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.errors import ExportRefused
from bench.export import graph, operators, pnnx, proof, torchscript
from bench.export.answers import Answers
from bench.export.eager import Array
from bench.export.equivalents import Equivalents, transparent
from bench.export.half import stored as stored_half
from bench.records import Tensor


class _Marked(nn.Module):
    """A network behind layers that do nothing, from which pnnx learns that the first axis is the batch.

    It takes that axis away, and where no layer tells which one it is, it numbers all axes wrong.
    """

    def __init__(self, network: nn.Module, inputs: Sequence[Tensor]) -> None:
        super().__init__()
        self.network = network
        self.marks = nn.ModuleList(_mark(tensor) for tensor in inputs)

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.network(*(mark(each) for mark, each in zip(self.marks, inputs, strict=True)))


def _mark(tensor: Tensor) -> nn.Module:
    if tensor.dtype != "float32":
        return nn.Identity()
    match tensor.shape:
        case (channels,):
            return nn.BatchNorm1d(channels, eps=0)
        case (_, _):
            return nn.MaxPool1d(1)
        case (_, _, _):
            return nn.MaxPool2d(1)
    return nn.MaxPool3d(1)


def export(
    network: nn.Module,
    inputs: Sequence[Tensor],
    samples: Sequence[Array],
    expected: Answers,
    folder: Path,
    *,
    half: bool = False,
) -> None:
    """Write graph.param and weights.bin of a network that answers `expected` to `samples`, (N, *shape) for each input.

    `half` stores weights as float16 that lose nothing by it. The graph's inputs are called in0, in1, …, and its outputs
    out0, out1, …. Raises ToolMissing, and ExportRefused with the operator and the line of the user's source for what
    ncnn cannot do.
    """
    write(*convert(network, inputs, samples, expected), folder, half=half)


def write(parsed: graph.Graph, values: Sequence[proof.Floats], folder: Path, *, half: bool = False) -> None:
    """Write graph.param and weights.bin."""
    graph.write(parsed, folder / "graph.param")
    weights = graph.joined(parsed.blobs(), values)
    (folder / "weights.bin").write_bytes(stored_half(weights, parsed.blobs()) if half else weights)


def convert(
    network: nn.Module, inputs: Sequence[Tensor], samples: Sequence[Array], expected: Answers
) -> tuple[graph.Graph, tuple[proof.Floats, ...]]:
    """The graph of a network, and the weights that its layers load. Raises as `export` does."""
    if not isinstance(network, torch.jit.ScriptModule):
        network = _Marked(network, inputs)
    with tempfile.TemporaryDirectory(prefix="bench-export-") as scratch:
        traced = Path(scratch, "network.pt")
        with transparent(network):
            recorded = torchscript.trace(network, samples, expected, traced, Equivalents())
        converted = pnnx.convert(traced, inputs)
    parsed = graph.parse(converted.param)
    operators.check(parsed, partial(operators.lines, recorded))
    return unmarked(parsed, converted.weights, len(inputs), len(expected.outputs))


def unmarked(
    marked: graph.Graph, stored: bytes, inputs: int, outputs: int
) -> tuple[graph.Graph, tuple[proof.Floats, ...]]:
    """A converted graph without the layers that only marked the batch axis, and the weights of all others.

    Raises ExportRefused unless it has the inputs in0, in1, … and the outputs out0, out1, …, so many of each.
    """
    names = {name for layer in marked.layers for name in layer.outputs}
    for wanted in [f"in{n}" for n in range(inputs)] + [f"out{n}" for n in range(outputs)]:
        if wanted not in names:
            raise ExportRefused(f"the converted network has no {wanted}", "An input that is not used must go.")
    left = iter(graph.split(stored, marked.blobs()))
    weights = [(layer, [next(left) for _ in layer.blobs()]) for layer in marked.layers]
    marks = [layer for layer, blobs in weights if _is_mark(layer, blobs)]
    return marked.without(marks), tuple(value for layer, blobs in weights if layer not in marks for value in blobs)


def _is_mark(layer: graph.Layer, blobs: Sequence[proof.Floats]) -> bool:
    if not layer.inputs or not layer.inputs[0].startswith("in") or layer.outputs[0].startswith("out"):
        return False
    match layer.type:
        case "Pooling" | "Pooling1D" | "Pooling3D":
            return (
                layer.parameters.get("1") == "1"
                and layer.parameters.get("4", "0") == "0"
                and layer.parameters.get("2", "1") == "1"
            )
        case "BatchNorm":
            return all((blob == neutral).all() for blob, neutral in zip(blobs, (1, 0, 1, 0), strict=True))
    return False
