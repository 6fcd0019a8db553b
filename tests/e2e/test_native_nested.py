"""Packages of several capacities in the real runner, written here by docs/formats/nested.md alone."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.e2e.native_kit import EXITS, Run, graph, measure, varint

ROWS, MIDDLE, INPUTS, ALL = (2, 1, 3, 1), (1, 3, 2), (1, 1, 1), (1, 1)  # of three capacities
PARAM = graph(
    "Input in0 0 1 in0 0=3 1=2 2=3",
    "Convolution conv 1 1 in0 a 0=4 1=1 5=1 6=12",
    "Convolution mid 1 1 a b 0=3 1=1 6=12",
    "Convolution last 1 1 b out0 0=2 1=1 5=1 6=6",
)
DICE = np.random.default_rng(5)
FIRST, BIAS = DICE.normal(size=(4, 3)).astype("<f2"), DICE.normal(size=4).astype("<f2")
MID, LAST = DICE.normal(size=(3, 4)).astype("<f2"), DICE.normal(size=(2, 3)).astype("<f2")
SCALES = [DICE.uniform(0.5, 2, size=n).astype("<f2") for n in (2, 3, 4)]
OWN = [DICE.normal(size=2).astype("<f2") for _ in range(3)]
SAMPLES = DICE.normal(size=(2, 3, 2, 3)).astype(np.float32)


def levels(*lists: tuple[int, ...]) -> bytes:
    return varint(len(lists)) + b"".join(
        varint(len(one)) + b"".join(varint(1) + bytes([level]) for level in one) for one in lists
    )


def zigzag(*values: int) -> bytes:
    return b"".join(varint(2 * value if value >= 0 else -2 * value - 1) for value in values)


def block(rows: tuple[int, ...], columns: tuple[int, ...], k: int) -> np.ndarray:
    """Which values of a weight a capacity adds."""
    return np.maximum(np.array(rows)[:, None], np.array(columns)[None]) == k


def segment(k: int) -> bytes:
    first, mid, last = block(ROWS, INPUTS, k), block(MIDDLE, ROWS, k), block(ALL, MIDDLE, k)
    parts = (SCALES[k - 1], FIRST[first], BIAS[np.array(ROWS) == k], MID[mid], LAST[last], OWN[k - 1])
    return b"".join(part.tobytes() for part in parts)


SEGMENTS = [segment(k) for k in (1, 2, 3)]
TENSORS = varint(5) + bytes([1 | 4 | 8, 0, 2, 1, 0, 0, 1 | 8, 1, 0, 1, 1 | 8, 3, 1, 1, 2, 3])
GRAPH = [(1, 0, (2, 3, 4)), (1, 6, (6, 9, 12)), (2, 0, (1, 2, 3)), (2, 6, (2, 6, 12)), (3, 6, (2, 4, 6))]


def head(**changes: Any) -> bytes:
    table = changes.get("table", GRAPH)
    entries = varint(len(table)) + b"".join(varint(layer) + varint(key) + zigzag(*v) for layer, key, v in table)
    sums = b"".join(struct.pack("<I", zlib.crc32(one)) for one in changes.get("summed", SEGMENTS))
    tensors = changes.get("tensors", TENSORS)
    lists = changes.get("lists", levels(ROWS, MIDDLE, INPUTS, ALL))
    return bytes([1]) + b"n" + bytes([3]) + lists + changes.get("sites", varint(0)) + tensors + entries + sums


def sealed(body: bytes, behind: bytes = b"".join(SEGMENTS)) -> bytes:
    return b"NST1" + struct.pack("<II", zlib.crc32(body), len(body)) + body + behind


GOOD = sealed(head())


def run(folder: Path, package: bytes, capacity: int | None, **more: Any) -> Run:
    return measure(
        folder, PARAM, package, SAMPLES, None, weights_format="nested", execution="stock", capacity=capacity, **more
    )


def answer(capacity: int) -> np.ndarray:
    rows, middle = np.array(ROWS) <= capacity, np.array(MIDDLE) <= capacity
    first, mid, last, bias = (one.astype("f4") for one in (FIRST, MID, LAST, BIAS))
    a = np.einsum("oi,niyx->noyx", first[rows] * SCALES[capacity - 1].astype("f4")[:, None], SAMPLES)
    b = np.einsum("oi,niyx->noyx", mid[middle][:, rows], a + bias[rows][None, :, None, None])
    return np.einsum("oi,niyx->noyx", last[:, middle], b) + OWN[capacity - 1].astype("f4")[:, None, None]


@pytest.mark.parametrize("capacity", [1, 2, 3, None])
def test_each_capacity_is_its_block_of_the_weights(capacity: int | None, tmp_path: Path) -> None:
    found = run(tmp_path, sealed(head()), capacity)
    assert found.status == 0, found.events
    np.testing.assert_allclose(found.outputs.reshape(2, 2, 2, 3), answer(capacity or 3), rtol=1e-5, atol=1e-5)


def test_a_capacity_reads_nothing_of_those_above(tmp_path: Path) -> None:
    """What is damaged behind its own end does not stop it, and stops the next one."""
    damaged = sealed(head(), SEGMENTS[0] + SEGMENTS[1] + bytes(len(SEGMENTS[2])))
    assert run(tmp_path, damaged, 2).status == 0
    found = run(tmp_path, damaged, 3)
    assert found.status == EXITS["bad_weights"]
    assert "capacity 3" in found.event("error")["message"]


@pytest.mark.parametrize("own", [1, 2, 3])
def test_a_walk_changes_one_capacity_at_a_time_and_moves_what_lies_between(own: int, tmp_path: Path) -> None:
    found = run(tmp_path, GOOD, own, mode="switch", walks=3)
    assert found.status == 0, found.events
    capacities = found.event("capacities")
    steps = [event for event in found.events if event["event"] == "switch"]
    assert capacities["own"] == own
    assert capacities["switches"] == len(steps) == 12
    at = own
    for step in steps:
        assert step["from"] == at
        assert abs(step["to"] - at) == 1
        low, high = sorted((step["from"], step["to"]))
        assert step["bytes"] == capacities["bytes"][high - 1] - capacities["bytes"][low - 1] > 0
        assert step["ns"] > 0
        assert step["first"] > 0
        at = step["to"]
    assert at == own
    assert {step["to"] for step in steps} == {1, 2, 3}


def test_a_network_of_one_capacity_does_not_switch(tmp_path: Path) -> None:
    plain = graph("Input in0 0 1 in0 0=3 1=2 2=3", "Convolution conv 1 1 in0 out0 0=4 1=1 6=12")
    weights = bytes(4) + FIRST.astype("<f4").tobytes()
    form = {"weights_format": "runtime", "execution": "stock", "mode": "switch", "walks": 1}
    assert measure(tmp_path, plain, weights, SAMPLES, **form).status == EXITS["unsupported"]


def test_a_capacity_beyond_the_last_is_a_bad_job(tmp_path: Path) -> None:
    assert run(tmp_path, sealed(head()), 4).status == EXITS["bad_job"]


@pytest.mark.parametrize(
    "package",
    [
        b"", GOOD[:11], GOOD[:40], GOOD[:-1], GOOD + b"\0", b"NST2" + GOOD[4:],
        GOOD[:20] + bytes([GOOD[20] ^ 1]) + GOOD[21:], GOOD[:-3] + bytes([GOOD[-3] ^ 1]) + GOOD[-2:],
        b"NST1" + struct.pack("<II", 0, 2**32 - 1) + GOOD[12:],
        sealed(head(lists=levels(ROWS, MIDDLE))), sealed(head(lists=levels((2, 2), MIDDLE, INPUTS, ALL))),
        sealed(head(lists=levels((4, 1, 1, 1), MIDDLE, INPUTS, ALL))),
        sealed(head(lists=varint(1) + varint(1) + varint(2**31) + b"\1")),
        sealed(head(lists=varint(2**31))), sealed(head(sites=varint(1) + varint(0))),
        sealed(head(sites=varint(2) + varint(0) + varint(4))),
        sealed(head(tensors=varint(1) + bytes([3, 0, 0, 1]))), sealed(head(tensors=varint(1) + bytes([16, 0]))),
        sealed(head(tensors=varint(1) + bytes([1, 0, 0, 0]))),
        sealed(head(tensors=varint(1) + bytes([1, 0, 0]) + varint(2**31 - 1))),
        sealed(head(table=[(9, 0, (1, 2, 3))])), sealed(head(table=[(1, 9, (1, 2, 3))])),
        sealed(head(summed=SEGMENTS[::-1])), sealed(head() + b"\0"),
    ],
    ids=lambda package: f"{zlib.crc32(package):08x}",
)  # fmt: skip
def test_packages_that_lie_are_refused(package: bytes, tmp_path: Path) -> None:
    assert run(tmp_path, package, 3).status == EXITS["bad_weights"]


@pytest.mark.parametrize("value", [0, -1, 5, 2**31 - 1, -(2**31)])
def test_numbers_of_channels_that_are_none_end_in_a_reason(value: int, tmp_path: Path) -> None:
    """The library gets them as they are: whatever it does, the runner says why."""
    table = [(1, 0, (2, 3, value)), *GRAPH[1:]]
    assert run(tmp_path, sealed(head(table=table)), 3).status != 0
