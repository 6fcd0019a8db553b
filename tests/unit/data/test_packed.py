"""The packed sample file that runners read."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bench.data import packed
from bench.errors import CorruptData

SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=packed.MOST_RANK).map(tuple)
own_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_some_samples_are_read_without_the_others(tmp_path: Path) -> None:
    first = np.arange(5 * 3 * 2, dtype=np.float32).reshape(5, 3, 2)
    second = np.arange(5, dtype=np.int32)[:, None]
    packed.write(tmp_path / "samples.bin", [first, second])
    a, b = packed.some(tmp_path / "samples.bin", [3, 0])
    assert np.array_equal(a, first[[3, 0]])
    assert b.tolist() == [[3], [0]]


def test_some_samples_of_a_damaged_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "samples.bin").write_bytes(b"BSMP" + bytes(9))
    with pytest.raises(CorruptData):
        packed.some(tmp_path / "samples.bin", [0])


def made(count: int, shape: tuple[int, ...], whole: bool, seed: int) -> NDArray[Any]:
    rng = np.random.default_rng(seed)
    if whole:
        return rng.integers(-(2**31), 2**31, (count, *shape), dtype=np.int32)
    return rng.normal(size=(count, *shape)).astype(np.float32)


@own_folder
@given(
    st.integers(1, 5),
    st.lists(st.tuples(SHAPES, st.booleans()), min_size=1, max_size=packed.MOST_INPUTS),
    st.integers(0, 2**32 - 1),
)
def test_round_trip(tmp_path: Path, count: int, inputs: list[tuple[tuple[int, ...], bool]], seed: int) -> None:
    given = [made(count, shape, whole, seed + i) for i, (shape, whole) in enumerate(inputs)]
    packed.write(tmp_path / "samples", given)
    found = packed.read(tmp_path / "samples")
    assert len(found) == len(given)
    for got, wanted in zip(found, given, strict=True):
        assert got.dtype == wanted.dtype
        assert np.array_equal(got, wanted)


def test_the_bytes_are_those_of_the_contract(tmp_path: Path) -> None:
    pictures = np.arange(4, dtype=np.float32).reshape(2, 1, 2)
    words = np.array([[7], [-1]])
    packed.write(tmp_path / "samples", [pictures, words])
    header = b"BSMP" + struct.pack("<3I", 2, 2, 2) + struct.pack("<4I", 0, 2, 1, 2) + struct.pack("<3I", 1, 1, 1)
    values = struct.pack("<ffi", 0, 1, 7) + struct.pack("<ffi", 2, 3, -1)
    assert (tmp_path / "samples").read_bytes() == header + values


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        ([], "0 inputs"),
        ([np.ones((1, 2))] * 9, "9 inputs"),
        ([np.ones((1, 2)), np.ones((2, 2))], "different numbers"),
        ([np.ones(3)], "rank"),
        ([np.ones((1, 1, 1, 1, 1, 1))], "rank"),
        ([np.ones((0, 3))], "rank"),
        ([np.array([[2**31]])], "int32"),
    ],
)
def test_what_the_file_cannot_hold_is_refused_before_it_is_written(
    tmp_path: Path, inputs: list[NDArray[Any]], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        packed.write(tmp_path / "samples", inputs)
    assert not (tmp_path / "samples").exists()


@own_folder
@given(st.data())
def test_a_damaged_file_is_refused_or_read_as_it_says(tmp_path: Path, draw: st.DataObject) -> None:
    path = tmp_path / "samples"
    packed.write(path, [np.zeros((2, 1, 3, 3)), np.zeros((2, 4), int)])
    whole = path.read_bytes()
    changed = bytearray(whole)
    changed[draw.draw(st.integers(0, 47))] ^= draw.draw(st.integers(1, 255))
    path.write_bytes(changed)
    with contextlib.suppress(CorruptData):
        assert sum(one.nbytes for one in packed.read(path)) <= len(whole)
    for damaged in (whole[: draw.draw(st.integers(0, len(whole) - 1))], whole + b"x"):
        path.write_bytes(damaged)
        with pytest.raises(CorruptData, match="samples"):
            packed.read(path)
