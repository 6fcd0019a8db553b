"""ncnn's two files: the graph as text, and the weights that its layers load."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import ExportRefused
from bench.export import graph

PARAM = """7767517
6 7
Input                    in0                      0 1 in0
Convolution              conv_3                   1 1 in0 1 0=20 1=5 11=5 12=1 13=1 14=0 2=1 3=1 4=0 5=1 6=500
Split                    splitncnn_0              1 2 1 2 3
Pooling                  maxpool2d_0              1 1 2 4 0=0 1=2 11=2 12=2 13=0 2=2 3=0 5=1
InstanceNorm             in_69                    1 1 3 5 0=20 1=1.000000e-5 2=0
InnerProduct             linear_6                 1 1 4 out0 0=10 1=1 2=5000 9=1
"""


def test_a_graph_reads_and_writes_the_same_words() -> None:
    assert str(graph.parse(PARAM)).split() == PARAM.split()


def test_the_small_graph_says_the_same_in_fewer_bytes() -> None:
    small = str(graph.parse(PARAM).small(("in0", "out0")))
    assert small == (
        "7767517\n6 7\nInput - 0 1 in0\nConvolution - 1 1 in0 2 0=20 1=5 5=1 6=500\nSplit - 1 2 2 3 4\n"
        "Pooling - 1 1 3 5 1=2 2=2 5=1\nInstanceNorm - 1 1 4 6 0=20 1=1.000000e-5 2=0\n"
        "InnerProduct - 1 1 5 out0 0=10 1=1 2=5000 9=1\n"
    )
    assert graph.parse(small).blobs() == tuple(
        graph.Blob("-", count, typed) for count, typed in ((500, True), (20, False), (5000, True), (10, False))
    )


def test_parameters_that_differ_from_their_default_stay() -> None:
    line = "Convolution - 1 1 a b 0=8 1=3 11=5 2=2 12=1 3=1 13=2 4=1 14=0 15=2 16=0 5=0 6=120 9=1"
    (layer,) = graph.parse(f"7767517\n1 1\n{line}").layers
    assert str(layer.short()) == "Convolution - 1 1 a b 0=8 1=3 11=5 2=2 12=1 13=2 4=1 14=0 15=2 6=120 9=1"


@pytest.mark.parametrize("text", ["", "7767517", "1 2\n3 4", "7767517\n2 1\nReLU r 1 1 a b", "7767517\n1 1\nReLU r x"])
def test_what_is_no_graph_is_refused(text: str) -> None:
    with pytest.raises(ExportRefused, match="not an ncnn param file"):
        graph.parse(text)


@pytest.mark.parametrize(
    ("line", "blobs"),
    [
        ("Convolution c 1 1 a b 0=8 1=3 5=1 6=216", [(216, True), (8, False)]),
        ("ConvolutionDepthWise c 1 1 a b 0=8 1=3 5=1 6=72 7=8", [(72, True), (8, False)]),
        ("DeconvolutionDepthWise c 1 1 a b 0=8 1=3 6=72 7=8", [(72, True)]),
        ("Gemm g 1 1 a b 10=4 2=0 3=1 4=0 5=1 6=1 7=65 8=576 9=192", [(576 * 192, True), (576, True)]),
        ("Gemm g 1 1 a b 10=-1 2=0 3=1 4=0 5=1 6=1 7=65 8=3 9=192", [(3 * 192, True)]),
        ("Gemm g 2 1 a b c 10=-1", []),
        ("LayerNorm n 1 1 a b 0=192 1=1e-6 2=1", [(192, False), (192, False)]),
        ("LayerNorm n 1 1 a b 0=192 1=1e-6 2=0", []),
        ("MemoryData m 0 1 a 0=192 1=65", [(192 * 65, False)]),
        ("MemoryData m 0 1 a 0=4 1=3 2=2 11=5 21=0", [(120, True)]),
        ("SDPA s 3 1 a b c d 5=0", []),
        ("Gemm g 1 1 a b 10=0 5=1 6=1 8=4 9=3", [(12, True), (1, True)]),
        ("Gemm g 1 1 a b 10=-1 4=1 7=4 8=5 9=2", [(8, True)]),
        ("BatchNorm n 1 1 a b 0=6", [(6, False)] * 4),
        ("GroupNorm n 1 1 a b 0=2 1=6 3=1", [(6, False), (6, False)]),
        ("InstanceNorm n 1 1 a b 0=6 2=0", []),
        ("RMSNorm n 1 1 a b 0=12", [(12, False)]),
        ("PReLU p 1 1 a b 0=6", [(6, False)]),
        ("Scale s 1 1 a b 0=6 1=1", [(6, False), (6, False)]),
        ("Scale s 2 1 a b c 0=-233", []),
        ("Embed e 1 1 a b 0=4 1=10 2=0 3=40", [(40, True)]),
        ("LSTM l 1 1 a b 0=5 1=320 2=2", [(320, True), (40, True), (200, True)]),
        ("LSTM l 1 1 a b 0=3 1=160 3=5", [(160, True), (20, True), (60, True), (15, True)]),
        ("GRU g 1 1 a b 0=5 1=120", [(120, True), (20, True), (75, True)]),
        ("RNN r 1 1 a b 0=5 1=40", [(40, True), (5, True), (25, True)]),
        (
            "MultiHeadAttention m 1 1 a b 0=8 1=2 2=64",
            [(64, True), (8, False), (64, True), (8, False), (64, True), (8, False), (64, True), (8, False)],
        ),
        ("Convolution c 2 1 a w b 0=8 1=3 6=216 19=1", []),
    ],
)
def test_weights_are_counted_as_ncnn_loads_them(line: str, blobs: list[tuple[int, bool]]) -> None:
    """`load_model` of ncnn's layers, by hand."""
    found = graph.parse(f"7767517\n1 1\n{line}").blobs()
    assert [(blob.count, blob.typed) for blob in found] == blobs


def test_layers_of_an_unknown_type_are_refused() -> None:
    with pytest.raises(ExportRefused, match=r"aten::sort"):
        graph.parse("7767517\n1 1\naten::sort x 1 1 in0 out0").blobs()


@pytest.mark.parametrize("line", ["Convolution c 1 1 a b 0=8 1=3 6=216 8=2", "Gemm g 1 1 a b 10=-1 5=1 8=4 9=4 18=1"])
def test_quantised_weights_are_refused(line: str) -> None:
    with pytest.raises(ExportRefused, match="quantised"):
        graph.parse(f"7767517\n1 1\n{line}").blobs()


_WORDS = st.text("abcXYZ019._-'", min_size=1, max_size=8)
_LAYERS = st.builds(
    graph.Layer,
    _WORDS,
    _WORDS,
    st.lists(_WORDS, max_size=3).map(tuple),
    st.lists(_WORDS, max_size=3).map(tuple),
    st.dictionaries(st.integers(-23399, 40).map(str), st.text("0123456789.,-e", max_size=9), max_size=4),
)


@given(st.lists(_LAYERS, max_size=5).map(tuple))
def test_every_graph_reads_back_as_it_was_written(layers: tuple[graph.Layer, ...]) -> None:
    assert graph.parse(str(graph.Graph(layers))).layers == layers


@given(st.text(max_size=200) | st.text(max_size=200).map(lambda text: f"7767517\n2 2\n{text}"))
def test_any_text_is_a_graph_or_refused(text: str) -> None:
    with contextlib.suppress(ExportRefused):
        graph.parse(text)


def test_a_layer_that_does_nothing_can_be_left_out() -> None:
    parsed = graph.parse(PARAM)
    left = parsed.without([layer for layer in parsed.layers if layer.type == "Pooling"])
    assert len(left.layers) == 5
    assert str(left.layers[-1]).split()[:5] == ["InnerProduct", "linear_6", "1", "1", "2"]


def test_the_outputs_of_a_graph_are_in_the_order_of_their_numbers() -> None:
    lines = "\n".join(f"ReLU r{n} 1 1 x out{n}" for n in (10, 2, 0))
    assert graph.parse(f"7767517\n3 3\n{lines}").outputs() == ("out0", "out2", "out10")


def test_weights_must_be_exactly_what_the_layers_load() -> None:
    blobs = (graph.Blob("a", 2, typed=True), graph.Blob("a", 1, typed=False))
    whole = bytes(4) + np.array([1, 2, 3], "<f4").tobytes()
    assert [v.tolist() for v in graph.split(whole, blobs)] == [[1, 2], [3]]
    assert graph.joined(blobs, graph.split(whole, blobs)) == whole
    for wrong, words in ((whole[:-4], "end inside"), (whole + bytes(4), "too many"), (b"\x01" + whole[1:], "float32")):
        with pytest.raises(ExportRefused, match=words):
            graph.split(wrong, blobs)
