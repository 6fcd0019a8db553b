"""A network as the two files that ncnn loads: graph.param and weights.bin."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.errors import ExportRefused
from bench.export import eager, graph, operators, pnnx, program, proof, sizes, torchscript
from bench.export.answers import Answers
from bench.export.eager import Array
from bench.export.equivalents import Equivalents, axes, transparent
from bench.export.half import stored as stored_half
from bench.records import Tensor


class _Marked(nn.Module):
    """A network behind layers that only mark the batch axis; see `axes.batch_first`."""

    def __init__(self, network: nn.Module, inputs: Sequence[Tensor]) -> None:
        super().__init__()
        self.network = network
        vectors = (tensor.dtype == "float32" and len(tensor.shape) == 1 for tensor in inputs)
        norms = (nn.BatchNorm1d(tensor.shape[0], eps=0) for tensor in inputs)
        self.marks = nn.ModuleList(
            norm if vector else nn.Identity() for norm, vector in zip(norms, vectors, strict=True)
        ).eval()

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.network(*(axes.batch_first(mark(each)) for mark, each in zip(self.marks, inputs, strict=True)))


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
    network: nn.Module, inputs: Sequence[Tensor], samples: Sequence[Array], expected: Answers | None = None
) -> tuple[graph.Graph, tuple[proof.Floats, ...]]:
    """The graph of a network, and the weights that its layers load. `expected` are its answers to `samples`, where they
    are known. Raises as `export` does."""
    network = _Marked(program.of_operators(network, eager.arguments(samples, 0)), inputs)
    if (small := sizes.smaller(inputs)) is not None:
        with suppress(ExportRefused):
            cut = sizes.cut(samples, small)
            few = eager.answers(network, cut)
            parsed, stored = _converted(network, small, cut, few)
            if sizes.is_any(parsed, small):
                return unmarked(parsed, stored, len(inputs), len(few.outputs))
    if expected is None:
        expected = eager.answers(network, samples)
    parsed, stored = _converted(network, inputs, samples, expected)
    return unmarked(parsed, stored, len(inputs), len(expected.outputs))


def _converted(
    network: nn.Module, inputs: Sequence[Tensor], samples: Sequence[Array], expected: Answers
) -> tuple[graph.Graph, bytes]:
    with tempfile.TemporaryDirectory(prefix="bench-export-") as scratch:
        traced = Path(scratch, "network.pt")
        with transparent(network, eager.arguments(samples, 0)):
            recorded = torchscript.trace(network, samples, expected, traced, Equivalents(network))
        try:
            converted = pnnx.convert(traced, inputs)
        except ExportRefused as error:
            raise operators.explained(error, recorded) from None
    parsed = graph.parse(converted.param)
    operators.check(parsed, partial(operators.lines, recorded))
    return parsed, converted.weights


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
    if not layer.inputs or layer.outputs[0].startswith("out"):
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
