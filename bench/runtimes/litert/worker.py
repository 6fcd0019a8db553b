"""Converts one recorded program into a .tflite file, with packages that bench's own environment cannot hold.

    python worker.py PROGRAM.pt2 FILE.tflite INPUTS OUTPUTS whole|half ERROR

INPUTS and OUTPUTS are names, separated by commas. What the converter cannot do is written to ERROR.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

FLOAT32, FLOAT16, INT32 = 0, 1, 2
DEQUANTIZE, RESHAPE = 6, 22


class Named(nn.Module):
    """A program whose inputs and outputs have names, which become those of the file's signature."""

    def __init__(self, program: nn.Module, inputs: list[str], outputs: list[str]) -> None:
        super().__init__()
        self.program, self.inputs, self.outputs = program, inputs, outputs
        self.training = False

    def forward(self, **given: torch.Tensor) -> dict[str, torch.Tensor]:
        found = self.program(*(given[name] for name in self.inputs))
        return dict(zip(self.outputs, found, strict=True))


def convert(program: Path, inputs: list[str], outputs: list[str]) -> bytes:
    """The .tflite file of a program that `bench.export.exported` made."""
    import litert_torch

    recorded = torch.export.load(program)
    arguments = recorded.example_inputs[0]
    network = Named(recorded.module(), inputs, outputs)
    made = litert_torch.convert(network, sample_kwargs=dict(zip(inputs, arguments, strict=True)))
    return bytes(made.model_content())


def rewritten(file: bytes, half: bool) -> bytes:
    """The file without names of the user's modules, with a tensor of its own for each output, and with `half` with
    weights of two axes and more as float16 that are the same numbers."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(file, 0)
    edit = Edit(schema, model)
    for number, graph in enumerate(model.subgraphs):
        for place, tensor in enumerate(graph.tensors):
            tensor.name = f"t{place}".encode()
        signatures = [one for one in model.signatureDefs if one.subgraphIndex == number]
        edit.separate_outputs(graph, signatures)
        if half:
            edit.halve(graph)
    drop_unused(model)
    builder = flatbuffers.Builder(len(file))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


class Edit:
    """Changes to the graphs of a file, by the classes that its schema generates."""

    def __init__(self, schema: Any, model: Any) -> None:
        self.schema, self.model = schema, model

    def separate_outputs(self, graph: Any, signatures: list[Any]) -> None:
        """Copy an output that is an input, a weight or another output too: LiteRT knows a tensor by one name only."""
        seen = set(graph.inputs) | {n for n, one in enumerate(graph.tensors) if self.data_of(one) is not None}
        outputs = {entry.name: entry for signature in signatures for entry in signature.outputs}
        for entry in outputs.values():
            place = entry.tensorIndex
            if place in seen:
                entry.tensorIndex = self.copied(graph, place)
            seen.add(place)
        graph.outputs = [entry.tensorIndex for entry in outputs.values()]

    def copied(self, graph: Any, place: int) -> int:
        """The place of a new tensor that is a copy of another."""
        tensor = graph.tensors[place]
        shape = np.asarray(tensor.shape, np.int32)
        wanted = self.added(graph, INT32, np.asarray(shape.shape, np.int32), shape)
        copy = self.added(graph, tensor.type, shape, None)
        self.operator(graph, RESHAPE, [place, wanted], copy, first=False)
        return copy

    def halve(self, graph: Any) -> None:
        """Store weights as float16 that lose nothing by it, each widened by an operator that is computed when the file
        is loaded."""
        for place, tensor in enumerate(list(graph.tensors)):
            data = self.data_of(tensor)
            if tensor.type != FLOAT32 or data is None or len(tensor.shape) < 2:
                continue
            values = np.asarray(data, np.uint8).view("<f4")
            with np.errstate(over="ignore"):
                stored = values.astype("<f2")
            if np.array_equal(stored.astype("<f4"), values):
                narrow = self.added(graph, FLOAT16, tensor.shape, stored)
                self.operator(graph, DEQUANTIZE, [narrow], place, first=True)
                tensor.buffer = 0

    def data_of(self, tensor: Any) -> Any:
        return self.model.buffers[tensor.buffer].data

    def added(self, graph: Any, kind: int, shape: Any, values: Any) -> int:
        """The place of a new tensor, with `values` a constant."""
        buffer = self.schema.BufferT()
        buffer.data = None if values is None else values.view(np.uint8)
        self.model.buffers.append(buffer)
        tensor = self.schema.TensorT()
        tensor.name, tensor.type, tensor.shape = f"t{len(graph.tensors)}".encode(), kind, shape
        tensor.buffer = len(self.model.buffers) - 1
        graph.tensors.append(tensor)
        return len(graph.tensors) - 1

    def operator(self, graph: Any, kind: int, inputs: list[int], output: int, *, first: bool) -> None:
        codes = [code.builtinCode for code in self.model.operatorCodes]
        if kind not in codes:
            code = self.schema.OperatorCodeT()
            code.builtinCode = code.deprecatedBuiltinCode = kind
            code.version = 1
            self.model.operatorCodes.append(code)
            codes.append(kind)
        made = self.schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = codes.index(kind), inputs, [output]
        graph.operators = [made, *graph.operators] if first else [*graph.operators, made]


def drop_unused(model: Any) -> None:
    """Empty the buffers that no tensor has any more."""
    used = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
    used |= {entry.buffer for entry in model.metadata or []}
    for number, buffer in enumerate(model.buffers):
        if number not in used:
            buffer.data = None


def main() -> None:
    """As this module's first lines say."""
    warnings.simplefilter("ignore")
    program, file, inputs, outputs, kind, error = sys.argv[1:]
    try:
        made = convert(Path(program), inputs.split(","), outputs.split(","))
        Path(file).write_bytes(rewritten(made, kind == "half"))
    except Exception as failed:  # the converter's own, of many kinds
        lines = [line.strip() for line in str(failed).splitlines() if line.strip()] or [""]
        Path(error).write_text(f"{type(failed).__name__}: {lines[0]}", encoding="utf-8")


if __name__ == "__main__":
    main()
