"""Damaged files of every kind: the runner ends in one of the contract's statuses, never by a signal, never hanging.

`execute` checks that of each run. What is changed in a package gets a right check sum again, or nothing behind it
would ever be reached.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.e2e.native_kit import EXITS, Tensor, execute, graph, job_text, ncnn_weights, package, packed, seal, vector

Damage = Callable[[bytes], bytes]

PARAM = graph(
    "Input in0 0 1 in0",
    "Convolution conv 1 1 in0 a 0=4 1=3 4=1 5=1 6=72",
    "InstanceNorm norm 1 1 a b 0=4 1=1e-5 2=1",
    "Deconvolution up 1 1 b out0 0=3 1=2 3=2 5=0 6=48",
)
PACKAGE = package(
    Tensor((4, 2, 3, 3), np.linspace(-1, 1, 12), half=True),
    vector(np.ones(4)),
    vector(np.ones(4)),
    vector(np.zeros(4)),
    Tensor((4, 3, 2, 2), np.ones(3), kind="explicit", positions=(0, 7, 40), transposed=True),
)
SAMPLES = packed(np.ones((2, 2, 5, 5)))
STOCK = ncnn_weights(
    (True, np.ones(72)), (False, np.ones(4)), (False, np.ones(4)), (False, np.ones(4)), (True, np.ones(48))
)


def damages(length: int) -> st.SearchStrategy[Damage]:
    """Ways to spoil about `length` bytes: some overwritten, some cut out, some put in, the end cut off."""
    place = st.integers(0, max(0, length - 1))
    overwritten = st.lists(st.tuples(place, st.integers(0, 255)), min_size=1, max_size=4)
    return st.one_of(
        overwritten.map(lambda changes: lambda data: _overwrite(data, changes)),
        st.tuples(place, st.integers(1, 8)).map(lambda cut: lambda data: data[: cut[0]] + data[cut[0] + cut[1] :]),
        st.tuples(place, st.binary(min_size=1, max_size=8)).map(
            lambda added: lambda data: data[: added[0]] + added[1] + data[added[0] :]
        ),
        place.map(lambda end: lambda data: data[:end]),
    )


def _overwrite(data: bytes, changes: list[tuple[int, int]]) -> bytes:
    out = bytearray(data)
    for place, byte in changes:
        out[place] = byte
    return bytes(out)


def attempt(files: dict[str, bytes], **changes: str) -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        defaults = {"net.param": PARAM.encode(), "net.weights": PACKAGE, "samples.bsmp": SAMPLES}
        job = {"job": job_text(folder, **changes).encode()}
        for file, data in (defaults | job | files).items():
            (folder / file).write_bytes(data)
        return execute(folder / "job").status


quick = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def test_the_files_to_be_damaged_are_good() -> None:
    assert attempt({}) == EXITS["ok"]
    assert attempt({"net.weights": STOCK}, weights_format="runtime", execution="stock") == EXITS["ok"]


@quick
@given(damages(len(PACKAGE)))
def test_a_damaged_package_is_refused(damage: Damage) -> None:
    spoilt = damage(PACKAGE)
    assert attempt({"net.weights": spoilt}) == EXITS["ok" if spoilt == PACKAGE else "bad_weights"]


@quick
@given(damages(len(PACKAGE) - 8), st.sampled_from(["dense", "factored"]))
def test_a_lying_package_is_survived(damage: Damage, execution: str) -> None:
    status = attempt({"net.weights": seal(damage(PACKAGE[8:]))}, execution=execution)
    assert status in (EXITS["ok"], EXITS["bad_weights"], EXITS["out_of_memory"], EXITS["inference_failed"])


@quick
@given(st.binary(max_size=60))
def test_noise_in_a_sealed_package_is_survived(body: bytes) -> None:
    assert attempt({"net.weights": seal(body)}) == EXITS["bad_weights"]


@quick
@given(damages(36))
def test_a_damaged_sample_header_is_refused(damage: Damage) -> None:
    status = attempt({"samples.bsmp": damage(SAMPLES)})
    assert status in (EXITS["ok"], EXITS["bad_samples"], EXITS["inference_failed"], EXITS["out_of_memory"])


@quick
@given(damages(180))
def test_a_damaged_job_is_survived(damage: Damage) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "job").write_bytes(
            damage(job_text(folder, graph="g", weights="w", samples="s", answers="o").encode())
        )
        assert execute(folder / "job").status in (EXITS["bad_job"], EXITS["missing_file"], EXITS["unsupported"])


@quick
@given(damages(len(PARAM)))
def test_a_damaged_graph_is_survived(damage: Damage) -> None:
    attempt({"net.param": damage(PARAM.encode())})


@quick
@given(damages(len(STOCK)))
def test_damaged_stock_weights_are_survived(damage: Damage) -> None:
    attempt({"net.weights": damage(STOCK)}, weights_format="runtime", execution="stock")


@pytest.mark.parametrize("end", range(len(PACKAGE) - 8))
def test_a_package_cut_anywhere_is_refused(end: int) -> None:
    assert attempt({"net.weights": seal(PACKAGE[8 : 8 + end])}) == EXITS["bad_weights"]
