"""The runner trains an extreme learning machine: what it answers is what float64 gives, however the matrix is kept; and
every way to ask for something else is refused with the reason."""

from __future__ import annotations

import struct
import subprocess
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg

from bench.compress.elm import learning, package, random
from bench.errors import RunnerFailed
from bench.measure import training
from tests.e2e.native_kit import Run, execute, graph, measure, packed, runner

CLASSES = 3


def rings(count: int, seed: int) -> learning.Part:
    """Points in twelve dimensions whose class is how far they are from the middle."""
    draw = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    points = draw.normal(size=(count, 12))
    points *= ((1 + labels + draw.uniform(-0.3, 0.3, count)) / np.linalg.norm(points, axis=1))[:, None]
    return learning.Part(points.reshape(count, 1, 3, 4).astype(np.float32), labels)


TRAIN, HELD, TEST = rings(700, 1), rings(150, 2), rings(300, 3)


def train(folder: Path, memory_limit: int | None = None, **changes: Any) -> Run:
    for name, part in (("train", TRAIN), ("held", HELD), ("test", TEST)):
        (folder / name).write_bytes(packed(part.inputs, part.labels.astype(np.int64)[:, None]))
    keys: dict[str, Any] = {
        "contract": 3,
        "mode": "train",
        "samples": folder / "train",
        "validation": folder / "held",
        "test": folder / "test",
        "package": folder / "made.elm",
        "neurons": 1300,
        "classes": CLASSES,
        "seed": 7,
        "alphas": "0.01,1,100",
        "matrix": "float32",
        "threads": 1,
        "affinity": 0,
    } | changes
    job = folder / "job"
    job.write_text("".join(f"{key} = {value}\n" for key, value in keys.items() if value is not None))
    return execute(job, memory_limit)


def exact(neurons: int, alpha: float) -> np.ndarray:
    """The output weights in float64 for the layer that the package names, (neurons, classes)."""
    flat = TRAIN.inputs.reshape(len(TRAIN), -1)
    mean, deviation = np.float32(flat.mean(dtype=np.float64)), np.float32(flat.std(dtype=np.float64))
    weights, biases = random.hidden(7, 12, neurons, learning.gain_of(12))
    hidden = np.tanh(((flat - mean) / deviation).astype(np.float64) @ weights.T.astype(np.float64) + biases)
    matrix = hidden.T @ hidden + alpha * np.eye(neurons)
    return scipy.linalg.solve(matrix, hidden.T @ np.eye(CLASSES)[TRAIN.labels], assume_a="pos")


@pytest.mark.parametrize("matrix", ["float32", "float16", "file"])
def test_what_is_solved_for_is_what_float64_gives_however_the_matrix_is_kept(matrix: str, tmp_path: Path) -> None:
    done = train(tmp_path, matrix=matrix, alphas="1", validation=None, threads=2)
    told = done.event("trained")
    made = package.read((tmp_path / "made.elm").read_bytes())
    flat = TEST.inputs.reshape(len(TEST), -1)
    weights, biases = random.hidden(7, 12, 1300, learning.gain_of(12))
    hidden = np.tanh((flat - np.float32(made.mean)) / np.float32(made.deviation) @ weights.T + biases)
    wanted = hidden @ exact(1300, 1.0)
    found = hidden @ made.output_weights().T
    assert np.abs(found - wanted).max() < 0.01 * np.abs(wanted).max()
    assert told["right"] == int(np.sum(found.argmax(1) == TEST.labels))
    assert told["right"] / told["of"] > 0.5  # by chance a third
    assert not (tmp_path / "job.matrix").exists()


def test_a_regularisation_is_chosen_on_the_samples_held_apart(tmp_path: Path) -> None:
    done = train(tmp_path)
    solutions = [event for event in done.events if event["event"] == "solution"]
    assert [float(event["alpha"]) for event in solutions] == [100, 1, 0.01]
    best = max(solutions, key=lambda event: (event["right"], float(event["alpha"])))
    assert done.event("trained")["alpha"] == best["alpha"]


def test_the_events_are_read_back_as_what_they_say(tmp_path: Path) -> None:
    train(tmp_path, neurons=100)
    done = subprocess.run([runner(), tmp_path / "job"], capture_output=True, text=True, check=True)
    found = training.read(done.stdout.splitlines(), 0)
    assert (found.neurons, found.inputs, found.samples, found.of) == (100, 12, 700, 300)
    assert found.package_bytes == (tmp_path / "made.elm").stat().st_size
    assert found.condition > 1
    assert len(found.tried) == 3
    assert found.seconds > found.products_s + found.factor_s


def test_a_training_that_was_killed_says_so() -> None:
    with pytest.raises(RunnerFailed, match="SIGKILL") as caught:
        training.read(['{"event":"progress","stage":"factor","done":1,"total":9}'], 137)
    assert caught.value.left == 137


def test_more_memory_than_the_process_may_have_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    done = train(tmp_path, memory_limit=600 << 20, neurons=20000)
    assert done.event("error")["kind"] == "out_of_memory"
    assert "MiB" in done.event("error")["message"]


def test_a_matrix_in_a_file_needs_less_memory_than_one_in_memory(tmp_path: Path) -> None:
    peaks = {
        matrix: train(tmp_path, neurons=4096, alphas="1", validation=None, test=None, matrix=matrix).event("memory")[
            "vm_hwm"
        ]
        for matrix in ("float32", "file")
    }
    assert peaks["file"] < peaks["float32"] - (15 << 20)  # 10 blocks of 4 MiB against a column of 4 and one more


@pytest.mark.parametrize(
    ("changes", "kind", "why"),
    [
        ({"neurons": 0}, "bad_job", "neurons"),
        ({"neurons": 200000}, "bad_job", "neurons"),
        ({"classes": 1}, "bad_job", "classes"),
        ({"alphas": "0"}, "bad_job", "alphas"),
        ({"alphas": "nan"}, "bad_job", "alphas"),
        ({"alphas": "1,,2"}, "bad_job", "empty name"),
        ({"alphas": "-1"}, "bad_job", "alphas"),
        ({"validation": None}, "bad_job", "no validation"),
        ({"matrix": "int4"}, "bad_job", "matrix"),
        ({"graph": "x"}, "bad_job", "graph"),
        ({"package": None}, "bad_job", "package"),
        ({"classes": 2}, "bad_samples", "of class 2"),
        ({"package": "/nowhere/at/all"}, "write_failed", "/nowhere"),
        ({"samples": "/nowhere"}, "missing_file", "/nowhere"),
    ],
)
def test_what_cannot_be_done_is_refused(changes: dict[str, Any], kind: str, why: str, tmp_path: Path) -> None:
    done = train(tmp_path, **({"neurons": 50} | changes))
    assert done.event("error")["kind"] == kind
    assert why in done.event("error")["message"]


def test_samples_without_a_class_and_samples_all_alike_are_refused(tmp_path: Path) -> None:
    train(tmp_path, neurons=10)
    for inputs, why in (
        ([TRAIN.inputs], "one class"),
        ([TRAIN.inputs, TRAIN.inputs], "one class"),
        ([np.ones_like(TRAIN.inputs), TRAIN.labels.astype(np.int64)[:, None]], "the same"),
        ([np.full_like(TRAIN.inputs, np.nan), TRAIN.labels.astype(np.int64)[:, None]], "not finite"),
    ):
        (tmp_path / "train").write_bytes(packed(*inputs))
        done = execute(tmp_path / "job")
        assert done.event("error")["kind"] == "bad_samples"
        assert why in done.event("error")["message"]


PARAM = graph(
    "Input in0 0 1 in0 0=4 1=3 2=1",
    "Flatten flat 1 1 in0 flat",
    "InnerProduct hidden 1 1 flat hidden 0=20 1=1 2=240",
    "TanH bent 1 1 hidden bent",
    "InnerProduct output 1 1 bent out0 0=3 1=0 2=60",
)


def shipped() -> package.Package:
    halves, exponent = package.stored(np.random.default_rng(0).normal(size=(3, 20)))
    return package.Package(12, 5, 0.5, 0.0, 1.0, exponent, halves)


def test_a_package_is_computed_with_the_layer_that_its_seed_makes(tmp_path: Path) -> None:
    one = shipped()
    done = measure(tmp_path, PARAM, package.write(one), TEST.inputs, weights_format="elm", execution="stock")
    weights, biases = random.hidden(5, 12, 20, np.float32(0.5))
    wanted = np.tanh(TEST.inputs.reshape(len(TEST), -1) @ weights.T + biases) @ one.output_weights().T
    assert done.outputs is not None
    assert done.outputs.reshape(-1, 3) == pytest.approx(wanted, rel=1e-4, abs=1e-4)
    assert done.event("decode")["values"] == 240 + 20 + 60


def resealed(body: bytes) -> bytes:
    return b"ELM1" + struct.pack("<I", zlib.crc32(body)) + body


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda data: b"ELM2" + data[4:], "not an ELM package"),
        (lambda data: data[:47], "shorter than its header"),
        (lambda data: data[:-2], "check sum"),
        (lambda data: resealed(data[8:-2]), "166 bytes where its header says 168"),
        (lambda data: resealed(struct.pack("<I", 0) + data[12:]), "0 inputs"),
        (lambda data: resealed(data[8:12] + struct.pack("<I", 2**31) + data[16:]), "neurons"),
        (lambda data: resealed(data[8:40] + struct.pack("<f", -1.0) + data[44:]), "deviation"),
        (lambda data: resealed(data[8:-2] + b"\x00\xfc"), "not finite"),
        (lambda data: resealed(struct.pack("<I", 13) + data[12:]), "the graph asks for"),
    ],
)
def test_a_package_that_lies_is_refused_as_bad_weights(change: Any, why: str, tmp_path: Path) -> None:
    data = change(package.write(shipped()))
    done = measure(tmp_path, PARAM, data, TEST.inputs, weights_format="elm", execution="stock")
    assert done.event("error")["kind"] == "bad_weights"
    assert why in done.event("error")["message"]
