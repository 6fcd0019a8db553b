"""ONNX files and ready ncnn pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bench.errors import CorruptData, ExportRefused
from bench.export import given, graph
from bench.records import Tensor

X = np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32)
IMAGE = [Tensor(name="in0", shape=(3, 8, 8))]


def saved(
    folder: Path, *nodes: Any, weights: dict[str, np.ndarray[Any, Any]] | None = None, opset: int = 17, out: str = "y"
) -> Path:
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 8, 8])]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in out.split(",")]
    stored = [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()]
    made = helper.make_graph(nodes, "g", inputs, outputs, stored)
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.example", 1)]
    path = folder / "network.onnx"
    onnx.save(helper.make_model(made, opset_imports=opsets, ir_version=8), str(path))
    return path


def test_an_onnx_file_answers_by_its_own_reference(tmp_path: Path) -> None:
    path = saved(
        tmp_path, helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Softmax", ["y"], ["z"], axis=1), out="y,z"
    )
    found = given.onnx_answers(path, [X])
    assert [(output.name, output.shape) for output in found.outputs] == [("out0", (3, 8, 8)), ("out1", (3, 8, 8))]
    assert found.places == ("y", "z")
    np.testing.assert_array_equal(found.values[0], np.maximum(X, 0))


def test_an_onnx_file_becomes_a_graph_whose_axes_are_counted_without_the_batch(tmp_path: Path) -> None:
    weight = np.random.default_rng(1).standard_normal((4, 3, 3, 3)).astype(np.float32)
    path = saved(
        tmp_path,
        helper.make_node("Softmax", ["x"], ["s"], axis=1),
        helper.make_node("Conv", ["s", "w"], ["y"]),
        weights={"w": weight},
    )
    given.export_onnx(path, IMAGE, tmp_path)
    parsed = graph.parse((tmp_path / "graph.param").read_text())
    assert [layer.type for layer in parsed.layers] == ["Input", "Softmax", "Convolution"]
    assert parsed.layers[1].parameters.get("0", "0") == "0"
    (values,) = graph.split((tmp_path / "weights.bin").read_bytes(), parsed.blobs())
    np.testing.assert_array_equal(values, weight.ravel())


@pytest.mark.parametrize(
    ("nodes", "opset", "words"),
    [
        ([helper.make_node("Relu", ["x"], ["y"])], 7, "opset 7; the oldest supported is 9"),
        ([helper.make_node("Softmax", ["x"], ["y"], name="soft", axis=1)], 11, "Softmax 'soft' has another meaning"),
        ([helper.make_node("Twist", ["x"], ["y"], domain="com.example")], 17, "com.example.Twist 'y'"),
    ],
)
def test_onnx_that_means_something_else_is_refused(tmp_path: Path, nodes: list[Any], opset: int, words: str) -> None:
    with pytest.raises(ExportRefused, match=words):
        given.onnx_answers(saved(tmp_path, *nodes, opset=opset), [X])


def test_an_onnx_operator_that_ncnn_does_not_have_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path, helper.make_node("NonZero", ["x"], ["y"], name="where"))
    with pytest.raises(ExportRefused, match=r"NonZero\n  NonZero 'where'"):
        given.export_onnx(path, IMAGE, tmp_path)


PAIR = """7767517
3 3
Input data 0 1 data
InnerProduct fc 1 1 data hidden 0=2 1=1 2=6
Softmax prob 1 1 hidden prob
"""


def test_a_ready_pair_is_measured_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    param = tmp_path / "net.param"
    param.write_text(PAIR)
    stored = bytes(4) + np.arange(8, dtype="<f4").tobytes()
    param.with_suffix(".bin").write_bytes(stored)
    assert given.ncnn_pair(param, tmp_path / "out") == ("prob",)
    assert (tmp_path / "out" / "graph.param").read_text() == PAIR
    assert (tmp_path / "out" / "weights.bin").read_bytes() == stored


def test_a_pair_with_weights_in_float16_is_whole_too(tmp_path: Path) -> None:
    param = tmp_path / "net.param"
    param.write_text(PAIR.replace("2=6", "2=5"))
    halves = np.arange(5, dtype="<f2").tobytes() + bytes(2)
    param.with_suffix(".bin").write_bytes(graph.HALF + halves + np.arange(2, dtype="<f4").tobytes())
    assert given.ncnn_pair(param, tmp_path.parent) == ("prob",)


NORM = """7767517
2 2
Input data 0 1 data
BatchNorm norm 1 1 data out 0=2
"""


@pytest.mark.parametrize(
    ("param", "stored", "words"),
    [
        (PAIR, bytes(12), "end inside fc"),
        (PAIR, bytes(100), "bytes of weights too many"),
        ("no graph", bytes(36), "not an ncnn param file"),
        (PAIR, bytes(32) + np.array([np.nan], "<f4").tobytes(), r"InnerProduct 'fc' that are not finite: 1 of 2"),
        (
            NORM,
            np.array([1, 1, 0, 0, 1, -1, 0, 0], "<f4").tobytes(),
            r"BatchNorm 'norm' whose variances are below 0: 1",
        ),
    ],
)
def test_a_damaged_pair_is_corrupt(tmp_path: Path, param: str, stored: bytes, words: str) -> None:
    (tmp_path / "net.param").write_text(param)
    (tmp_path / "net.bin").write_bytes(stored)
    with pytest.raises(CorruptData, match=words):
        given.ncnn_pair(tmp_path / "net.param", tmp_path)


def test_a_pair_of_other_layers_than_ncnn_s_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.param").write_text(PAIR.replace("Softmax", "torch.topk"))
    (tmp_path / "net.bin").write_bytes(bytes(36))
    with pytest.raises(ExportRefused, match=r"torch\.topk"):
        given.ncnn_pair(tmp_path / "net.param", tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_of_onnx_that_are_not_finite_are_named(tmp_path: Path, value: float) -> None:
    weight = np.full((4, 3, 3, 3), 0.1, np.float32)
    weight[1, 2, 0, 0] = value
    path = saved(tmp_path, helper.make_node("Conv", ["x", "w"], ["y"]), weights={"w": weight})
    with pytest.raises(CorruptData, match=r"weights 'w' that are not finite: 1 of 108 values"):
        given.export_onnx(path, IMAGE, tmp_path)


def test_variances_of_onnx_below_0_are_named(tmp_path: Path) -> None:
    parts = {name: np.ones(3, np.float32) for name in ("scale", "bias", "mean")}
    node = helper.make_node("BatchNormalization", ["x", *parts, "variance"], ["y"])
    path = saved(tmp_path, node, weights={**parts, "variance": np.array([1, -1, 1], np.float32)})
    with pytest.raises(CorruptData, match=r"weights 'variance' whose variances are below 0: 1"):
        given.onnx_answers(path, [X])


def test_a_mask_of_onnx_may_be_infinite(tmp_path: Path) -> None:
    mask = np.array([0, -np.inf] * 4, np.float32)
    nodes = [helper.make_node("Add", ["x", "mask"], ["masked"]), helper.make_node("Softmax", ["masked"], ["y"], axis=3)]
    assert given.onnx_answers(saved(tmp_path, *nodes, weights={"mask": mask}), [X]).outputs[0].shape == (3, 8, 8)


def test_a_branch_of_onnx_is_named(tmp_path: Path) -> None:
    result = helper.make_tensor_value_info("r", TensorProto.FLOAT, None)
    branch = helper.make_graph([helper.make_node("Identity", ["x"], ["r"])], "b", [], [result])
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["m"], keepdims=0),
        helper.make_node("Cast", ["m"], ["c"], to=TensorProto.BOOL),
        helper.make_node("If", ["c"], ["y"], name="choice", then_branch=branch, else_branch=branch),
    ]
    with pytest.raises(ExportRefused, match="decides by values what it computes: If 'choice'"):
        given.onnx_answers(saved(tmp_path, *nodes), [X])


def test_a_pair_without_weights_is_corrupt(tmp_path: Path) -> None:
    (tmp_path / "net.param").write_text(PAIR)
    with pytest.raises(CorruptData, match=r"net\.bin cannot be read"):
        given.ncnn_pair(tmp_path / "net.param", tmp_path)
