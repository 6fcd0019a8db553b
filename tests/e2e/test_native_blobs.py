"""Several inputs and outputs, of every rank and type, against numpy."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.native_kit import Run, graph, measure, ncnn_weights

RNG = np.random.default_rng(5)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def stock(folder: Path, param: str, weights: bytes, *inputs: np.ndarray, **changes: object) -> Run:
    run = measure(folder, param, weights, inputs, weights_format="runtime", execution="stock", **changes)
    assert run.status == 0, (run.events, run.stderr)
    return run


def split(run: Run) -> list[list[np.ndarray]]:
    """The answers as [sample][output]."""
    event = run.event("answers")
    assert run.outputs is not None
    assert event["bytes"] == 4 * run.outputs.size
    ends = np.cumsum(event["counts"])[:-1]
    return [np.split(sample, ends) for sample in run.outputs.reshape(event["samples"], -1)]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("shape", [(7,), (3, 5), (2, 3, 5), (3, 1, 1), (8, 3, 5), (2, 3, 2, 5), (4, 1, 3, 1)])
def test_an_input_and_output_of_every_rank(tmp_path: Path, shape: tuple[int, ...], precision: str) -> None:
    """Planes of 15 values have a gap after them in memory, and 8 channels are packed on the way."""
    x = np.round(normal(3, *shape) * 8) / 8  # exact in bfloat16 as well
    param = graph("Input in0 0 1 in0", "AbsVal abs 1 1 in0 out0")
    run = stock(tmp_path, param, b"", x, precision=precision)
    assert run.event("answers")["counts"] == [math.prod(shape)]
    assert [sample[0].tolist() for sample in split(run)] == [one.ravel().tolist() for one in np.abs(x)]


def test_inputs_of_different_shapes_keep_their_order(tmp_path: Path) -> None:
    a, b, c = normal(2, 2, 3, 5), normal(2, 5), normal(2, 3, 5)
    param = graph(
        "Input in1 0 1 in1 0=5",
        "Input in2 0 1 in2 0=5 1=3",
        "Input in0 0 1 in0 0=5 1=3 2=2",
        "AbsVal zero 1 1 in0 out0",
        "ReLU one 1 1 in1 out1",
        "UnaryOp two 1 1 in2 out2 0=1",
    )
    run = stock(tmp_path, param, b"", a, b, c, inputs="in0,in1,in2", outputs="out0,out1,out2")
    assert run.event("answers")["counts"] == [30, 5, 15]
    for got, *wanted in zip(split(run), np.abs(a), np.maximum(b, 0), -c, strict=True):
        assert [one.tolist() for one in got] == [one.ravel().tolist() for one in wanted]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_whole_numbers_reach_an_embedding_as_they_are(tmp_path: Path, precision: str) -> None:
    table = np.round(normal(300, 4) * 8) / 8
    words = np.array([[0, 299, 17], [256, 257, 1]], np.int64)
    param = graph("Input in0 0 1 in0", "Embed embed 1 1 in0 out0 0=4 1=300 2=0 3=1200")
    run = stock(tmp_path, param, ncnn_weights((True, table)), words, precision=precision)
    assert [one.reshape(3, 4).tolist() for (one,) in split(run)] == table[words].tolist()


@pytest.mark.parametrize("outputs", ["out0,out1,out2", "out2,out0,out1"])
def test_outputs_that_others_are_made_of(tmp_path: Path, outputs: str) -> None:
    """One is made of another, in place where that is possible; they come in the order of the job."""
    x = normal(2, 2, 3, 5)
    param = graph(
        "Input in0 0 1 in0",
        "UnaryOp negative 1 1 in0 out0 0=1",
        "ReLU relu 1 1 out0 out1",
        "Reduction sum 1 1 out1 out2 0=0 1=1",
    )
    run = stock(tmp_path, param, b"", x, outputs=outputs)
    wanted = {"out0": -x, "out1": np.maximum(-x, 0), "out2": np.maximum(-x, 0).sum((1, 2, 3), keepdims=True)}
    sizes = {"out0": 30, "out1": 30, "out2": 1}
    assert run.event("answers")["counts"] == [sizes[name] for name in outputs.split(",")]
    for number, sample in enumerate(split(run)):
        for got, name in zip(sample, outputs.split(","), strict=True):
            np.testing.assert_allclose(got, wanted[name][number].ravel(), rtol=1e-5)


def test_latency_and_memory_with_several_blobs(tmp_path: Path) -> None:
    param = graph(
        "Input in0 0 1 in0", "Input in1 0 1 in1", "BinaryOp sum 2 1 in0 in1 out0 0=0", "AbsVal abs 1 1 out0 out1"
    )
    for mode in ("latency", "memory"):
        run = stock(tmp_path, param, b"", normal(1, 9), normal(1, 9), mode=mode, inputs="in0,in1", outputs="out0,out1")
        assert run.names[-2:] == ["memory", "end"]
