"""From a graph of ordinary layers to one that stays in the small spaces of its FR weights (`docs/resident.md`).

A truncated DCT weight is E · core · R with fixed E and R: it reads `r_in` numbers a pixel and makes `r_out`. Between
two such layers stand only things that happen channel by channel (a norm, a bias, ReLU, pooling): one layer, `RankPass`,
expands, does them and reduces again, a channel at a time: the wide activation is never in memory.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal

from bench.export import channelwise
from bench.export.cost import effort
from bench.export.graph import Blob, Graph, Layer
from bench.export.rank_pass import RankPass
from bench.export.spaces import Source, Space, Widths
from bench.export.strips import in_strips
from bench.records import Tensor


@dataclass(frozen=True)
class Weight:
    """What the pass has to know of a weight that is the first columns of E and R around a core.

    `shape` are the extents of the weight and `box` those of the kept coefficients, both as (out, in, kernel…).
    """

    shape: tuple[int, ...]
    box: tuple[int, ...]

    @property
    def core(self) -> int:
        """Values of the small core: the box, spatial along the kernel axes."""
        return math.prod(self.box[:2]) * math.prod(self.shape[2:])


@dataclass(frozen=True)
class Narrow:
    """A blob that is known as E z (rank 0: as itself), and what is still to be done to each of its channels."""

    z: str
    channels: int
    rank: int
    vectors: tuple[str, ...] = ()
    epsilon: str | None = None
    relu: bool = False
    pooled: bool = False

    @property
    def plain(self) -> bool:
        """Whether it is a linear map of z, so that zeros around z are zeros around it."""
        return not self.vectors and self.epsilon is None and not self.relu and not self.pooled


Form = Literal["dense", "factored", "resident"]
FORMS: tuple[Form, ...] = ("dense", "factored", "resident")
"""How a layer runs: on its whole weight; as three layers, wide outside and small within; or on its core alone."""

_POINTS_A_COLUMN_OF_ANSWERS = 2
"""At m points ReLU's frequency 2m - k counts as column k. A layer in the middle is normalised after that; the sums of a
last one are the answer, so there the nearest such frequency is kept at 3 times the columns."""

Parts = tuple[Narrow, ...]
"""A blob as the concatenation of these."""


@dataclass
class _Pass:
    """The walk along the layers; `features` holds what is narrow so far, `made` the layers of the new graph.

    `wide_in` and `wide_out` are the layers that read or write a wide activation though they run on their core; `makers`
    are the layers whose output each z is, `spaces` those outputs, computed at `points`, and `answers` the network's.
    """

    forms: Mapping[int, Form]
    weights: Mapping[int, Weight]
    points: Mapping[int, int]
    answers: Collection[str]
    features: dict[str, Parts] = field(default_factory=dict)
    made: list[Layer] = field(default_factory=list)
    wide_in: set[int] = field(default_factory=set)
    wide_out: set[int] = field(default_factory=set)
    makers: dict[str, int] = field(default_factory=dict)
    spaces: dict[int, Space] = field(default_factory=dict)
    reads: dict[int, tuple[Source, ...]] = field(default_factory=dict)
    count: int = 0

    def fresh(self) -> str:
        self.count += 1
        return f"'{self.count}"

    def emit(
        self, kind: str, inputs: Sequence[str], parameters: Mapping[str, object], output: str | None = None
    ) -> str:
        output = output or self.fresh()
        text = {key: str(value) for key, value in parameters.items()}
        self.made.append(Layer(kind, "-", tuple(inputs), (output,), text))
        return output

    def rank_pass(
        self, part: Narrow, parameters: Mapping[str, object], added: str | None = None, output: str | None = None
    ) -> str:
        own: dict[str, object] = {
            RankPass.CHANNELS: part.channels,
            RankPass.RANK: part.rank,
            RankPass.NORMALISED: int(part.epsilon is not None),
            RankPass.EPSILON: part.epsilon or 0,
            RankPass.RELU: int(part.relu),
            RankPass.POOLED: int(part.pooled),
            RankPass.VECTORS: len(part.vectors),
            RankPass.ADDED: int(added is not None),
            RankPass.SAMPLES: self.points.get(self.makers.get(part.z, -1), 0),
        }
        own |= parameters
        inputs = [part.z, *part.vectors, *([added] if added else [])]
        return self.emit("RankPass", inputs, {key: value for key, value in own.items() if value != 0}, output)

    def wide(self, blob: str, reader: str, output: str | None = None) -> str:
        """The name of the blob as an ordinary one, made when it is not there. `reader` says in words what reads it."""
        if blob not in self.features:
            return blob
        parts = self.features.pop(blob)
        last = output or blob
        for maker in (self.makers[part.z] for part in parts if part.z in self.makers):
            self.wide_out.add(maker)
            self.spaces[maker].keep_all(f"{reader} reads every channel")
        if len(parts) == 1:
            self.rank_pass(parts[0], {}, output=last)
        else:
            self.emit("Concat", [self.rank_pass(part, {}) for part in parts], {}, last)
        return last

    def run(self, layers: Iterable[Layer]) -> None:
        for number, layer in enumerate(layers):
            if not self._narrow(number, layer):
                inputs = tuple(self.wide(blob, f"a layer of type {layer.type}") for blob in layer.inputs)
                self.made.append(replace(layer, inputs=inputs))

    def _narrow(self, number: int, layer: Layer) -> bool:
        """Do a layer without its wide activation, if that is possible."""
        match self.forms.get(number):
            case "resident":
                return self._layer(number, layer, self.weights[number])
            case "factored":
                return self._three(layer, self.weights[number])
        if not layer.inputs or not all(blob in self.features for blob in layer.inputs):
            return False
        parts = self.features[layer.inputs[0]]
        match layer.type:
            case "Split" | "Dropout" | "Noop":
                for output in layer.outputs:
                    self.features[output] = parts
            case "Concat" if layer.parameters.get("0", "0") == "0":
                joined = tuple(part for blob in layer.inputs for part in self.features[blob])
                self.features[layer.outputs[0]] = joined
            case _:
                return self._channelwise(layer, parts)
        return True

    def _channelwise(self, layer: Layer, parts: Parts) -> bool:
        value = layer.parameters.get
        match layer.type:
            case "ReLU" if float(value("0", "0")) == 0:
                # After pooling as well: the maximum of what ReLU leaves is what ReLU leaves of the maximum.
                done = tuple(replace(part, relu=True) for part in parts)
            case "InstanceNorm" if value("2", "1") == "0" and all(p.plain or _only_biased(p) for p in parts):
                # A bias that is there already is a constant, which the norm takes away.
                done = tuple(replace(part, vectors=(), epsilon=value("1", "0.001")) for part in parts)
            case "ConvolutionDepthWise" if channelwise.per_channel(layer) and len(parts) == 1 and parts[0].plain:
                done = (self._scaled(layer, parts[0]),)
            case "Pooling" if channelwise.halves(layer) and not any(part.pooled for part in parts):
                done = tuple(replace(part, pooled=True) for part in parts)
            case "Padding" if (
                value("4", "0") == "0" and channelwise.zero(value("5", "0")) and all(part.plain for part in parts)
            ):
                done = tuple(self._padded(layer, part) for part in parts)
            case _:
                return False
        self.features[layer.outputs[0]] = done
        return True

    def _padded(self, layer: Layer, part: Narrow) -> Narrow:
        z = self.emit("Padding", [part.z], layer.parameters)
        self.makers |= {z: self.makers[part.z]} if part.z in self.makers else {}
        return replace(part, z=z)

    def _scaled(self, layer: Layer, part: Narrow) -> Narrow:
        """A factor and a term for each channel, which become inputs of the pass that comes."""
        scale = self.emit("MemoryData", [], {"0": part.channels, "21": 0})
        bias = self.emit("MemoryData", [], {"0": part.channels})
        return replace(part, vectors=(bias, scale), relu=layer.parameters.get("9") == "1")

    def _layer(self, number: int, layer: Layer, weight: Weight) -> bool:
        """A layer with an FR weight: reduce what comes in, the core, and its output is known narrow."""
        n_out, n_in = weight.shape[:2]
        r_out, r_in = weight.box[:2]
        parts = None if layer.type == "InnerProduct" else self.features.get(layer.inputs[0])
        parts = parts or self._as_it_is(layer, n_in)
        self._note(number, layer, parts, weight)
        if any(part.rank == 0 for part in parts):
            self.wide_in.add(number)
        if len(parts) == 1 and _reduces_itself(layer, weight):
            # A pointwise layer of few outputs: its whole weight is a smaller R than that of its box.
            whole: dict[str, object] = {RankPass.REDUCED: n_out, RankPass.KEPT: r_in, RankPass.KEPT_OUT: r_out}
            self.rank_pass(parts[0], whole, output=layer.outputs[0])
            self.wide_out.add(number)
            return True
        reduced: str | None = None
        first = 0
        for part in parts:
            total = n_in if n_in != part.channels else 0
            place: dict[str, object] = {RankPass.REDUCED: r_in, RankPass.TOTAL: total, RankPass.FIRST: first}
            reduced = self.rank_pass(part, place, reduced)
            first += part.channels
        assert reduced is not None
        if layer.type == "InnerProduct":
            z = self.emit("RankCore", [reduced], {"0": r_out, "1": 1, "6": weight.core})
        else:
            core = _bare(layer) | {"0": r_out, "6": weight.core}
            z = self.emit("RankCore" if layer.type == "Convolution" else layer.type, [reduced], core)
        made = Narrow(z, n_out, r_out, relu=layer.parameters.get("9") == "1")
        if layer.parameters.get("1" if layer.type == "InnerProduct" else "5") == "1":
            made = replace(made, vectors=(self.emit("MemoryData", [], {"0": n_out}),))
        output = layer.outputs[0]
        self.features[output] = (made,)
        self.makers[z] = number
        self.spaces[number] = Space(n_out, r_out)
        if layer.type == "InnerProduct":
            inner = self.wide(output, "what comes after a linear layer", self.fresh())
            self.emit("Flatten", [inner], {}, output)
        return True

    def _note(self, number: int, layer: Layer, parts: Parts, weight: Weight) -> None:
        """Keep in mind which spaces a layer reads, and what it needs of each."""
        self.reads[number] = tuple(Source(self.makers.get(part.z), part.channels) for part in parts)
        columns = weight.box[1] * (_POINTS_A_COLUMN_OF_ANSWERS if layer.outputs[0] in self.answers else 1)
        for part in parts:
            if part.z in self.makers:
                space = self.spaces[self.makers[part.z]]
                space.needs(math.ceil(columns * part.channels / weight.shape[1]))
                if part.vectors:
                    space.keep_all("a bias or norm has numbers of its own for each channel")

    def _three(self, layer: Layer, weight: Weight) -> bool:
        """A layer with an FR weight as three of ncnn's own, from wide to wide."""
        n_out, n_in = weight.shape[:2]
        r_out, r_in = weight.box[:2]
        x = self.wide(layer.inputs[0], f"a layer of type {layer.type} in factored form")
        own: dict[str, object] = dict(layer.parameters)
        if layer.type == "InnerProduct":
            x = self.emit(layer.type, [x], {"0": r_in, "2": n_in * r_in})
            x = self.emit(layer.type, [x], {"0": r_out, "2": weight.core})
            self.emit(layer.type, [x], own | {"2": n_out * r_out}, layer.outputs[0])
            return True
        x = self.emit("Convolution", [x], {"0": r_in, "1": 1, "6": n_in * r_in})
        x = self.emit(layer.type, [x], _bare(layer) | {"0": r_out, "6": weight.core})
        last = {key: own[key] for key in ("5", "9", "10") if key in own}
        self.emit("Convolution", [x], {"0": n_out, "1": 1, "6": n_out * r_out} | last, layer.outputs[0])
        return True

    def _as_it_is(self, layer: Layer, channels: int) -> Parts:
        blob = self.wide(layer.inputs[0], f"a layer of type {layer.type}")
        if layer.type == "InnerProduct":  # which takes an image of any size as one long vector
            blob = self.emit("Reshape", [blob], {"0": 1, "1": 1, "2": channels})
        return (Narrow(blob, channels, 0),)


def _reduces_itself(layer: Layer, weight: Weight) -> bool:
    value = layer.parameters.get
    bare = value("5", "0") == "0" and value("9", "0") == "0" and value("3", "1") == "1" and value("4", "0") == "0"
    return (
        layer.type == "Convolution" and math.prod(weight.shape[2:]) == 1 and bare and weight.shape[0] <= weight.box[1]
    )


def _bare(layer: Layer) -> dict[str, object]:
    """The geometry of a convolution without its sizes, bias and activation."""
    return {key: text for key, text in layer.parameters.items() if key not in ("0", "5", "6", "9", "10")}


def _only_biased(part: Narrow) -> bool:
    return len(part.vectors) == 1 and replace(part, vectors=()).plain


_ELIGIBLE = {"Convolution", "Deconvolution", "InnerProduct"}


def weights_of(graph: Graph, weights: Sequence[Weight | None]) -> dict[int, Weight]:
    """Which of the package's tensors, in load order, is the weight of which layer: number of the layer to tensor.

    Only layers that can be resident: their weight has a small form (None in `weights`: it has none) and is not grouped.
    """
    found: dict[int, Weight] = {}
    tensors = iter(weights)
    for number, layer in enumerate(graph.layers):
        for place, blob in enumerate(layer.blobs()):
            weight = next(tensors)
            if place == 0 and layer.type in _ELIGIBLE and weight is not None and _fits(layer, weight, blob):
                found[number] = weight
    return found


def _fits(layer: Layer, weight: Weight, blob: Blob) -> bool:
    whole = math.prod(weight.shape) == blob.count
    # The runner knows from the number of values which part of a tensor a layer loads.
    whole = whole and len({blob.count, weight.core, weight.box[1] * weight.shape[1]}) == 3
    activation = layer.parameters.get("9", "0")
    return whole and len(layer.inputs) == 1 and activation in ("0", "1") and len(weight.shape) in (2, 4)


@dataclass(frozen=True)
class Rewritten:
    """A graph, and the form of each layer of the graph it was made of that has a choice, by its number there.

    `wide_in` and `wide_out` are the resident layers that read or write a wide activation all the same. `spaces` are the
    wide spaces that resident layers write, computed at so many `points`, and `reads` what a layer's input consists of;
    all by the layer.
    """

    graph: Graph
    forms: Mapping[int, Form]
    wide_in: frozenset[int]
    wide_out: frozenset[int]
    spaces: Mapping[int, Space]
    points: Mapping[int, int]
    reads: Mapping[int, tuple[Source, ...]]

    @property
    def narrowed(self) -> bool:
        """Whether any space is computed at fewer points than it has channels."""
        return any(self.points[number] < space.channels for number, space in self.spaces.items())


def rewrite(
    graph: Graph,
    weights: Sequence[Weight | None],
    forms: Mapping[int, Form] | None = None,
    widths: Widths | None = None,
) -> Rewritten:
    """The same network with each layer in its form (resident, by default, wherever that is possible), and everything
    between resident layers that goes channel by channel in one pass. What does not fit stays as it is.

    `weights` are the package's tensors in load order, which stays the same: one package drives every graph. `widths`
    say with what part of its channels the output of a layer is computed, where that is possible.
    """
    eligible = weights_of(graph, weights)
    wanted: dict[int, Form] = {n: "resident" if forms is None else forms[n] for n in eligible}
    walk = _walked(graph, _Pass(wanted, eligible, {}, graph.outputs()))
    points = {n: space.points(widths(n) if widths else Fraction(1)) for n, space in walk.spaces.items()}
    if fewer := {n: count for n, count in points.items() if count < walk.spaces[n].channels}:
        walk = _walked(graph, _Pass(wanted, eligible, fewer, graph.outputs()))
    made = Graph(tuple(with_splits(in_strips(walk.made))))
    wide = frozenset(walk.wide_in), frozenset(walk.wide_out)
    return Rewritten(made, wanted, *wide, walk.spaces, points, walk.reads)


def _walked(graph: Graph, walk: _Pass) -> _Pass:
    walk.run(graph.layers)
    for output in graph.outputs():
        walk.wide(output, "who asked for it as an output")
    return walk


def cheapest(
    graph: Graph, weights: Sequence[Weight | None], inputs: Sequence[Tensor], widths: Widths | None = None
) -> Rewritten:
    """The rewriting of least `cost.effort` for these inputs, found layer by layer as long as it gets better."""
    eligible = weights_of(graph, weights)
    # One layer at a time does not lead from one form of the whole network to another: every layer between costs more.
    starts = [rewrite(graph, weights, dict.fromkeys(eligible, form), widths) for form in FORMS]
    best = min(starts, key=lambda one: effort(one.graph, inputs))
    least = effort(best.graph, inputs)
    improved = True
    while improved:
        improved = False
        for number, now in best.forms.items():
            for form in FORMS:
                if form == now:
                    continue
                other = rewrite(graph, weights, {**best.forms, number: form}, widths)
                if (this := effort(other.graph, inputs)) < least:
                    best, least, improved = other, this, True
    return best


def with_splits(layers: Sequence[Layer]) -> Iterator[Layer]:
    """ncnn gives a blob to one layer only; for several there is Split."""
    uses = Counter(blob for layer in layers for blob in layer.inputs)
    copies: dict[str, list[str]] = {}
    for layer in layers:
        yield replace(layer, inputs=tuple(copies[b].pop() if b in copies else b for b in layer.inputs))
        for blob in layer.outputs:
            if uses[blob] > 1:
                copies[blob] = [f"{blob}'{number}" for number in range(uses[blob])]
                kind = "RankSplit" if layer.type == "RankCore" else "Split"
                yield Layer(kind, "-", (blob,), tuple(copies[blob]), {})
