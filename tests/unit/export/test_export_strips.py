"""Which blobs of a resident graph are made row by row, and what that costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from bench.export import cost, resident
from bench.export.graph import Graph, Layer, parse
from bench.export.rank_pass import RankPass
from bench.export.resident import Weight
from bench.export.strips import in_strips
from bench.records import Tensor

INPUTS = (Tensor(name="in0", shape=(3, 32, 49)),)


def graph(*lines: str) -> Graph:
    return parse("\n".join(["7767517", f"{len(lines)} {2 * len(lines)}", *lines, ""]))


def convolution(name: str, before: str, after: str, outputs: int, inputs: int) -> str:
    return f"Convolution {name} 1 1 {before} {after} 0={outputs} 1=3 4=1 6={outputs * inputs * 9}"


NORM = "InstanceNorm {0}n 1 1 {0} {0}n 0=1 1=1e-5 2=0"
UNET = graph(
    "Input in0 0 1 in0",
    convolution("a", "in0", "a", 24, 3),
    NORM.format("a"),
    "ReLU ar 1 1 an ar",
    convolution("b", "ar", "b", 24, 24),
    NORM.format("b"),
    "ReLU br 1 1 bn br",
    "Split s 1 2 br skip down",
    "Pooling p 1 1 down p 1=2 2=2 5=1",
    convolution("c", "p", "c", 48, 24),
    NORM.format("c"),
    "ReLU cr 1 1 cn cr",
    "Deconvolution u 1 1 cr u 0=24 1=2 3=2 6=4608",
    "Padding w 1 1 u w 3=1",
    "Concat j 2 1 skip w j",
    convolution("d", "j", "d", 24, 48),
    NORM.format("d"),
    "ReLU dr 1 1 dn dr",
    "Convolution e 1 1 dr out0 0=2 1=1 6=48",
)
WEIGHTS = [
    Weight((24, 3, 3, 3), (4, 3, 3, 3)),
    Weight((24, 24, 3, 3), (6, 4, 3, 3)),
    Weight((48, 24, 3, 3), (5, 6, 3, 3)),
    Weight((24, 48, 2, 2), (5, 4, 2, 2)),
    Weight((24, 48, 3, 3), (4, 5, 3, 3)),
    Weight((2, 24, 1, 1), (2, 4, 1, 1)),
]


def deferred(layer: Layer) -> bool:
    return layer.type == "RankUp" or layer.parameters.get(RankPass.DEFERRED) == "1"


def expect_what_the_runner_takes(layers: Sequence[Layer], outputs: Sequence[str] = ("out0",)) -> int:
    """Network::expect_readers of the runner (device_scripts/runner/ncnn/network.cpp); the depth that it finds."""
    depths: dict[str, int] = {}
    reads = Counter((*outputs, *outputs))
    for layer in layers:
        promises = [(place, blob) for place, blob in enumerate(layer.inputs) if blob in depths]
        reads.update(blob for _, blob in promises)
        takes = {"RankCore": {0}, "RankPass": {0}}.get(layer.type, set())
        if RankPass.ADDED in layer.parameters:
            takes = takes | {len(layer.inputs) - 1}
        assert {place for place, _ in promises} <= takes, layer
        if deferred(layer):
            depths[layer.outputs[0]] = 1 + max((depths[blob] for _, blob in promises), default=0)
    assert all(reads[blob] == 1 for blob in depths)
    deepest = max(depths.values(), default=0)
    assert deepest <= 64
    return deepest


def test_only_what_our_own_layers_read_is_made_row_by_row() -> None:
    layers = resident.rewrite(UNET, WEIGHTS).graph.layers
    found = [layer for layer in layers if deferred(layer)]
    assert [layer.type for layer in found].count("RankUp") == 1
    assert len(found) == 6  # a pass before each of four cores, one more that is added, and what comes up
    assert expect_what_the_runner_takes(layers) == 2
    assert "Padding" not in {layer.type for layer in layers}


@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("parts", [2, 62, 63, 64, 65, 200])
def test_a_concatenation_of_any_length_is_made_row_by_row_as_deep_as_the_runner_goes(parts: int, up: bool) -> None:
    kind, own = ("Deconvolution", "1=2 3=2 6=96") if up else ("Convolution", "1=3 4=1 6=216")
    lines = ["Input in0 0 1 in0", f"Split s 1 {parts} in0 " + " ".join(f"s{i}" for i in range(parts))]
    lines += [f"{kind} c{i} 1 1 s{i} c{i} 0=8 {own}" for i in range(parts)]
    lines += [f"Concat j {parts} 1 " + " ".join(f"c{i}" for i in range(parts)) + " j"]
    lines += [convolution("d", "j", "out0", 8, 8 * parts)]
    first = Weight((8, 3, 2, 2), (2, 2, 2, 2)) if up else Weight((8, 3, 3, 3), (2, 2, 3, 3))
    weights = [first] * parts + [Weight((8, 8 * parts, 3, 3), (4, 5, 3, 3))]
    layers = resident.rewrite(graph(*lines), weights).graph.layers
    assert expect_what_the_runner_takes(layers) == min(parts + up, 63 + up)


CORE = "RankCore c 1 1 p c 0=2 1=1 6=4"
UP = "Deconvolution u 1 1 in0 u 0=4 1=2 3=2 6=64"


@pytest.mark.parametrize(
    ("lines", "outputs"),
    [
        (["RankPass p 1 1 in0 out1 0=9 1=4 2=2", CORE.replace(" p ", " out1 "), "RankPass o 1 1 c out0 0=9 1=2"], 2),
        ([UP.replace(" u ", " out1 "), "RankPass o 1 1 out1 out0 0=9 1=4"], 2),
        ([UP, "RankPass o 2 1 in0 u out0 0=9 1=4 9=1"], 1),
        ([UP, "Padding w 1 1 u w 0=1 4=2", "RankPass o 1 1 w out0 0=9 1=4"], 1),
        ([UP, "Padding w 1 1 u w 0=1 5=1.0", "RankPass o 1 1 w out0 0=9 1=4"], 1),
        ([UP, "Padding w 1 1 u w 0=-1", "RankPass o 1 1 w out0 0=9 1=4"], 1),
        ([UP, "Padding w 1 1 u w 0=1", "ReLU r 1 1 w v", "RankPass o 1 1 v out0 0=9 1=4"], 1),
    ],
)
def test_what_is_needed_whole_is_made_whole(lines: list[str], outputs: int) -> None:
    before = graph("Input in0 0 1 in0", *lines).layers
    layers = in_strips(before)
    assert expect_what_the_runner_takes(layers, [f"out{i}" for i in range(outputs)]) == 0
    assert [layer.type for layer in layers] == [layer.type for layer in before]


def test_every_norm_gets_the_moments_of_its_own_input() -> None:
    layers = resident.rewrite(UNET, WEIGHTS).graph.layers
    made = {blob: (layer, place) for layer in layers for place, blob in enumerate(layer.outputs)}

    def source(blob: str) -> tuple[Layer, int]:
        layer, place = made[blob]
        return source(layer.inputs[0]) if layer.type == "RankSplit" else (layer, place)

    passes = [layer for layer in layers if layer.parameters.get(RankPass.NORMALISED) == "1"]
    assert len(passes) == 5
    for layer in passes:
        assert layer.parameters[RankPass.MEASURED] == "1"
        (core, first), (other, second) = source(layer.inputs[0]), source(layer.inputs[1])
        assert core is other
        assert core.type == "RankCore"
        assert (first, second) == (0, 1)


def test_weights_load_in_the_order_of_the_package() -> None:
    resident_graph = resident.rewrite(UNET, WEIGHTS).graph
    cores = [weight.core for weight in WEIGHTS[:-1]]
    last = WEIGHTS[-1].box
    assert [blob.count for blob in resident_graph.blobs()] == [*cores, last[0] * last[1]]


def test_a_blob_has_room_for_what_will_be_written_over_it() -> None:
    layers = resident.rewrite(UNET, WEIGHTS).graph.layers
    first, second, *_ = (layer.parameters for layer in layers if layer.type == "RankCore")
    assert (first["0"], first["21"]) == ("4", "6")
    assert "21" not in second


def test_a_transposed_convolution_that_overlaps_stays_as_it_is() -> None:
    lines = [str(layer) for layer in UNET.layers]
    wider = [line.replace("1=2 3=2 6=4608", "1=4 3=2 4=1 6=18432") for line in lines]
    weights = [*WEIGHTS[:3], Weight((24, 48, 4, 4), (5, 4, 4, 4)), *WEIGHTS[4:]]
    kinds = [layer.type for layer in resident.rewrite(graph(*wider), weights).graph.layers]
    assert "RankUp" not in kinds
    assert "Deconvolution" in kinds


def test_blobs_that_are_never_whole_are_not_counted_as_moved() -> None:
    made = resident.rewrite(UNET, WEIGHTS).graph
    for layer, spent in zip(made.layers, cost.costs(made, INPUTS), strict=True):
        if deferred(layer) and RankPass.ADDED in layer.parameters:
            assert spent.activations == 0  # what comes up and what is added: neither is ever whole
    shapes = cost.shapes(made, INPUTS)
    assert shapes["out0"] == (2, 32, 49)


def test_the_cheapest_form_is_the_whole_weight_where_a_core_saves_nothing() -> None:
    lines = ["Input in0 0 1 in0"]
    lines += [convolution(f"c{i}", f"b{i}" if i else "in0", f"b{i + 1}", 64, 64) for i in range(3)]
    lines += ["Pooling p 1 1 b3 out0 0=1 4=1"]
    inputs = (Tensor(name="in0", shape=(64, 32, 32)),)
    for box, form in ((60, "dense"), (4, "resident")):
        weights = [Weight((64, 64, 3, 3), (box, box - 1, 3, 3))] * 3
        chosen = resident.cheapest(graph(*lines), weights, inputs)
        assert set(chosen.forms.values()) == {form}


@pytest.mark.parametrize("rank", [40, 515])
def test_a_linear_layer_of_many_inputs_keeps_its_whole_weight_at_a_mild_ratio(rank: int) -> None:
    """Of its one pixel our layers compute sixteen, and they read a DCT matrix larger than the weight."""
    flat = ["Input in0 0 1 in0", "Flatten f 1 1 in0 a", "InnerProduct c 1 1 a out0 0=128 1=0 2=262144"]
    weights: list[Weight | None] = [Weight((128, 2048), (128, rank))]
    inputs = (Tensor(name="in0", shape=(32, 8, 8)),)
    chosen = resident.cheapest(graph(*flat), weights, inputs)
    assert set(chosen.forms.values()) == {"dense" if rank > 128 else "factored"}
