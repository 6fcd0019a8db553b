"""Low-rank networks with passes in them: the runner answers as it does to the graph of ordinary layers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from bench.cache import Cache
from bench.export import graph as param
from bench.export import half, low_rank
from bench.export.graph import Graph, Layer
from bench.export.low_rank import Choice, Node
from bench.records import Tensor
from bench.runtimes.ncnn.build import build
from tests import lowrank
from tests.e2e.native_kit import Run, graph, measure, ncnn_weights

JOB = {"weights_format": "runtime", "execution": "stock"}


def text_of(layers: list[Layer]) -> str:
    return str(Graph(tuple(layers)).small(["in0", "out0"]))


def ordinary(made: Graph, values: tuple[lowrank.Floats, ...]) -> list[Node]:
    """As ncnn wants it: with Splits, which low_rank itself puts where they are needed."""
    left = iter(values)
    nodes = [Node(layer, tuple(next(left) for _ in layer.blobs())) for layer in made.layers]
    return low_rank.split(nodes)


def run(folder: Path, nodes: list[Node], x: np.ndarray, *, stored_half: bool = False, threads: int = 1) -> Run:
    layers = [node.layer for node in nodes]
    blobs = Graph(tuple(layers)).blobs()
    weights = param.joined(blobs, [blob for node in nodes for blob in node.blobs])
    weights = half.stored(weights, blobs) if stored_half else weights
    return measure(folder, text_of(layers), weights, x, **JOB, threads=threads)


def samples(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(3).normal(size=(2, *shape)).astype(np.float32)


def close(found: np.ndarray | None, wanted: np.ndarray | None) -> None:
    assert found is not None
    assert wanted is not None
    assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()


def rewritten(seed: int, choice: Choice, *, is_half: bool) -> tuple[list[Node], list[Node], np.ndarray]:
    made, values, shape = lowrank.network(seed, half=is_half)
    inputs = [Tensor(name="in0", shape=shape)]
    before = ordinary(made, values)
    return before, low_rank.rewritten(made, values, inputs, choice, half=is_half), samples(shape)


SEEDS = (*range(20), 56, 59)


@pytest.mark.parametrize("seed", SEEDS)
def test_any_low_rank_network_answers_as_its_ordinary_layers_do(tmp_path: Path, seed: int) -> None:
    before, after, x = rewritten(seed, "all", is_half=seed % 3 == 0)
    wanted = run(tmp_path, before, x)
    found = run(tmp_path, after, x, stored_half=seed % 3 == 0, threads=1 + seed % 2)
    assert found.outputs is not None, (found.events, found.stderr)
    close(found.outputs, wanted.outputs)


def test_the_family_of_networks_has_every_kind_of_pass() -> None:
    passes = [
        node.layer.parameters
        for seed in SEEDS
        for node in rewritten(seed, "all", is_half=seed % 3 == 0)[1]
        if node.layer.type == "LowRankPass"
    ]
    assert {p.get("3", "0") for p in passes} == {"0", "1", "2", "3", "6", "7"}
    for flag in ("6", "7", "8", "9"):
        assert {p.get(flag, "0") for p in passes} == {"0", "1"}, flag
    assert any(p["1"] == "1" for p in passes)
    assert any(p.get("2", "0") == "0" for p in passes)


@pytest.mark.parametrize("seed", [0, 4, 9])
def test_any_number_of_threads_gives_the_same_bits(tmp_path: Path, seed: int) -> None:
    _, after, x = rewritten(seed, "all", is_half=seed % 3 == 0)
    one, *others = (run(tmp_path, after, x, threads=threads).outputs for threads in (1, 2, 3, 4))
    for other in others:
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("threads", [1, 2, 3, 4])
def test_large_images_and_large_matrices_are_shared_by_threads(tmp_path: Path, threads: int) -> None:
    random = np.random.default_rng(1)

    def pair(size: tuple[int, int], text: str, x: np.ndarray) -> np.ndarray:
        rank, channels = size
        weights = [random.normal(size=n).astype("<f4") / 30 for n in (rank * channels, channels, channels * 24, 24)]
        blobs = ncnn_weights(*zip((True, False, True, False), weights, strict=True))
        found = measure(tmp_path, graph("Input in0 0 1 in0", text), blobs, x, **JOB, threads=threads).outputs
        expand, bias, reduce, last = (w.astype(np.float64) for w in weights)
        z = x.reshape(rank, -1).astype(np.float64)
        y = np.maximum(expand.reshape(channels, rank) @ z + bias[:, None], 0)
        wanted = (reduce.reshape(24, channels) @ y + last[:, None]).ravel()
        assert found is not None
        assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()
        return found

    pair((20, 130), "LowRankPass a 1 1 in0 out0 0=130 1=20 2=24 3=1", samples((20, 61, 67))[:1])
    pair((90, 1000), "LowRankPass a 1 1 in0 out0 0=1000 1=90 2=24 3=1", samples((90, 1, 1))[:1])


@pytest.mark.skipif(shutil.which("qemu-aarch64-static") is None, reason="qemu-user-static is not installed")
@pytest.mark.parametrize(("abi", "qemu"), [("arm64-v8a", "qemu-aarch64-static"), ("armeabi-v7a", "qemu-arm-static")])
def test_phones_answer_alike(tmp_path: Path, abi: str, qemu: str) -> None:
    program = build(abi, Cache()).path
    for seed in range(8):
        before, after, x = rewritten(seed, "all", is_half=seed % 3 == 0)
        wanted = run(tmp_path, before, x).outputs
        run(tmp_path, after, x, stored_half=seed % 3 == 0, threads=2)
        (tmp_path / "answers.f32").unlink()
        subprocess.run([qemu, program, tmp_path / "job"], check=True, capture_output=True, timeout=120)
        close(np.fromfile(tmp_path / "answers.f32", "<f4"), wanted)


PASS = "LowRankPass a 1 1 in0 out0 0=9 1=3 2=4"
WEIGHTS = ncnn_weights(
    (True, np.zeros(27)), (False, np.zeros(9)), (True, np.zeros(36)), (False, np.zeros(4))
)  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        "LowRankPass a 1 1 in0 out0",
        "LowRankPass a 1 1 in0 out0 0=9",
        "LowRankPass a 1 1 in0 out0 0=-9 1=3 2=4",
        "LowRankPass a 1 1 in0 out0 0=9 1=2000000 2=4",
        "LowRankPass a 1 1 in0 out0 0=1000000 1=1000000 2=4",
        "LowRankPass a 1 1 in0 out0 0=1000000 1=3 2=1000000",
        f"{PASS} 3=4",
        f"{PASS} 3=-1",
        f"{PASS} 3=2 4=nan",
        "LowRankPass a 1 2 in0 out0 x 0=9 1=3 8=1",
        "LowRankPass a 1 2 in0 out0 x 0=9 1=3 2=4 6=1 8=1",
        "LowRankPass a 1 1 in0 out0 0=9 1=3 2=4 6=1 7=1",
    ],
)
def test_parameters_that_make_no_sense_are_refused(tmp_path: Path, line: str) -> None:
    found = measure(tmp_path, graph("Input in0 0 1 in0", line), WEIGHTS, samples((3, 8, 8)), **JOB)
    assert found.event("error")["kind"] == "bad_graph"


@pytest.mark.parametrize(
    "line",
    [
        "LowRankPass a 1 1 in0 out0 0=9 1=5 2=4",  # of another rank than the input
        f"{PASS} 7=1",  # nothing to add
        f"{PASS} 8=1",  # no place for the wide space
        "LowRankPass a 1 2 in0 out0 x 0=9 1=3 2=4",
        f"{PASS} 6=1",  # of an image of one row
    ],
)
def test_blobs_that_do_not_fit_end_in_words(tmp_path: Path, line: str) -> None:
    rank = 5 if "1=5" in line else 3
    sizes = ((True, rank * 9), (False, 9), (True, 36), (False, 4))
    weights = ncnn_weights(*((flag, np.zeros(size)) for flag, size in sizes))
    found = measure(tmp_path, graph("Input in0 0 1 in0", line), weights, samples((3, 1, 8)), **JOB)
    assert found.event("error")["kind"] == "inference_failed"


@pytest.mark.parametrize("cut", [1, 4, 17, 36, len(WEIGHTS) - 2])
def test_weights_that_end_early_are_refused(tmp_path: Path, cut: int) -> None:
    found = measure(tmp_path, graph("Input in0 0 1 in0", PASS), WEIGHTS[:-cut], samples((3, 8, 8)), **JOB)
    assert found.event("error")["kind"] == "bad_weights"


def test_weights_too_many_are_refused(tmp_path: Path) -> None:
    found = measure(tmp_path, graph("Input in0 0 1 in0", PASS), WEIGHTS + bytes(4), samples((3, 8, 8)), **JOB)
    assert found.event("error")["kind"] == "bad_weights"


def test_weights_that_are_no_float16_are_not_taken_for_it(tmp_path: Path) -> None:
    weights = ncnn_weights((True, np.full(27, 0.1)), (False, np.zeros(9)), (True, np.zeros(36)), (False, np.zeros(4)))
    found = measure(tmp_path, graph("Input in0 0 1 in0", f"{PASS} 9=1"), weights, samples((3, 8, 8)), **JOB)
    assert found.event("error")["kind"] == "bad_graph"
