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

FLOAT32, FLOAT16 = 0, 1
DEQUANTIZE = 6


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
    """The .tflite file of a program that `bench.export.recorded` made."""
    import litert_torch

    recorded = torch.export.load(program)
    arguments = recorded.example_inputs[0]
    network = Named(recorded.module(), inputs, outputs)
    made = litert_torch.convert(network, sample_kwargs=dict(zip(inputs, arguments, strict=True)))
    return bytes(made.model_content())


def rewritten(file: bytes, half: bool) -> bytes:
    """The file without names of the user's modules, and with `half` with weights of two axes and more as float16 that
    are the same numbers, each widened by an operator that is computed when the file is loaded."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(file, 0)
    for graph in model.subgraphs:
        for number, tensor in enumerate(graph.tensors):
            tensor.name = f"t{number}".encode()
        if half:
            halve(schema, model, graph)
    builder = flatbuffers.Builder(len(file))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def halve(schema: Any, model: Any, graph: Any) -> None:
    """Store the weights of one graph as float16 that lose nothing by it."""
    codes = [code.builtinCode for code in model.operatorCodes]
    if DEQUANTIZE not in codes:
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = DEQUANTIZE
        code.version = 1
        model.operatorCodes.append(code)
        codes.append(DEQUANTIZE)
    widening = []
    for number, tensor in enumerate(list(graph.tensors)):
        data = model.buffers[tensor.buffer].data
        if tensor.type != FLOAT32 or data is None or len(tensor.shape) < 2:
            continue
        values = np.asarray(data, np.uint8).view("<f4")
        with np.errstate(over="ignore"):
            stored = values.astype("<f2")
        if not np.array_equal(stored.astype("<f4"), values):
            continue
        buffer = schema.BufferT()
        buffer.data = stored.view(np.uint8)
        model.buffers.append(buffer)
        narrow = schema.TensorT()
        narrow.name, narrow.type, narrow.shape = f"h{number}".encode(), FLOAT16, tensor.shape
        narrow.buffer = len(model.buffers) - 1
        graph.tensors.append(narrow)
        tensor.buffer = 0
        operator = schema.OperatorT()
        operator.opcodeIndex = codes.index(DEQUANTIZE)
        operator.inputs, operator.outputs = [len(graph.tensors) - 1], [number]
        widening.append(operator)
    graph.operators = [*widening, *graph.operators]
    drop_unused(model)


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
