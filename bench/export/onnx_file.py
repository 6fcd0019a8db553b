"""A network as one ONNX file, written by torch's own exporter (torch.export and onnxscript)."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from bench.errors import ExportRefused, ToolMissing
from bench.export import exported, given
from bench.export.eager import Array
from bench.records import Tensor

OPSET = 20
"""Of ONNX's operators; every runtime here takes it."""
_FLOAT, _INT32, _INT64, _HALF = 1, 6, 7, 10


def export(
    network: nn.Module, inputs: Sequence[Tensor], samples: Sequence[Array], outputs: int, path: Path, *, half: bool
) -> None:
    """Write a network that answers with so many `outputs` to samples (N, *shape) of its inputs, as it computes one.

    Inputs are called as `inputs` are, outputs out0, out1, …; the first axis of each is a batch of 1. `half` stores
    weights as float16 that lose nothing by it. Raises ToolMissing, and ExportRefused where torch's exporter cannot.
    """
    need_exporter()
    names = [f"out{number}" for number in range(outputs)]
    with exported.recorded(network, samples, "ONNX file", ("torch.onnx",)) as (program, arguments):
        try:
            made = torch.onnx.export(
                program, arguments, None, input_names=[one.name for one in inputs], output_names=names,
                opset_version=OPSET, dynamo=True, external_data=False, verbose=False,
            )  # fmt: skip
        except Exception as error:  # the exporter's own, of many kinds
            raise ExportRefused(
                f"torch's exporter to ONNX refuses it: {exported.words(error)}", "Replace that operator, or use ncnn."
            ) from error
    assert made is not None
    _write(made.model_proto, path, half=half)


def export_given(graph: Path, inputs: Sequence[Tensor], path: Path) -> tuple[str, ...]:
    """Write a user's ONNX file in one piece, with inputs that a job's samples can fill and outputs of float32; returns
    the names of its outputs. Raises ToolMissing, ExportRefused and CorruptData."""
    model = given.checked_model(graph)
    helper = _onnx().helper
    weights = {weight.name for weight in model.graph.initializer}
    taken = [one for one in model.graph.input if one.name not in weights]
    for one, tensor in zip(taken, inputs, strict=True):
        if one.type.tensor_type.elem_type == _INT64:
            wide = f"{one.name}/int64"
            for node in model.graph.node:
                node.input[:] = [wide if name == one.name else name for name in node.input]
            model.graph.node.insert(0, helper.make_node("Cast", [one.name], [wide], to=_INT64))
            one.type.tensor_type.elem_type = _INT32
        _rename(model, one, tensor.name)
    for number, one in enumerate(model.graph.output):
        narrow = f"out{number}"
        model.graph.node.append(helper.make_node("Cast", [one.name], [narrow], to=_FLOAT))
        one.name, one.type.tensor_type.elem_type = narrow, _FLOAT
    _write(model, path, half=False)
    return tuple(one.name for one in model.graph.output)


def need_exporter() -> None:
    """Raise ToolMissing where the packages are not installed that write ONNX files."""
    lacking = [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]
    if lacking:
        raise ToolMissing(
            f"ONNX files are written with the packages onnx and onnxscript; {' and '.join(lacking)} cannot be found",
            "pip install 'fr-bench[onnxruntime]'",
        )


def _onnx() -> Any:
    import onnx
    import onnx.helper
    import onnx.numpy_helper

    return onnx


def _rename(model: Any, one: Any, name: str) -> None:
    for node in model.graph.node:
        node.input[:] = [name if each == one.name else each for each in node.input]
    one.name = name


def _write(model: Any, path: Path, *, half: bool) -> None:
    """Without what only a person reads: the exporter writes lines of the user's source, and where they are, into it."""
    for node in model.graph.node:
        node.ClearField("doc_string")
        node.ClearField("metadata_props")
    for part in (model, model.graph, *model.graph.value_info, *model.graph.input, *model.graph.output):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    if half:
        _halve(model)
    data = model.SerializeToString(deterministic=True)
    path.write_bytes(data)


def _halve(model: Any) -> None:
    """Store weights of two axes and more as float16, with a cast that a runtime computes when it loads them."""
    onnx = _onnx()
    casts = []
    for weight in model.graph.initializer:
        if weight.data_type != _FLOAT or len(weight.dims) < 2:
            continue
        values = onnx.numpy_helper.to_array(weight)
        with np.errstate(over="ignore"):
            stored = values.astype(np.float16)
        if not np.array_equal(stored.astype(np.float32), values):
            continue
        name = weight.name
        weight.CopyFrom(onnx.numpy_helper.from_array(stored, f"{name}/half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}/half"], [name], to=_FLOAT))
    for cast in reversed(casts):
        model.graph.node.insert(0, cast)
