"""One pass for what stands between two pointwise layers of a low-rank network, in a graph of ncnn's ordinary layers.

An expansion makes many channels of few, a reduction few of many, and between them stand things that treat each channel
by itself. The runner's layer `LowRankPass` does all of it for a few pixels at a time (`docs/resident.md`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bench.cache import file_of
from bench.export import graph as param
from bench.export import ncnn
from bench.export.channelwise import halves
from bench.export.cost import Shape, effort, sure_shapes
from bench.export.graph import Graph, Layer
from bench.export.layers import pieces
from bench.export.pointwise import Activation, Affine, Pointwise, activation_of, affine_of, pointwise_of
from bench.export.rank_pass import LowRankPass
from bench.export.resident import with_splits
from bench.records import ArtifactFile, Tensor

Floats = NDArray[np.float32]
Choice = Literal["all", "cheapest"]
LARGE = 1 << 16
"""Values of a matrix from which on it pays to keep them as float16."""
_COPIES = ("Split", "RankSplit")
_GIVEN = -1
"""Who reads the network's outputs, beside its layers."""


@dataclass(frozen=True, eq=False)
class Node:
    """A layer with the weights that it loads."""

    layer: Layer
    blobs: tuple[Floats, ...] = ()


@dataclass(frozen=True, eq=False)
class Place:
    """What can be one layer: the numbers of the nodes that go, and the nodes that come where the node `at` stood."""

    members: frozenset[int]
    at: int
    nodes: tuple[Node, ...]


def rewrite(
    files: Sequence[ArtifactFile], inputs: Sequence[Tensor], folder: Path, choice: Choice
) -> tuple[ArtifactFile, ...]:
    """Rewrite the pair of files of ncnn in `folder`, and return `files` with the new pair in the place of the old one.

    `all` makes every pass that there can be, `cheapest` those that cost less (`bench.export.cost`). Weights that were
    float16 stay float16, in memory too where a pass or large linear layer has them. Answers differ by rounding. Raises
    ExportRefused for files that are not such a pair.
    """
    named = {file.role: folder / file.path.name for file in files}
    parsed = param.parse(named["graph"].read_text(encoding="ascii"))
    stored = named["weights"].read_bytes()
    half = param.has_half(stored, parsed.blobs())
    nodes = rewritten(parsed, param.split(stored, parsed.blobs()), inputs, choice, half=half)
    ncnn.write(Graph(tuple(node.layer for node in nodes)), [b for node in nodes for b in node.blobs], folder, half=half)
    made = {role: file_of(folder / name, role) for role, name in (("graph", "graph.param"), ("weights", "weights.bin"))}
    return tuple(made.get(file.role, file) for file in files)


def rewritten(
    graph: Graph, values: Sequence[Floats], inputs: Sequence[Tensor], choice: Choice, *, half: bool
) -> list[Node]:
    """The graph's layers with passes among them, and their weights. `half`: whether weights may stay float16."""
    left = iter(values)
    nodes = _plain([Node(layer, tuple(next(left) for _ in layer.blobs())) for layer in graph.layers])
    # A linear layer in float16 gains memory, which effort does not see; and it costs no time.
    wanted = _Network(nodes, inputs, half).places()
    chosen = wanted if choice == "all" else _cheapest(nodes, wanted, inputs)
    made = _replaced(nodes, chosen)
    if chosen:
        sizes = sure_shapes(Graph(tuple(node.layer for node in made)), inputs)
        made = [_core(node, sizes) for node in made]
    if half:
        made = _replaced(made, _Network(made, inputs, half).linear())
    return split(made)


def _cheapest(nodes: Sequence[Node], places: Sequence[Place], inputs: Sequence[Tensor]) -> list[Place]:
    """The places that make the graph cost less, each beside the others that were kept."""

    def cost(some: Sequence[Place]) -> float:
        return effort(Graph(tuple(node.layer for node in split(_replaced(nodes, some)))), inputs)

    kept, least = list(places), cost(places)
    for place in places:
        others = [one for one in kept if one is not place]
        if (without := cost(others)) < least:
            kept, least = others, without
    return kept


def _replaced(nodes: Sequence[Node], places: Sequence[Place]) -> list[Node]:
    gone = {number for place in places for number in place.members}
    new = {place.at: place.nodes for place in places}
    return [
        node
        for number, old in enumerate(nodes)
        for node in (new.get(number, ()) if number in gone else (old,))
    ]  # fmt: skip


def _plain(nodes: Sequence[Node]) -> list[Node]:
    """Without the layers that only copy: a blob may be read by several then."""
    names: dict[str, str] = {}
    found = []
    outputs = set(Graph(tuple(node.layer for node in nodes)).outputs())
    for node in nodes:
        inputs = tuple(names.get(blob, blob) for blob in node.layer.inputs)
        if node.layer.type in (*_COPIES, "Dropout", "Noop") and not outputs & set(node.layer.outputs):
            names.update(dict.fromkeys(node.layer.outputs, inputs[0]))
            continue
        found.append(replace(node, layer=replace(node.layer, inputs=inputs)))
    return found


def split(nodes: Sequence[Node]) -> list[Node]:
    """With a Split wherever a blob is read by several layers, as ncnn wants it."""
    blobs = iter([node.blobs for node in nodes if node.layer.type not in _COPIES])
    layers = with_splits([node.layer for node in nodes])
    return [Node(layer, () if layer.type in _COPIES else next(blobs)) for layer in layers]


@dataclass(eq=False)
class _Chain:
    """What has become of an expansion on the way down: y = act(E z + bias + added), the largest of 2×2 of it, then a
    factor and a term."""

    expansion: Pointwise
    members: list[int]
    blob: str
    weight: Floats
    bias: Floats
    activation: Activation | None
    added: str | None = None
    pooled: bool = False
    flattened: bool = False
    after: Affine | None = None


class _Network:
    def __init__(self, nodes: Sequence[Node], inputs: Sequence[Tensor], half: bool) -> None:
        self.nodes = nodes
        self.half = half
        graph = Graph(tuple(node.layer for node in nodes))
        self.shapes = sure_shapes(graph, inputs)
        self.readers: dict[str, list[int]] = {blob: [_GIVEN] for blob in graph.outputs()}
        for number, node in enumerate(nodes):
            for blob in node.layer.inputs:
                self.readers.setdefault(blob, []).append(number)
        self.makers = {blob: node.layer.type for node in nodes for blob in node.layer.outputs}

    def places(self) -> list[Place]:
        """Every pass that there can be, none of which needs a layer of another."""
        found: list[Place] = []
        used: set[int] = set()
        for number in range(len(self.nodes)):
            place = None if number in used else self._place(number, used)
            if place:
                found.append(place)
                used |= place.members
        return found

    def linear(self) -> list[Place]:
        """Large linear layers, and convolutions of one pixel, with weights that stay float16."""
        places = (self._linear(number) for number in range(len(self.nodes)))
        return [place for place in places if place]

    def _place(self, number: int, used: Collection[int]) -> Place | None:
        chain = self._start(number)
        if chain is None:
            return None
        while self._goes_on(chain, used):
            pass
        readers = self.readers.get(chain.blob, [])
        found = (self._reduction(chain, reader) for reader in readers if reader not in (_GIVEN, *used))
        reduction = next((one for one in found if one), None)
        alone = len(readers) == 1
        if reduction and (alone or not (chain.pooled or chain.after or chain.flattened)):
            return self._pass(chain, reduction, wide=not alone)
        plain = not (chain.after or chain.flattened)
        return self._pass(chain, None, wide=False) if chain.added and plain else None

    def _start(self, number: int) -> _Chain | None:
        node = self.nodes[number]
        found = pointwise_of(node.layer, node.blobs)
        if found is None or (shape := self.shapes.get(node.layer.inputs[0])) is None:
            return None
        channels, inputs = found.weight.shape
        if (math.prod(shape) if found.flat else shape[0]) != inputs or channels < inputs:
            return None
        return _Chain(found, [number], node.layer.outputs[0], found.weight, found.bias, found.activation)

    def _goes_on(self, chain: _Chain, used: Collection[int]) -> bool:
        """Whether the only reader of the chain's blob could be taken in."""
        readers = self.readers.get(chain.blob, [])
        if len(readers) != 1 or readers[0] == _GIVEN or readers[0] in used:
            return False
        node = self.nodes[readers[0]]
        if len(node.layer.outputs) != 1 or not self._takes_in(chain, node):
            return False
        chain.members.append(readers[0])
        chain.blob = node.layer.outputs[0]
        return True

    def _takes_in(self, chain: _Chain, node: Node) -> bool:
        layer = node.layer
        straight = chain.activation is None and not chain.pooled and chain.after is None
        if affine := affine_of(layer, node.blobs):
            return len(affine.scale) == len(chain.bias) and _apply(chain, affine, straight and chain.added is None)
        if activation := activation_of(layer, node.blobs):
            if activation.slopes is not None and len(activation.slopes) != len(chain.bias):
                return False
            if chain.activation or chain.after or (chain.pooled and not activation.is_monotone):
                return False
            chain.activation = activation
            return True
        if halves(layer) and layer.type == "Pooling":
            if chain.pooled or chain.added or chain.after or chain.expansion.flat:
                return False
            chain.pooled = True
            return True
        if layer.type == "Flatten" and self.shapes.get(chain.blob, ())[1:] == (1, 1):
            chain.flattened = not chain.expansion.flat
            return True
        if straight and chain.added is None and _adds(layer):
            other = next(blob for blob in layer.inputs if blob != chain.blob)
            shape = self.shapes.get(other)
            if shape is not None and shape == self.shapes.get(chain.blob) and not chain.flattened:
                chain.added = other
                return True
        return False

    def _reduction(self, chain: _Chain, reader: int) -> tuple[int, Pointwise] | None:
        node = self.nodes[reader]
        found = pointwise_of(node.layer, node.blobs)
        if found is None or found.activation is not None:
            return None
        reduced, channels = found.weight.shape
        if channels != len(chain.bias) or reduced > channels:
            return None
        shape = self.shapes.get(chain.blob)
        if shape is None or shape[0] != len(chain.bias):
            return None
        # What gives a row of values where there was an image, or the reverse, is another matter.
        single = shape[1:] == (1, 1) and self.readers[chain.blob] == [reader]
        if found.flat != chain.expansion.flat:
            if not (found.flat and single):
                return None
            chain.flattened = True
        return reader, found

    def _pass(self, chain: _Chain, reduction: tuple[int, Pointwise] | None, *, wide: bool) -> Place:
        outputs = [chain.blob]
        matrices = [(chain.weight, chain.bias)]
        members = set(chain.members)
        if reduction:
            number, found = reduction
            members.add(number)
            reduced = self.nodes[number].layer.outputs[0]
            outputs = [reduced, chain.blob] if wide else [reduced]
            weight, bias = found.weight.astype(np.float64), found.bias.astype(np.float64)
            if chain.after:
                bias = bias + weight @ chain.after.shift
                weight = weight * chain.after.scale
            matrices.append((weight.astype(np.float32), bias.astype(np.float32)))
        (source,) = self.nodes[chain.members[0]].layer.inputs
        flags = {LowRankPass.POOLED: chain.pooled, LowRankPass.ADDED: bool(chain.added), LowRankPass.WIDE: wide}
        inputs = (source, chain.added) if chain.added else (source,)
        nodes = list(self._nodes(chain, matrices, flags, inputs, outputs))
        # Where the wide space was made: who else reads it may come before the reduction.
        return Place(frozenset(members), max(chain.members), tuple(nodes))

    def _nodes(
        self, chain: _Chain, matrices: Sequence[tuple[Floats, Floats]], flags: dict[LowRankPass, bool],
        inputs: tuple[str, ...], outputs: list[str],
    ) -> Iterator[Node]:  # fmt: skip
        activation = chain.activation or Activation("0")
        half = self.half and all(_is_half(weight) for weight, _ in matrices)
        parameters = {LowRankPass.CHANNELS: str(len(chain.bias)), LowRankPass.RANK: str(chain.weight.shape[1])}
        if len(matrices) > 1:
            parameters[LowRankPass.REDUCED] = str(len(matrices[1][1]))
        if activation.kind != "0":
            parameters[LowRankPass.ACTIVATION] = activation.kind
        parameters |= dict(zip((LowRankPass.A, LowRankPass.B), activation.numbers, strict=False))
        parameters |= {key: "1" for key, on in (flags | {LowRankPass.HALF: half}).items() if on}
        (first, *others), blobs = matrices, []
        for weight, bias in (first, *others):
            ends = np.cumsum(pieces(*weight.shape))[:-1]
            blobs += [*(part.reshape(-1) for part in np.split(weight, ends)), bias]
            if weight is first[0] and activation.slopes is not None:
                blobs.append(activation.slopes)
        if chain.expansion.flat and self.makers.get(inputs[0]) not in ("Flatten", "InnerProduct"):
            flat = f"{inputs[0]}/flat"
            yield Node(Layer("Flatten", "-", inputs[:1], (flat,), {}))
            inputs = (flat, *inputs[1:])
        made = outputs
        if chain.flattened:
            made = [f"{outputs[0]}/image"]
        yield Node(
            Layer("LowRankPass", "-", inputs, tuple(made), {str(k): v for k, v in parameters.items()}), tuple(blobs)
        )
        if chain.flattened:
            yield Node(Layer("Flatten", "-", tuple(made), tuple(outputs), {}))

    def _linear(self, number: int) -> Place | None:
        node = self.nodes[number]
        layer = node.layer
        shape = self.shapes.get(layer.inputs[0]) if len(layer.inputs) == 1 else None
        if shape is None or not node.blobs or node.blobs[0].size < LARGE or not _is_half(node.blobs[0]):
            return None
        image = layer.type == "Convolution" and _covers(layer, shape)
        if image:
            linear = {"0": layer.parameters["0"], "1": layer.parameters.get("5", "0"), "2": layer.parameters["6"]}
            linear |= {key: layer.parameters[key] for key in ("9", "10", "-23310") if key in layer.parameters}
            layer = Layer("InnerProduct", "-", layer.inputs, layer.outputs, linear)
        if layer.type != "InnerProduct":
            return None
        found = pointwise_of(layer, node.blobs)
        if found is None or found.weight.shape[1] != math.prod(shape):
            return None
        chain = _Chain(found, [number], layer.outputs[0], found.weight, found.bias, found.activation)
        row = f"{chain.blob}/row"
        outputs = [row] if image else [chain.blob]
        nodes = list(self._nodes(chain, [(found.weight, found.bias)], {}, layer.inputs, outputs))
        if image:
            size = {"0": "1", "1": "1", "2": str(len(found.bias))}
            nodes.append(Node(Layer("Reshape", "-", (row,), (chain.blob,), size)))
        return Place(frozenset([number]), number, tuple(nodes))


NO_WINOGRAD = {"31": "64"}
"""The parameter of every layer of ncnn that takes Winograd's method from it (`featmask` in src/layer.h)."""
FEW_CHANNELS, FEW_PIXELS = 16, 256


def _core(node: Node, shapes: Mapping[str, Shape]) -> Node:
    """What stands between two passes: of very few channels by our own layer. For few pixels, and for few channels,
    without Winograd's method, whose weights and workspace are a large part of the memory that is left."""
    layer, p = node.layer, node.layer.parameters
    shape = shapes.get(layer.inputs[0]) if layer.type == "Convolution" else None
    after = shapes.get(layer.outputs[0])
    if shape is None or after is None or any(p.get(key, "0") != "0" for key in ("5", "8", "9", "19")):
        return node
    kernel = int(p["1"]) * int(p.get("11", p["1"]))
    padded = [int(p.get(key, "0")) for key in ("4", "14", "15", "16")]
    if kernel > 1 and min(padded) >= 0 and min(shape[0], after[0]) < FEW_CHANNELS and max(shape[0], after[0]) <= 32:
        return replace(node, layer=replace(layer, type="RankCore"))
    heavy = math.prod(after[1:]) <= FEW_PIXELS and node.blobs[0].size >= LARGE
    if p["1"] == "3" and kernel == 9 and (heavy or max(shape[0], after[0]) <= FEW_CHANNELS):
        return replace(node, layer=replace(layer, parameters={**p, **NO_WINOGRAD}))
    return node


def _apply(chain: _Chain, affine: Affine, straight: bool) -> bool:
    scale, shift = affine.scale.astype(np.float64), affine.shift.astype(np.float64)
    if straight:
        chain.weight = (scale[:, None] * chain.weight).astype(np.float32)
        chain.bias = (scale * chain.bias + shift).astype(np.float32)
        chain.activation = affine.activation
        return True
    if chain.after or affine.activation:
        return False
    chain.after = affine
    return True


def _adds(layer: Layer) -> bool:
    """Whether it is the sum of two blobs."""
    p = layer.parameters.get
    if len(layer.inputs) != 2 or layer.inputs[0] == layer.inputs[1]:
        return False
    if layer.type == "BinaryOp":
        return p("0", "0") == "0" and p("1", "0") == "0"
    return layer.type == "Eltwise" and p("0") == "1" and not {"1", "-23301"} & set(layer.parameters)


def _covers(layer: Layer, shape: Shape) -> bool:
    """Whether a convolution has one place only, all of its input."""
    p = layer.parameters.get
    across = p("1", "0")
    kernel = (int(p("11", across)), int(across))
    zeros = all(p(key, "0") == "0" for key in ("4", "14", "15", "16", "8", "19"))
    return kernel == shape[1:] and kernel != (1, 1) and zeros and p("2", "1") == "1" and p("12", "1") == "1"


def _is_half(values: Floats) -> bool:
    with np.errstate(over="ignore"):
        return bool(np.array_equal(values.astype("<f2").astype("<f4"), values))
