"""Layers as stored: one layer has one number of multiply-adds, whichever runtime executed it; none is made up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from bench.cache import file_of
from bench.export import onnx_file
from bench.export.layout import layout
from bench.layered import Blob, LayerRecord, Layers, LayerTime
from bench.measure.described import records
from bench.records import Artifact, ArtifactFile, Tensor

INPUT = Tensor(name="in0", shape=(3, 8, 8))


class Net(nn.Module):
    """Every layer with a bias: an ordinary convolution, a depthwise one, one that enlarges, and a product."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.first = nn.Conv2d(3, 10, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(10)
        self.depthwise = nn.Conv2d(10, 10, 3, padding=1, groups=10)
        self.larger = nn.ConvTranspose2d(10, 6, 2, stride=2)
        self.last = nn.Linear(6, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.depthwise(torch.relu(self.norm(self.first(x))))
        x = torch.nn.functional.hardtanh(x, 0.0, 6.0)
        return self.last(self.larger(x).mean((2, 3)))


def artifact(files: Sequence[ArtifactFile] = (), runtime: str = "onnxruntime") -> Artifact:
    return Artifact(
        model="net", variant="baseline", runtime=runtime, ordinary=True, files=tuple(files), deployed=(),
        inputs=(INPUT,), outputs=(Tensor(name="out0", shape=(5,)),), task="other",
    )  # fmt: skip


def at(path: Path) -> ArtifactFile:
    return file_of(path, "onnx").model_copy(update={"path": path})


def told(name: str, type_: str, shape: tuple[int, ...], weights: int | None = 0, read: int | None = 100) -> LayerTime:
    return LayerTime(name, type_, 9, read, 40, weights, False, (), (Blob(name, shape),))


def stored(made: Artifact, *layers: LayerTime) -> tuple[LayerRecord, ...]:
    return records(made, Layers(1, 9, None, layers))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, onnx.GraphProto]:
    path = tmp_path_factory.mktemp("onnx") / "network.onnx"
    samples = (np.zeros((1, 3, 8, 8), np.float32),)
    onnx_file.export(Net().eval(), (INPUT,), samples, 1, path, half=False)
    return artifact((at(path),)), onnx.load(path).graph


def test_multiply_adds_are_those_that_inspect_counts(exported: tuple[Artifact, onnx.GraphProto]) -> None:
    made, graph = exported
    convolutions = [node for node in graph.node if node.op_type in ("Conv", "ConvTranspose", "Gemm")]
    shapes = ((10, 4, 4), (10, 4, 4), (6, 8, 8), (5,))
    layers = [told(node.name, node.op_type, shape) for node, shape in zip(convolutions, shapes, strict=True)]
    counted = [operation.macs for operation in layout(Net().eval(), (INPUT,)).operations if operation.macs]
    assert [layer.macs for layer in stored(made, *layers)] == counted
    assert counted == [16 * 270, 16 * 90, 16 * 10 * 24, 30]


def test_the_bias_is_read_and_multiplies_nothing(exported: tuple[Artifact, onnx.GraphProto]) -> None:
    made, graph = exported
    first = next(node for node in graph.node if node.op_type == "Conv")
    (found,) = stored(made, told(first.name, "Conv", (10, 4, 4), weights=280))
    assert (found.macs, found.moved) == (16 * 270, 100 + 40 + 4 * 280)


def test_names_of_what_the_runtime_makes_of_several_nodes_are_understood(
    exported: tuple[Artifact, onnx.GraphProto],
) -> None:
    """With channels filled up to 16, as its kernels for x86 want them."""
    made, graph = exported
    first, second = (node for node in graph.node if node.op_type == "Conv")
    relu, clip = (node for node in graph.node if node.op_type in ("Relu", "Clip"))
    product = next(node for node in graph.node if node.op_type == "Gemm")
    found = stored(
        made,
        told(f"{relu.output[0]}_nchwc", "Conv", (16, 4, 4), weights=16 * 28),
        told(f"{clip.output[0]}_nchwc", "Conv", (16, 4, 4), weights=16 * 10),
        told(f"{first.output[0]}_nchwc", "Conv", (16, 4, 4), weights=16 * 28),
        told(f"fused {relu.name}", "FusedConv", (10, 4, 4), weights=280),
        told(f"fused {second.name}", "FusedConv", (10, 4, 4), weights=100),
        told(f"{product.name}/MatMulAddFusion", "Gemm", (5,), weights=5),
    )
    assert [layer.macs for layer in found] == [4320, 1440, 4320, 4320, 1440, 30]


def test_what_only_goes_through_values_multiplies_nothing(exported: tuple[Artifact, onnx.GraphProto]) -> None:
    found = stored(exported[0], told("r", "ReorderOutput", (10, 4, 4)), told("m", "ReduceMean", (10, 1, 1), weights=2))
    assert [(layer.macs, layer.moved) for layer in found] == [(0, 140), (0, 148)]


def test_what_is_not_known_is_not_made_up(exported: tuple[Artifact, onnx.GraphProto]) -> None:
    made, graph = exported
    first = next(node for node in graph.node if node.op_type == "Conv")
    found = stored(
        made,
        told("another", "Conv", (10, 4, 4), weights=280),
        told(first.name, "Conv", (10, 5, 5), weights=280),
        told(first.name, "Gemm", (10,), weights=280),
        told(first.name, "LSTM", (10, 4, 4), weights=280),
        told("made up", "Attention", (10, 4, 4)),
        told(first.name, "Conv", (10, 4, 4), read=None),
        told("m", "ReduceMean", (10, 1, 1), weights=None),
    )
    assert [(layer.macs, layer.moved) for layer in found] == [(None, None)] * len(found)


def test_products_count_every_row_of_both_kinds(tmp_path: Path) -> None:
    class Rows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rows = nn.Linear(6, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.rows(x)
            return torch.matmul(y, y.transpose(1, 2))

    given = Tensor(name="in0", shape=(7, 6))
    onnx_file.export(Rows().eval(), (given,), (np.zeros((1, 7, 6), np.float32),), 1, tmp_path / "n.onnx", half=False)
    made = artifact((at(tmp_path / "n.onnx"),))
    products = [node for node in onnx.load(tmp_path / "n.onnx").graph.node if node.op_type in ("MatMul", "Gemm")]
    found = stored(made, *(told(n.name, n.op_type, s) for n, s in zip(products, ((7, 4), (7, 7)), strict=True)))
    counted = [one.macs for one in layout(Rows().eval(), (given,)).operations if one.macs]
    assert [layer.macs for layer in found] == counted == [7 * 6 * 4, 7 * 7 * 4]


def test_a_file_that_cannot_be_read_has_no_work(tmp_path: Path) -> None:
    (tmp_path / "n.onnx").write_bytes(b"\xff" * 100)
    (found,) = stored(artifact((at(tmp_path / "n.onnx"),)), told("a", "Conv", (8, 6, 6), weights=216))
    assert (found.macs, found.moved) == (None, None)


def test_a_runtime_that_does_not_count_has_no_work() -> None:
    (found,) = stored(artifact(runtime="torch"), told("node", "Conv", (8, 6, 6), weights=216))
    assert found == LayerRecord("node", "Conv", "", 9, 40, None, None, False, (8, 6, 6))


GRAPH = """7767517
5 5
Input in0 0 1 in0
Convolution first 1 1 in0 a 0=10 1=3 3=2 4=1 5=1 6=270
MatMul product 2 1 a a b
InnerProduct rows 1 1 b c 0=5 1=1 2=20
InnerProduct last 1 1 c out0 0=5 1=1 2=100
"""


def test_ncnn_counts_the_same_for_a_layer_and_nothing_that_it_does_not_know(tmp_path: Path) -> None:
    (tmp_path / "graph.param").write_text(GRAPH)
    graph = file_of(tmp_path / "graph.param", "graph").model_copy(update={"path": tmp_path / "graph.param"})
    layers = (
        replace(told("-", "Convolution", (10, 4, 4)), inputs=("in0",)),
        replace(
            told("-", "MatMul", (10, 4, 4)),
            inputs=(
                "a",
                "a",
            ),
        ),
        replace(told("-", "InnerProduct", (10, 5)), inputs=("b",)),
        replace(told("-", "InnerProduct", (5,)), inputs=("c",)),
    )
    found = stored(artifact((graph,), "ncnn"), *layers)
    assert [layer.macs for layer in found] == [16 * 270, None, None, 100]
