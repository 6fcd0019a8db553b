"""Which wide spaces a graph computes at fewer points, and which keep all their channels."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.export import graph as param
from bench.export import resident
from bench.export.cost import effort
from bench.export.rank_pass import RankPass
from bench.export.resident import Weight
from bench.export.spaces import Space
from bench.records import Tensor


def parsed(*lines: str) -> param.Graph:
    return param.parse("\n".join(["7767517", f"{len(lines)} {len(lines)}", *lines, ""]))


def convolution(name: str, before: str, after: str, n_out: int, n_in: int, more: str = "") -> str:
    return f"Convolution {name} 1 1 {before} {after} 0={n_out} 1=3 4=1 6={n_out * n_in * 9} {more}".rstrip()


def weight(n_out: int, n_in: int, r_out: int = 4, r_in: int = 4) -> Weight:
    return Weight((n_out, n_in, 3, 3), (r_out, r_in, 3, 3))


def chain(*between: str, r_in: int = 4) -> tuple[param.Graph, list[Weight | None]]:
    """Convolution number 1 to blob a, what is between, and convolution of blob b."""
    lines = ["Input in0 0 1 in0", convolution("first", "in0", "a", 64, 16), *between]
    graph = parsed(*lines, convolution("last", "b", "out0", 32, 64))
    extra: list[Weight | None] = [None for layer in graph.layers[2:-1] for _ in layer.blobs()]
    return graph, [weight(64, 16), *extra, weight(32, 64, r_in=r_in)]


def at(graph: param.Graph, weights: list[Weight | None], part: str) -> resident.Rewritten:
    return resident.rewrite(graph, weights, widths=lambda number: Fraction(part))


def samples(made: resident.Rewritten) -> list[str | None]:
    """Of every pass that reads a small space."""
    passes = [layer for layer in made.graph.layers if layer.type == "RankPass" and RankPass.RANK in layer.parameters]
    return [layer.parameters.get(RankPass.SAMPLES) for layer in passes]


NORM = ("InstanceNorm norm 1 1 a n 0=64 1=1e-5 2=0", "ReLU relu 1 1 n b")


@pytest.mark.parametrize(("part", "points"), [("1/2", "32"), ("1/4", "16"), ("1/7", "10"), ("1/64", "8")])
def test_a_space_is_computed_at_a_part_of_its_channels(part: str, points: str) -> None:
    assert samples(at(*chain(*NORM), part)) == [points, None]  # the output itself has all its channels


def test_the_whole_width_is_the_same_graph_as_ever() -> None:
    graph, weights = chain(*NORM)
    assert str(at(graph, weights, "1").graph) == str(resident.rewrite(graph, weights).graph)
    assert not at(graph, weights, "1").narrowed


@given(part=st.fractions(min_value=0, max_value=1, max_denominator=1000).filter(bool), r_in=st.integers(1, 64))
def test_a_space_never_has_fewer_points_than_its_neighbours_keep_columns(part: Fraction, r_in: int) -> None:
    graph, weights = chain(*NORM, r_in=r_in)
    made = resident.rewrite(graph, weights, widths=lambda number: part)
    least = min(64, max(4, 2 * r_in, part * 64))  # the reader's sums are the answer
    assert least <= made.points[1] < least + 1


@pytest.mark.parametrize("bias", ["", "5=1"])
def test_a_last_layer_whose_sums_are_the_answer_gets_two_points_a_column(bias: str) -> None:
    graph = parsed(
        "Input in0 0 1 in0", convolution("first", "in0", "a", 64, 16), *NORM,
        f"Convolution last 1 1 b out0 0=2 1=1 6=128 {bias}".rstrip(),
    )  # fmt: skip
    biases: list[Weight | None] = [None] if bias else []
    weights = [weight(64, 16), Weight((2, 64, 1, 1), (2, 17, 1, 1)), *biases]
    assert [at(graph, weights, part).points[1] for part in ("1", "1/2", "1/4", "1/8")] == [64, 34, 34, 34]


def test_a_layer_in_the_middle_gets_a_point_a_column() -> None:
    graph = parsed(
        "Input in0 0 1 in0", convolution("first", "in0", "a", 64, 16), *NORM, convolution("middle", "b", "c", 32, 64),
        "ReLU relu2 1 1 c d", convolution("last", "d", "out0", 32, 32),
    )  # fmt: skip
    made = at(graph, [weight(64, 16), weight(32, 64, r_in=9), weight(32, 32)], "1/64")
    assert [made.points[number] for number in (1, 4)] == [9, 8]


def test_a_part_of_a_concatenation_resolves_its_part_of_the_columns() -> None:
    graph = parsed(
        "Input in0 0 1 in0", convolution("one", "in0", "a", 64, 16), "Input in1 0 1 in1",
        convolution("two", "in1", "c", 32, 16), "Concat both 2 1 a c b", convolution("last", "b", "out0", 32, 96),
    )  # fmt: skip
    made = at(graph, [weight(64, 16), weight(32, 16), weight(32, 96, r_in=30)], "1/64")
    assert made.points == {1: 40, 3: 20, 5: 32}
    assert sum(made.points[n] for n in (1, 3)) >= 2 * 30
    assert [(s.maker, s.channels) for s in made.reads[5]] == [(1, 64), (3, 32)]


@pytest.mark.parametrize(
    ("between", "why"),
    [
        (("ConvolutionDepthWise scale 1 1 a b 0=64 1=1 5=1 6=64 7=64 9=1",), "numbers of its own for each channel"),
        (("Sigmoid s 1 1 a b",), "type Sigmoid reads every channel"),
        (("Split s 1 2 a a1 a2", "BinaryOp sum 2 1 a1 a2 b 0=0"), "type BinaryOp reads every channel"),
        (("Split s 1 2 a b out1",), "asked for it as an output"),
    ],
)  # fmt: skip
def test_what_needs_every_channel_gets_them_and_says_why(between: tuple[str, ...], why: str) -> None:
    made = at(*chain(*between), "1/4")
    assert made.points[1] == 64
    assert why in str(made.spaces[1].whole)
    assert not made.narrowed
    assert samples(made) == [None] * len(samples(made))


def test_a_bias_that_a_norm_takes_away_needs_no_channel() -> None:
    lines = ["Input in0 0 1 in0", convolution("first", "in0", "a", 64, 16, "5=1"), *NORM]
    graph = parsed(*lines, convolution("last", "b", "out0", 32, 64))
    assert at(graph, [weight(64, 16), None, weight(32, 64)], "1/4").points[1] == 16


@pytest.mark.parametrize("form", ["dense", "factored"])
def test_a_reader_in_another_form_needs_every_channel(form: resident.Form) -> None:
    graph, weights = chain(*NORM)
    made = resident.rewrite(graph, weights, {1: "resident", 4: form}, lambda number: Fraction(1, 4))
    assert made.points == {1: 64}
    assert made.spaces[1].whole


def test_layers_may_have_widths_of_their_own() -> None:
    middle = (*NORM[:1], "ReLU relu 1 1 n c", convolution("middle", "c", "d", 64, 64), "ReLU relu 1 1 d b")
    graph, weights = chain(*middle)
    weights = [weights[0], weight(64, 64), weights[-1]]
    made = resident.rewrite(graph, weights, widths=lambda number: Fraction(1, 8) if number == 4 else Fraction(1))
    assert samples(made)[:2] == [None, "8"]


def test_a_narrower_pass_costs_less() -> None:
    graph, weights = chain(*NORM)
    inputs = [Tensor(name="in0", shape=(16, 40, 50))]
    efforts = [effort(at(graph, weights, part).graph, inputs) for part in ("1/8", "1/4", "1/2", "1")]
    assert efforts == sorted(set(efforts))
    # What a pass costs is so much for each point: 32 of them are twice 16.
    assert efforts[3] - efforts[2] == pytest.approx(2 * (efforts[2] - efforts[1]))


def test_the_first_reason_stays() -> None:
    space = Space(8, 2)
    space.keep_all("one")
    space.keep_all("two")
    assert (space.whole, space.points(Fraction(1, 4))) == ("one", 8)
