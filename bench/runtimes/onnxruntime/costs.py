"""What each node that ONNX Runtime executed has to do, from the ONNX file that it was made of.

Its profiler tells how many values a node's weights have, biases and fillings of whole vectors among them, or none where
it has packed them away. So multiply-adds are counted on the file's own nodes, as `bench inspect` counts them on the
author's network: without biases, and whatever the runtime makes of the node.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from bench.layered import LayerCost, Layers, LayerTime
from bench.records import Artifact

_FLOAT = 4
_COUNTED = {
    "Conv": "Conv", "FusedConv": "Conv", "NhwcConv": "Conv", "NhwcFusedConv": "Conv", "ConvTranspose": "ConvTranspose",
    "Gemm": "Gemm", "FusedGemm": "Gemm", "MatMul": "MatMul", "FusedMatMul": "MatMul",
}  # fmt: skip
"""What a node that was executed is in the file, where its multiply-adds can be counted. Gemm may be a MatMul there."""
_UNCOUNTED = frozenset(
    {"Attention", "ConvInteger", "DeformConv", "Einsum", "GRU", "If", "Loop", "LSTM", "MatMulInteger", "QLinearConv",
     "QLinearMatMul", "RNN", "Scan", "SequenceMap"}
)  # fmt: skip
"""Types of files that multiply more than is counted here."""
_OWN = frozenset({"ReorderInput", "ReorderOutput"})
"""Types that the runtime adds, which multiply nothing."""
_FOLLOWS = ("_nchwc", "/MatMulAddFusion")
"""What it adds to the name of a node, or of what a node makes, when it replaces it."""
_BEFORE = "fused "
_FURTHEST = 8
"""Nodes of a file that it makes one of."""

_Shape = tuple[int, ...]


@dataclass(frozen=True)
class _Node:
    """One of a file: `macs` are None where they are not known; `shape` is of its first output with the batch, () where
    it is not known; `sources` are the nodes whose outputs it reads; `weights` how many values of weights it reads."""

    type: str
    shape: _Shape
    macs: int | None
    weights: int
    sources: tuple[int, ...]


@dataclass(frozen=True)
class _File:
    """`named` has the place of a node by its name, `makers` by that of each of its outputs."""

    nodes: tuple[_Node, ...]
    named: Mapping[str, int]
    makers: Mapping[str, int]


def costs(artifact: Artifact, found: Layers) -> dict[int, LayerCost]:
    """By the place of the layer; one whose node in the file cannot be told, or whose arithmetic is not known, is left
    out."""
    file = artifact.file("onnx")
    known = _read(file.path, file.sha256)
    if known is None:
        return {}
    plain = {node.type for node in known.nodes} - _UNCOUNTED - set(_COUNTED) | _OWN
    made = {}
    for place, layer in enumerate(found.layers):
        if layer.read is None:
            continue
        if layer.type in plain and layer.weights is not None:
            made[place] = LayerCost(0, layer.read + layer.bytes + _FLOAT * layer.weights)
        elif (node := _node_of(layer, known)) is not None and node.macs is not None:
            made[place] = LayerCost(node.macs, layer.read + layer.bytes + _FLOAT * node.weights)
    return made


def _node_of(layer: LayerTime, file: _File) -> _Node | None:
    """The node that a layer with weights was made of: it is named after that node, or after the last of those that it
    was made of."""
    wanted = _COUNTED.get(layer.type)
    name = layer.name.removeprefix(_BEFORE)
    for ending in _FOLLOWS:
        name = name.partition(ending)[0]
    at = file.named.get(layer.name, file.named.get(name, file.makers.get(name)))
    for _ in range(_FURTHEST):
        if wanted is None or at is None:
            return None
        node = file.nodes[at]
        if node.type == wanted or (node.type, wanted) == ("MatMul", "Gemm"):
            return node if _same(layer, node) else None
        if node.type in _COUNTED or node.type in _UNCOUNTED or len(node.sources) != 1:
            return None
        (at,) = node.sources
    return None


def _same(layer: LayerTime, node: _Node) -> bool:
    """Whether a layer's output may be that of a node; channels may have been filled up."""
    shape = layer.outputs[0].shape if layer.outputs else ()
    if node.type in ("Gemm", "MatMul"):
        return shape[-1:] == node.shape[-1:]
    return shape[1:] == node.shape[2:] and shape[:1] >= node.shape[1:2]


@lru_cache(maxsize=4)
def _read(path: Path, sha256: str) -> _File | None:
    """A file, which is known by its digest; None where it cannot be read."""
    try:
        import onnx
        from onnx import shape_inference
    except ImportError:
        return None
    try:
        graph = onnx.load(path, load_external_data=False).graph
        weights = {one.name: tuple(one.dims) for one in graph.initializer}
        shapes = {one.name: _extents(one) for one in (*graph.input, *graph.value_info, *graph.output)} | weights
        if any(output not in shapes for node in graph.node for output in node.output if output):
            inferred = shape_inference.infer_shapes(onnx.load(path, load_external_data=False)).graph
            shapes = {one.name: _extents(one) for one in inferred.value_info} | shapes
    except Exception:  # protobuf's, and those of a shape that nobody can infer: then no work is known
        return None
    for node in graph.node:  # weights stored as float16
        if node.op_type == "Cast" and node.input[0] in weights:
            weights[node.output[0]] = weights[node.input[0]]
    makers = {output: at for at, node in enumerate(graph.node) for output in node.output if output not in weights}

    def known(name: str) -> _Shape:
        return weights.get(name) or shapes.get(name, ())

    nodes = tuple(
        _Node(
            node.op_type,
            known(node.output[0]),
            _macs(node.op_type, [known(name) for name in node.input], known(node.output[0])),
            sum(math.prod(weights[name]) for name in dict.fromkeys(node.input) if name in weights),
            tuple(dict.fromkeys(makers[name] for name in node.input if name in makers)),
        )
        for node in graph.node
        if node.output
    )
    named = {node.name: at for at, node in enumerate(graph.node) if node.name}
    return _File(nodes, named, makers)


def _extents(value: Any) -> _Shape:
    """The shape of a value; () where an extent is not known."""
    extents = tuple(one.dim_value for one in value.type.tensor_type.shape.dim)
    return extents if all(extent > 0 for extent in extents) else ()


def _macs(type_: str, inputs: Sequence[_Shape], output: _Shape) -> int | None:
    """Of a node with these shapes."""
    if type_ not in _COUNTED or len(inputs) < 2 or not inputs[0] or not inputs[1] or not output:
        return None
    match type_:
        case "Conv":
            return math.prod(output) * math.prod(inputs[1][1:])
        case "ConvTranspose":
            return math.prod(inputs[0]) * math.prod(inputs[1][1:])
        case "Gemm":
            return math.prod(output) * (math.prod(inputs[1]) // output[-1])
        case _ if len(inputs[0]) > 1 < len(inputs[1]):
            return math.prod(output) * inputs[0][-1]
    return None
