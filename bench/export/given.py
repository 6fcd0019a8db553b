"""Graphs that are measured as they are given: ONNX files, and ncnn's own pair of files."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.errors import CorruptData, ExportRefused, ToolMissing
from bench.export import eager, graph, ncnn, operators, pnnx
from bench.export.answers import Answers
from bench.export.eager import Array
from bench.records import Tensor

if TYPE_CHECKING:
    import onnx

OLDEST = 9
"""Of ONNX's versions of its operators, the first that the onnx package and pnnx interpret alike."""
_FLATTENING = ("Softmax", "LogSoftmax", "Hardmax")
"""Until version 13 these took all axes from theirs on as one, which neither pnnx nor the reference does."""


def ncnn_pair(param: Path, folder: Path) -> tuple[str, ...]:
    """Copy a ready pair, `param` and the .bin beside it, as graph.param and weights.bin; returns the names of its
    outputs, which are the blobs that no layer reads.

    Raises CorruptData when the weights are not exactly those that the graph loads, or are not finite, and ExportRefused
    for a graph with layers that are not ncnn's.
    """
    weights = param.with_suffix(".bin")
    try:
        text, stored = param.read_text(encoding="utf-8"), weights.read_bytes()
    except (OSError, UnicodeDecodeError) as error:
        raise CorruptData(f"{param} or {weights.name} cannot be read: {error}") from None
    try:
        parsed = graph.parse(text)
    except ExportRefused:
        raise CorruptData(f"{param} is not an ncnn param file") from None
    operators.check(parsed)
    blobs = parsed.blobs()
    try:
        values = graph.split(stored, blobs)
    except ExportRefused as error:
        raise CorruptData(f"{weights} is not the file of {param.name}: {error.what}") from None
    _check_values(parsed, values, str(weights))
    shutil.copyfile(param, folder / "graph.param")
    shutil.copyfile(weights, folder / "weights.bin")
    used = {blob for layer in parsed.layers for blob in layer.inputs}
    return tuple(blob for layer in parsed.layers for blob in layer.outputs if blob not in used)


def _check_values(parsed: graph.Graph, values: Sequence[Array], title: str) -> None:
    left = iter(values)
    for layer in parsed.layers:
        blobs = [next(left) for _ in layer.blobs()]
        for blob in blobs:
            _check_finite(blob, f"{title} has weights of {layer.type} {layer.name!r}")
        if layer.type == "BatchNorm":
            _check_variances(blobs[2], f"{title} has weights of BatchNorm {layer.name!r}")


def _check_finite(values: Array, words: str) -> None:
    """Raises CorruptData for NaN and infinity, of which masks and limits may be: -inf, and a single value."""
    if values.dtype.kind != "f" or np.isfinite(values.sum(dtype=np.float64)):
        return
    bad = np.isnan(values) | (np.isposinf(values) & (values.size > 1))
    if bad.any():
        raise CorruptData(f"{words} that are not finite: {int(bad.sum()):,} of {values.size:,} values", _AGAIN)


def _check_variances(values: Array, words: str) -> None:
    if (values < 0).any():
        raise CorruptData(f"{words} whose variances are below 0: {int((values < 0).sum()):,} of them", _AGAIN)


def onnx_answers(path: Path, samples: Sequence[Array]) -> Answers:
    """What an ONNX file answers to each sample, computed by the onnx package's own evaluator.

    Raises ToolMissing (the package is not installed), and ExportRefused as `eager.answers` does, and for operators that
    are not ONNX's own or older than OLDEST, and CorruptData for a file that is not whole or not finite.
    """
    model = checked_model(path)
    reference = _package().reference.ReferenceEvaluator(model)
    kinds = {given.name: given.type.tensor_type.elem_type for given in model.graph.input}
    rows = []
    for number in range(len(samples[0])):
        feeds = {}
        for name, array in zip(_inputs(model), samples, strict=True):
            feeds[name] = array[number : number + 1].astype(_package().helper.tensor_dtype_to_np_dtype(kinds[name]))
        try:
            rows.append([np.asarray(each) for each in reference.run(None, feeds)])
        except Exception as error:  # whatever an operator's implementation raises
            words = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
            raise ExportRefused(f"the onnx package cannot run {path.name}: {words}", _FIX) from error
    names = [output.name for output in model.graph.output]
    return eager.gathered([list(zip(names, row, strict=True)) for row in rows])


def export_onnx(path: Path, inputs: Sequence[Tensor], folder: Path) -> tuple[str, ...]:
    """Write graph.param and weights.bin of an ONNX file for these inputs; returns the names of its outputs there.

    Raises as `onnx_answers` does.
    """
    model = checked_model(path)
    names = dict(zip(_inputs(model), inputs, strict=True))
    nodes = list(model.graph.node)
    with tempfile.TemporaryDirectory(prefix="bench-export-") as scratch:
        marked = Path(scratch, "network.onnx")
        _mark(model, names)
        _package().save(model, str(marked))
        converted = pnnx.convert(marked, inputs)
    parsed = graph.parse(converted.param)
    operators.check(parsed, lambda kind: [_title(node) for node in nodes if node.op_type == kind])
    ncnn.write(*ncnn.unmarked(parsed, converted.weights, len(inputs), len(model.graph.output)), folder)
    return tuple(f"out{number}" for number in range(len(model.graph.output)))


_AGAIN = "Export the network again, from weights of a training that did not diverge."
_BRANCHES = ("If", "Loop", "Scan")
_FIX = "Export it again with a newer opset, or give the network's own code (net.py:build)."


def _package() -> Any:
    try:
        import onnx
        import onnx.reference
    except ImportError:
        raise ToolMissing("ONNX files need the package onnx", "pip install 'fr-bench[onnx]'") from None
    return onnx


def checked_model(path: Path) -> onnx.ModelProto:
    try:
        model: onnx.ModelProto = _package().load(str(path))
    except Exception as error:  # protobuf's, and those of files beside it
        words = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise CorruptData(f"{path} cannot be read: {words}", "Export the network to ONNX again.") from None
    version = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    if version < OLDEST:
        raise ExportRefused(f"{path.name} uses ONNX opset {version}; the oldest supported is {OLDEST}", _FIX)
    _check_onnx_values(model, str(path))
    for node in model.graph.node:
        if node.op_type in _BRANCHES:
            raise ExportRefused(
                f"{path.name} decides by values what it computes: {_title(node)}",
                "A graph in ncnn holds one path: export the network without it.",
            )
        if node.domain not in ("", "ai.onnx"):
            raise ExportRefused(
                f"{path.name} has an operator that is not ONNX's own: {node.domain}.{_title(node)}", _FIX
            )
        if version < 13 and node.op_type in _FLATTENING:
            raise ExportRefused(
                f"{path.name} uses ONNX opset {version}, in which {_title(node)} has another meaning than today", _FIX
            )
    return model


def _check_onnx_values(model: onnx.ModelProto, title: str) -> None:
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant":
            stored.update((node.output[0], given.t) for given in node.attribute if given.name == "value")
    values = {name: _package().numpy_helper.to_array(tensor) for name, tensor in stored.items()}
    for name, array in values.items():
        _check_finite(array, f"{title} has weights {name!r}")
    for node in model.graph.node:
        if node.op_type == "BatchNormalization" and node.input[4] in values:
            _check_variances(values[node.input[4]], f"{title} has weights {node.input[4]!r}")


def _title(node: onnx.NodeProto) -> str:
    return f"{node.op_type} {node.name or node.output[0]!r}"


def _inputs(model: onnx.ModelProto) -> list[str]:
    weights = {weight.name for weight in model.graph.initializer}
    return [given.name for given in model.graph.input if given.name not in weights]


def _mark(model: onnx.ModelProto, inputs: dict[str, Tensor]) -> None:
    """Put a node that does nothing behind each input, which tells pnnx that the first axis is the batch."""
    helper, number = _package().helper, _package().numpy_helper
    for name, tensor in inputs.items():
        if tensor.dtype != "float32":
            continue
        marked = f"{name}/marked"
        for node in model.graph.node:
            node.input[:] = [marked if each == name else each for each in node.input]
        if len(tensor.shape) > 1:
            mark = helper.make_node("MaxPool", [name], [marked], kernel_shape=[1] * (len(tensor.shape) - 1))
        else:
            parts = [f"{marked}/{part}" for part in ("scale", "bias", "mean", "variance")]
            for part, value in zip(parts, (1, 0, 0, 1), strict=True):
                constant = np.full(tensor.shape, value, np.float32)
                model.graph.initializer.append(number.from_array(constant, part))
            mark = helper.make_node("BatchNormalization", [name, *parts], [marked], epsilon=0.0)
        model.graph.node.insert(0, mark)
