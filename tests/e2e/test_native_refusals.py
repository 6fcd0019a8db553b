"""Every way a job can be wrong ends in its own kind and exit status, and a reason that names the culprit."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.e2e.native_kit import (
    EXITS,
    Run,
    Tensor,
    execute,
    graph,
    measure,
    ncnn_weights,
    package,
    packed,
    runner,
    seal,
)

INPUT = "Input in0 0 1 in0"
CONV = "Convolution conv 1 1 in0 out0 0=4 1=3 5=0 6=108"
PARAM = graph(INPUT, CONV)
WEIGHT = Tensor((4, 3, 3, 3), np.arange(1.0, 21.0))
GOOD = package(WEIGHT)
SAMPLES = np.ones((2, 3, 6, 6), np.float32)


def refused(run: Run, kind: str, *words: str) -> None:
    error = run.event("error")
    assert error["kind"] == kind
    assert run.status == EXITS[kind]
    assert all(word in error["message"] for word in words), error["message"]


def attempt(folder: Path, param: str = PARAM, weights: bytes = GOOD, /, **changes: Any) -> Run:
    return measure(folder, param, weights, SAMPLES, **changes)


def test_the_job_that_the_others_spoil_is_good(tmp_path: Path) -> None:
    assert attempt(tmp_path).status == 0


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"contract": 2}, "contract"),
        ({"contract": None}, "contract"),
        ({"mode": "speed"}, "mode"),
        ({"threads": 0}, "threads"),
        ({"threads": 65}, "threads"),
        ({"threads": "two"}, "threads"),
        ({"threads": -1}, "threads"),
        ({"threads": "9" * 30}, "threads"),
        ({"affinity": "0xg"}, "affinity"),
        ({"affinity": "1" * 17}, "affinity"),
        ({"precision": "fp64"}, "precision"),
        ({"weights_format": "onnx"}, "weights_format"),
        ({"execution": "stock"}, "execution"),
        ({"execution": "dense", "weights_format": "runtime"}, "execution"),
        ({"inputs": None}, "inputs"),
        ({"inputs": "in0,"}, "empty name"),
        ({"inputs": ",in0"}, "empty name"),
        ({"inputs": "in0, in0"}, "in0 again"),
        ({"outputs": "out0,out0"}, "out0 again"),
        ({"inputs": ",".join(f"in{i}" for i in range(9))}, "more than 8"),
        ({"graph": None}, "graph"),
        ({"graph": ""}, "line"),
        ({"colour": "blue"}, "colour"),
        ({"min_iterations": 5}, "min_iterations"),
        ({"mode": "latency", "answers": "x"}, "answers"),
        ({"mode": "latency", "min_iterations": 5, "max_iterations": 4}, "max_iterations"),
        ({"mode": "latency", "min_iterations": 0}, "min_iterations"),
        ({"mode": "latency", "max_iterations": 10**9}, "max_iterations"),
        ({"mode": "latency", "beside": 17}, "beside"),
        ({"mode": "latency", "beside": None}, "beside"),
        ({"mode": "latency", "load": 65}, "load"),
        ({"mode": "latency", "load": None}, "load"),
        ({"mode": "latency", "seconds": 1}, "seconds"),
        ({"mode": "memory", "beside": 0}, "beside"),
        ({"mode": "sustained"}, "seconds"),
        ({"mode": "sustained", "seconds": 0}, "seconds"),
        ({"mode": "sustained", "seconds": 86_401}, "seconds"),
        ({"mode": "sustained", "seconds": 1, "load": 1}, "load"),
        ({"mode": "largest"}, "extents"),
        ({"mode": "largest", "extents": "640"}, "extents"),
        ({"mode": "largest", "extents": "0x640"}, "extents"),
        ({"mode": "largest", "extents": "640x65537"}, "extents"),
        ({"mode": "largest", "extents": "640x"}, "extents"),
        ({"mode": "largest", "extents": "640x480x3"}, "extents"),
        ({"mode": "largest", "extents": "6 x 4"}, "extents"),
        ({"mode": "largest", "extents": "8x8", "seconds": 1}, "seconds"),
    ],
)
def test_bad_keys(tmp_path: Path, change: dict[str, Any], word: str) -> None:
    refused(attempt(tmp_path, **change), "bad_job", word)


@pytest.mark.parametrize("extra", ["threads = 1\n", "nonsense\n", "= 3\n", "a\x00b = 1\n", "x = y\x1b[0m\n"])
def test_bad_job_syntax(tmp_path: Path, extra: str) -> None:
    attempt(tmp_path)
    job = tmp_path / "job"
    job.write_text(job.read_text() + extra)
    refused(execute(job), "bad_job")


def test_comments_blank_lines_and_carriage_returns(tmp_path: Path) -> None:
    attempt(tmp_path)
    job = tmp_path / "job"
    job.write_bytes(b"# a job\r\n\r\n" + job.read_bytes().replace(b"\n", b" # why not\r\n").rstrip(b"\r\n"))
    assert execute(job).status == 0


def test_a_job_too_long(tmp_path: Path) -> None:
    job = tmp_path / "job"
    job.write_text("#" * 70_000)
    refused(execute(job), "bad_job")


@pytest.mark.parametrize("key", ["graph", "weights", "samples"])
def test_missing_files(tmp_path: Path, key: str) -> None:
    refused(attempt(tmp_path, **{key: tmp_path / "nowhere"}), "missing_file", "nowhere", "No such file")
    refused(attempt(tmp_path, **{key: tmp_path}), "missing_file", "regular file")


def test_missing_job(tmp_path: Path) -> None:
    refused(execute(tmp_path / "nowhere"), "missing_file")


@pytest.mark.parametrize(
    ("param", "word"),
    [
        ("", "7767517"),
        ("hello\n", "7767517"),
        ("7767517\n", "counts"),
        ("7767517\n-1 3\n", "counts"),
        ("7767517\n3 2\n" + INPUT + "\n" + CONV + "\n", "promises"),
        ("7767517\n2 1\n" + INPUT + "\n" + CONV + "\n", "promises"),
        (graph(INPUT, "Yolov3DetectionOutput y 1 1 in0 out0"), "Yolov3DetectionOutput"),
        (graph(INPUT, "NoSuchLayer n 1 1 in0 out0"), "NoSuchLayer"),
        (graph(INPUT, CONV.replace("in0", "elsewhere", 1)), "elsewhere"),
        (graph(INPUT, CONV.replace("out0", "in0")), "in0"),
        (graph(INPUT.replace("in0", "in1"), CONV.replace("in0", "in1")), "in0"),
        (graph(INPUT, CONV.replace("out0", "other")), "out0"),
        (graph(INPUT, "Convolution conv 1 1 in0 out0 0=0 1=0 6=0"), "ncnn"),
        (graph(INPUT, "Convolution conv 1 1 in0 out0 0=four"), "ncnn"),
        (graph(INPUT, "Convolution conv x 1 in0 out0"), "numbers"),
    ],
)
def test_bad_graphs(tmp_path: Path, param: str, word: str) -> None:
    refused(attempt(tmp_path, param), "bad_graph", word)


BODY = package(WEIGHT)[8:]


def one(tensor: bytes, head: int = 0) -> bytes:
    """A sealed package of one tensor that begins with `head`."""
    return seal(bytes([0, 1, head]) + tensor)


@pytest.mark.parametrize(
    ("weights", "word"),
    [
        (b"", "early"),
        (b"FRQ2", "early"),
        (b"ELF!" + package(WEIGHT)[4:], "not a .frq"),
        (b"FRQ2\0\0\0\0" + BODY, "check sum"),
        (package(WEIGHT)[:-1], "check sum"),
        (seal(BODY[:-1]), "early"),
        (seal(BODY + b"\0"), "after the last"),
        (seal(b"\x02\xff\xfe" + BODY[4:]), "UTF-8"),
        (seal(b"\0\0"), "no tensors"),
        (seal(b"\0\x81\0"), "longer than"),
        (seal(b"\0" + b"\xff" * 5 + b"\1"), "varint"),
        (one(b"\x23\x01"), "kind 3"),
        (one(b"\x00\x01"), "rank 0"),
        (one(b"\xc0" + b"\1" * 9), "rank 6"),
        (one(b"\x29\x01\x01\0\0"), "8 bits, which format 2"),
        (one(b"\x31\x01\x01\0\0"), "transposed"),
        (one(b"\x21\x01\x00\0\0"), "extent"),
        (one(b"\x61\x00\x01\x01\x01\0\0"), "extent"),
        (one(b"\x41\x01\xff\xff\x03\xff\xff\x03\0\0"), "2^31"),
        (one(b"\x21\x00\x04"), "0 coefficients"),
        (one(b"\x21\x05\x04" + b"\0" * 10), "5 coefficients"),
        (one(b"\x22\x02\x04\x01\x00" + b"\0" * 4), "grow"),
        (one(b"\x22\x02\x04\x01\x03" + b"\0" * 4), "beyond"),
        (one(b"\x20\xff\xff\xff\xff\x07"), "early"),
        (one(b"\x21\x01\x01\0\0", head=1), "before the first"),
        (one(b"\x21\x01\x01\0\0", head=0x10), "one axis"),
        (one(b"\x21\x01\x01\0\0", head=0xC0), "half of 1"),
        (seal(b"\0\x02\0\x21\x01" + b"\x80\x80\x80\x80\x04\0\0" + b"\x81\0\0"), "extent of 2147483648"),
        (package(Tensor((4, 3, 3, 1), np.ones(5))), "asks for"),
        (package(WEIGHT, WEIGHT), "not use all"),
        (package(Tensor((108,), np.ones(108), kind="raw", vector=True)), "asks for"),
    ],
)
def test_bad_packages(tmp_path: Path, weights: bytes, word: str) -> None:
    refused(attempt(tmp_path, PARAM, weights), "bad_weights", word)


def test_a_package_with_too_few_tensors(tmp_path: Path) -> None:
    param = graph(INPUT, CONV.replace("5=0", "5=1"))
    refused(attempt(tmp_path, param), "bad_weights", "more than its 1 tensors")


@pytest.mark.parametrize(("change", "word"), [(-4, "early"), (-108 * 4, "early"), (4, "bytes")])
def test_stock_weights_of_the_wrong_length(tmp_path: Path, change: int, word: str) -> None:
    whole = ncnn_weights((True, np.ones(108)))
    weights = whole + bytes(change) if change > 0 else whole[:change]
    refused(attempt(tmp_path, PARAM, weights, weights_format="runtime", execution="stock"), "bad_weights", word)


def header(*words: int) -> bytes:
    """A packed sample file that ends with its header."""
    return b"BSMP" + struct.pack(f"<{len(words)}I", *words)


@pytest.mark.parametrize(
    ("samples", "word"),
    [
        (b"", "header"),
        (header(2, 1, 1, 0, 3, 1, 1), "header"),
        (header(2, 1, 1), "header"),
        (b"JPEG" + packed(SAMPLES)[4:], "packed"),
        (b"BSMP" + struct.pack("<5I", 1, *SAMPLES.shape) + SAMPLES.tobytes(), "version 1"),
        (header(2, 0, 1, 0, 1, 5), "no samples"),
        (header(2, 1, 0), "0 inputs"),
        (header(2, 1, 9), "9 inputs"),
        (header(2, 1, 1, 2, 1, 5), "type 2"),
        (header(2, 1, 1, 0, 0), "rank 0"),
        (header(2, 1, 1, 0, 5, 1, 1, 1, 1, 1), "rank 5"),
        (header(2, 1, 1, 0, 3, 3, 0, 6), "extent of 0"),
        (packed(SAMPLES)[:-1], "bytes"),
        (packed(SAMPLES) + b"\0", "bytes"),
        (packed(SAMPLES, np.ones((2, 1), np.int32)), "2 inputs for a job of 1"),
        (header(2, 1, 1, 0, 4, *[2**31] * 4), "2^26"),
        (header(2, 2**32 - 1, 1, 0, 4, *[2**8] * 3, 4), "bytes"),
        (header(2, 1, 1, 0, 2, 2**20, 2**7), "2^26"),
    ],
)
def test_bad_samples(tmp_path: Path, samples: bytes, word: str) -> None:
    attempt(tmp_path)
    (tmp_path / "samples.bsmp").write_bytes(samples)
    refused(execute(tmp_path / "job"), "bad_samples", word)


def test_samples_of_another_shape_than_the_graph_names(tmp_path: Path) -> None:
    refused(attempt(tmp_path, graph("Input in0 0 1 in0 0=7 1=6 2=3", CONV)), "bad_samples", "3×6×6", "3×6×7")


def test_a_graph_with_an_input_that_the_job_does_not_give(tmp_path: Path) -> None:
    param = graph(INPUT, "Input in1 0 1 in1", "BinaryOp sum 2 1 in0 in1 a 0=0", CONV.replace("in0", "a"))
    refused(attempt(tmp_path, param), "bad_graph", "in1")


def test_a_job_with_an_output_that_the_graph_does_not_make(tmp_path: Path) -> None:
    refused(attempt(tmp_path, outputs="out0,out1"), "bad_graph", "out1")


def test_an_inference_that_cannot_be(tmp_path: Path) -> None:
    param = graph(INPUT, CONV.replace("out0", "a"), "Reshape r 1 1 a out0 0=1000000 1=3")
    refused(attempt(tmp_path, param), "inference_failed")


def test_answers_that_cannot_be_written(tmp_path: Path) -> None:
    refused(attempt(tmp_path, answers=tmp_path / "no" / "folder"), "write_failed", "No such file")
    refused(attempt(tmp_path, answers="/dev/full"), "write_failed", "No space")


def test_a_mask_without_any_cpu_of_this_machine(tmp_path: Path) -> None:
    refused(attempt(tmp_path, affinity="8000000000000000"), "unsupported", "8000000000000000")


BIG = graph(INPUT, "Convolution conv 1 1 in0 out0 0=1024 1=3 4=1 5=0 6=9437184")
BIG_WEIGHT = Tensor((1024, 1024, 3, 3), np.ones(33))


@pytest.mark.parametrize("megabytes", [20, 30, 60, 80, 100])
@pytest.mark.parametrize("threads", [1, 2])
def test_out_of_memory(tmp_path: Path, megabytes: int, threads: int) -> None:
    """The decoded weight alone is 38 MB, its Winograd form four times that: memory ends somewhere else each time."""
    x = np.ones((1, 1024, 4, 4), np.float32)
    run = measure(tmp_path, BIG, package(BIG_WEIGHT), x, megabytes << 20, threads=threads)
    refused(run, "out_of_memory")


def test_out_of_memory_during_inference(tmp_path: Path) -> None:
    x = np.ones((1, 3, 64, 64), np.float32)
    param = graph(INPUT, "Interp up 1 1 in0 big 0=1 1=64 2=64", CONV.replace("in0", "big"))
    run = measure(tmp_path, param, package(WEIGHT), x, 64 << 20)
    refused(run, "out_of_memory", "computing")
    assert "load" in run.names


def test_enough_memory_after_all(tmp_path: Path) -> None:
    x = np.ones((1, 1024, 4, 4), np.float32)
    assert measure(tmp_path, BIG, package(BIG_WEIGHT), x, 1 << 30).status == 0


def test_without_a_job() -> None:
    done = subprocess.run([runner()], capture_output=True, text=True, check=False)
    assert done.returncode == EXITS["bad_job"]
    assert "usage" in done.stderr
