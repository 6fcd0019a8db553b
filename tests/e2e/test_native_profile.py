"""The mode `layers`: every layer in the order in which ncnn executes it, with its time, and its values where asked."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.e2e.native_kit import EXITS, Run, graph, measure, ncnn_weights

JOB: dict[str, Any] = {"mode": "layers", "weights_format": "runtime", "execution": "stock"}
TIMES = {"warmup_iterations": 1, "warmup_ms": 0, "min_iterations": 3, "min_ms": 0, "max_iterations": 3}
SAMPLES = np.random.default_rng(3).normal(size=(2, 4, 5, 6)).astype(np.float32)
FIRST, SECOND = (np.random.default_rng(k).normal(size=s).astype(np.float32) for k, s in ((1, (8, 4)), (2, (8, 8))))
PARAM = graph(
    "Input in0 0 1 in0 0=6 1=5 2=4",
    "Convolution one 1 1 in0 a 0=8 1=1 5=0 6=32",
    "Split fork 1 2 a b c",
    "Sigmoid late 1 1 c d",
    "ReLU early 1 1 b e",
    "Convolution two 1 1 e f 0=8 1=1 5=0 6=64",
    "BinaryOp sum 2 1 f d out0 0=0",
    "ReLU unused 1 1 out0 g",
)
WEIGHTS = ncnn_weights((True, FIRST), (True, SECOND))


def run(folder: Path, **changes: Any) -> Run:
    return measure(folder, PARAM, WEIGHTS, SAMPLES, **{**JOB, **TIMES, "answers": None, **changes})


def test_layers_come_in_the_order_in_which_ncnn_executes_them(tmp_path: Path) -> None:
    """Before a layer, what makes its inputs, first things first; and none that no output needs."""
    done = run(tmp_path)
    assert done.names == [
        "environment", "load", "first_inference", "warmup", "layers", *["layer"] * 6, "memory", "end",
    ]  # fmt: skip
    layers = [event for event in done.events if event["event"] == "layer"]
    assert [layer["name"] for layer in layers] == ["one", "fork", "early", "two", "late", "sum"]
    assert [layer["i"] for layer in layers] == list(range(6))
    assert layers[1]["type"] == "Split"
    assert layers[5]["inputs"] == ["f", "d"]
    assert layers[5]["outputs"] == [{"name": "out0", "shape": [8, 5, 6]}]
    assert all(layer["bytes"] >= 4 * 8 * 5 * 6 and layer["deferred"] == 0 for layer in layers)
    head = done.event("layers")
    assert (head["count"], head["iterations"]) == (6, 3)
    assert head["whole"] > 0
    assert head["ns"] >= sum(layer["ns"] for layer in layers) / 2


def test_each_layers_values_are_those_of_the_network(tmp_path: Path) -> None:
    done = run(tmp_path, answers=tmp_path / "answers.f32")
    x = SAMPLES[0].astype(np.float64)
    one = np.einsum("oi,ihw->ohw", FIRST, x)
    relu, sigmoid = np.maximum(one, 0), 1 / (1 + np.exp(-one))
    two = np.einsum("oi,ihw->ohw", SECOND, relu)
    wanted = [one, one, one, relu, two, sigmoid, two + sigmoid]
    assert done.event("answers")["counts"] == [240] * len(wanted)
    assert done.outputs is not None
    for found, values in zip(np.split(done.outputs, len(wanted)), wanted, strict=True):
        assert np.abs(found - values.ravel()).max() <= 1e-5 * np.abs(values).max()


def test_a_deferred_layer_has_no_values_and_its_reader_has(tmp_path: Path) -> None:
    """A RankUp of 4 channels defers its rows to the RankPass after it."""
    param = graph(
        "Input in0 0 1 in0 0=6 1=5 2=4",
        "RankUp up 1 1 in0 a 0=4 1=2 5=0 6=64",
        "RankPass pass 1 1 a out0 0=4 2=4",
    )
    done = measure(
        tmp_path, param, ncnn_weights((True, np.ones(64, np.float32))), SAMPLES,
        **{**JOB, **TIMES, "answers": tmp_path / "answers.f32"},
    )  # fmt: skip
    assert done.status == 0, done.events
    up, reader = (event for event in done.events if event["event"] == "layer")
    assert (up["deferred"], up["outputs"], up["bytes"]) == (1, [], 0)
    assert (reader["deferred"], reader["inputs"]) == (0, ["a"])
    assert done.event("answers")["counts"] == [math.prod(reader["outputs"][0]["shape"])]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"max_iterations": 2}, "max_iterations"),
        ({"min_iterations": 0}, "min_iterations"),
        ({"warmup_ms": 10**10}, "warmup_ms"),
        ({"max_iterations": None}, "max_iterations"),
        ({"beside": 0}, "beside"),
        ({"seconds": 1}, "seconds"),
        ({"mode": "latency", "beside": 0, "load": 0, "answers": "x"}, "answers"),
    ],
)
def test_every_key_is_held_to_its_bounds(tmp_path: Path, changes: dict[str, Any], named: str) -> None:
    done = run(tmp_path, **changes)
    assert done.status == EXITS["bad_job"]
    assert named in done.event("error")["message"]


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    done = run(tmp_path, answers=tmp_path / "missing" / "answers.f32")
    assert done.status == EXITS["write_failed"]
