"""Which layers become one pass, and what stays as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.cache import file_of
from bench.errors import ExportRefused
from bench.export import graph as param
from bench.export import low_rank, ncnn
from bench.export.graph import Graph, parse
from bench.export.low_rank import Choice
from bench.records import Tensor

INPUTS = [Tensor(name="in0", shape=(4, 8, 8))]
UP = "Convolution e 1 1 {0} {1} 0=32 1=1 5=1 6=128 9=1"
DOWN = "Convolution r 1 1 {0} {1} 0=4 1=1 6=128"


def graph(*lines: str) -> Graph:
    return parse("\n".join(["7767517", f"{len(lines) + 1} 99", "Input in0 0 1 in0", *lines]))


def rewritten(made: Graph, choice: Choice = "all", *, half: bool = False) -> list[str]:
    random = np.random.default_rng(0)
    values = [random.normal(size=blob.count).astype(np.float16).astype(np.float32) for blob in made.blobs()]
    nodes = low_rank.rewritten(made, values, INPUTS, choice, half=half)
    assert [blob.size for node in nodes for blob in node.blobs] == [
        blob.count for node in nodes for blob in node.layer.blobs()
    ]
    return [str(node.layer) for node in nodes][1:]


def test_an_expansion_and_the_reduction_that_alone_reads_it_are_one_pass() -> None:
    made = graph(UP.format("in0", "a"), DOWN.format("a", "out0"))
    assert rewritten(made) == ["LowRankPass - 1 1 in0 out0 0=32 1=4 2=4 3=1"]
    assert rewritten(made, half=True) == ["LowRankPass - 1 1 in0 out0 0=32 1=4 2=4 3=1 9=1"]


def test_what_else_is_read_is_written_once() -> None:
    made = graph(
        UP.format("in0", "a"), "Split s 1 2 a b c", DOWN.format("b", "u"), "Convolution w 1 1 c out1 0=2 1=1 3=2 6=64",
        "ReLU x 1 1 u out0",
    )  # fmt: skip
    first, *others = rewritten(made)
    assert first == "LowRankPass - 1 2 in0 u a 0=32 1=4 2=4 3=1 8=1"
    assert others == ["Convolution w 1 1 a out1 0=2 1=1 3=2 6=64", "ReLU x 1 1 u out0"]


def test_a_residual_sum_is_part_of_a_pass() -> None:
    made = graph(
        UP.format("in0", "x"), "Split s 1 2 x x0 x1", DOWN.format("x0", "u"), "Convolution e 1 1 u y 0=32 1=1 6=128",
        "BinaryOp p 2 1 y x1 q 0=0", "ReLU t 1 1 q v", DOWN.format("v", "out0"),
    )  # fmt: skip
    assert rewritten(made) == [
        "LowRankPass - 1 2 in0 u x 0=32 1=4 2=4 3=1 8=1",
        "LowRankPass - 2 1 u x out0 0=32 1=4 2=4 3=1 7=1",
    ]


@pytest.mark.parametrize(
    "between",
    [
        "Pooling p 1 1 a b 0=0 1=3 2=2 3=1 5=1",  # of 3×3
        "Pooling p 1 1 a b 0=1 1=2 2=2 5=1",  # the mean
        "Sigmoid p 1 1 a b",
        "Permute p 1 1 a b 0=1",
        "Convolution p 1 1 a b 0=32 1=3 4=1 6=9216",
    ],
)
def test_what_no_pass_can_do_stays(between: str) -> None:
    made = graph(UP.format("in0", "a"), between, DOWN.format("b", "out0"))
    assert [line.split()[0] for line in rewritten(made)] == ["Convolution", between.split()[0], "Convolution"]


def test_an_output_of_the_network_is_still_there() -> None:
    made = graph(UP.format("in0", "out0"), DOWN.format("out0", "out1"))
    assert rewritten(made)[0] == "LowRankPass - 1 2 in0 out1 out0 0=32 1=4 2=4 3=1 8=1"


def test_an_activation_that_is_no_longer_monotone_is_not_moved_before_a_maximum() -> None:
    made = graph(
        "Convolution e 1 1 in0 a 0=32 1=1 6=128", "Pooling p 1 1 a b 0=0 1=2 2=2 5=1", "HardSwish h 1 1 b c",
        DOWN.format("c", "out0"),
    )  # fmt: skip
    assert [line.split()[0] for line in rewritten(made)] == ["Convolution", "Pooling", "HardSwish", "Convolution"]


@pytest.mark.parametrize("half", [False, True])
def test_the_pair_of_files_is_replaced(tmp_path: Path, half: bool) -> None:
    made = graph(UP.format("in0", "a"), DOWN.format("a", "out0"))
    values = [np.full(blob.count, 0.5, np.float32) for blob in made.blobs()]
    ncnn.write(made, values, tmp_path, half=half)
    before = (file_of(tmp_path / "graph.param", "graph"), file_of(tmp_path / "weights.bin", "weights"))
    after = low_rank.rewrite(before, INPUTS, tmp_path, "all")
    assert [file.role for file in after] == ["graph", "weights"]
    assert after == (file_of(tmp_path / "graph.param", "graph"), file_of(tmp_path / "weights.bin", "weights"))
    parsed = parse((tmp_path / "graph.param").read_text())
    stored = (tmp_path / "weights.bin").read_bytes()
    assert param.has_half(stored, parsed.blobs()) == half
    assert [layer.type for layer in parsed.layers] == ["Input", "LowRankPass"]
    assert all(
        (blob == value).all()
        for blob, value in zip(param.split(stored, parsed.blobs()), (0.5, 0.5, 0.5, 0), strict=True)
    )
    (tmp_path / "weights.bin").write_bytes(stored[:-4])
    with pytest.raises(ExportRefused):
        low_rank.rewrite(after, INPUTS, tmp_path, "all")
