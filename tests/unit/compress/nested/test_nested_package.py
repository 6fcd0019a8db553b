"""The file of several capacities: what was written is read, and what is not allowed is refused."""

from __future__ import annotations

import contextlib
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.compress.nested import package
from bench.compress.nested.package import Nested, Substitution, Tensor
from bench.errors import CorruptData


@st.composite
def packages(draw: st.DrawFn) -> Nested:
    count = draw(st.integers(1, 5))
    rows = st.lists(st.integers(1, count), min_size=1, max_size=9)
    lists = tuple(tuple(draw(rows.filter(lambda one: 1 in one))) for _ in range(draw(st.integers(1, 4))))
    empty = Nested(draw(st.text(max_size=20)), count, lists, (), ())
    dice = np.random.default_rng(draw(st.integers(0, 99)))

    def half(size: Any) -> Any:
        return dice.normal(size=size).astype(np.float16)

    tensors = []
    for _ in range(draw(st.integers(1, 4))):
        which, kind = draw(st.integers(0, len(lists) - 1)), draw(st.sampled_from(["vector", "own", "matrix", "scaled"]))
        each = [half(empty.width(which, one)) for one in range(1, count + 1)]
        if kind in ("vector", "own"):
            own = kind == "own"
            tensors.append(Tensor(which, values=half(0 if own else len(lists[which])), own=tuple(each) if own else ()))
            continue
        columns, kernel = draw(st.integers(0, len(lists) - 1)), draw(st.integers(1, 3))
        values = half((len(lists[which]), len(lists[columns]), kernel))
        scales = tuple(each) if kind == "scaled" else ()
        tensors.append(Tensor(which, columns, kernel, values, scales=scales, typed=draw(st.booleans())))
    graph = tuple(
        Substitution(
            n, draw(st.integers(0, 40)), tuple(draw(st.integers(-(2**31) + 1, 2**31 - 1)) for _ in range(count))
        )
        for n in range(draw(st.integers(0, 2)))
    )
    return Nested(empty.name, count, lists, (0, len(lists) - 1), tuple(tensors), graph)


@given(packages())
def test_what_was_written_is_read(made: Nested) -> None:
    data = package.write(made)
    found = package.read(data)
    assert package.write(found) == data
    assert (found.name, found.count, found.lists, found.sites, found.graph) == (
        made.name, made.count, made.lists, made.sites, made.graph,
    )  # fmt: skip
    for ours, theirs in zip(found.tensors, made.tensors, strict=True):
        assert ours.typed == theirs.typed
        for capacity in range(1, made.count + 1):
            assert np.array_equal(found.at(ours, capacity), made.at(theirs, capacity))


@given(packages())
def test_a_capacity_is_a_part_of_the_next_one_and_needs_nothing_behind_it(made: Nested) -> None:
    for tensor in made.tensors:
        if tensor.own:
            continue
        plain = package.unscaled(tensor)
        for capacity in range(1, made.count):
            rows = np.array(made.lists[tensor.rows])
            inner = made.at(plain, capacity + 1)[rows[rows <= capacity + 1] <= capacity]
            if tensor.columns is not None:
                columns = np.array(made.lists[tensor.columns])
                inner = inner[:, columns[columns <= capacity + 1] <= capacity]
            assert np.array_equal(inner, made.at(plain, capacity))


@given(packages())
def test_one_capacity_alone_is_the_same_network(made: Nested) -> None:
    for capacity in range(1, made.count + 1):
        alone = package.read(package.write(made.alone(capacity)))
        assert alone.count == 1
        for ours, theirs in zip(alone.tensors, made.tensors, strict=True):
            assert np.array_equal(alone.at(ours, 1), made.at(theirs, capacity))


@given(packages(), st.data())
def test_a_changed_byte_or_a_missing_end_is_noticed(made: Nested, data: st.DataObject) -> None:
    whole = package.write(made)
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    for wrong in (changed, whole[:at], whole + b"\0"):
        with pytest.raises(CorruptData):
            package.read(wrong)


@given(st.binary(max_size=80))
def test_any_head_with_a_right_sum_is_read_or_refused(head: bytes) -> None:
    with contextlib.suppress(CorruptData):
        assert package.write(package.read(sealed(head)))


def sealed(head: bytes, behind: bytes = b"") -> bytes:
    return b"NST1" + struct.pack("<II", zlib.crc32(head), len(head)) + head + behind


ONE_LIST = bytes([0, 2, 1, 2, 1, 1, 1, 2])  # no name, 2 capacities, a list of two runs: a channel of level 1, one of 2


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (bytes([0, 0]), "0 capacities"),
        (bytes([0, 65]), "65 capacities"),
        (bytes([0, 1, 1, 1, 1, 2]), "level 2"),
        (bytes([0, 2, 1, 1, 1, 2]), "none of the channels"),
        (ONE_LIST + bytes([1, 0]), "without what comes out"),
        (ONE_LIST + bytes([0, 1, 0, 1]), "list 1 of 1"),
        (ONE_LIST + bytes([0, 1, 16, 0]), "kind 16"),
        (ONE_LIST + bytes([0, 1, 3, 0]), "kind 3"),
        (ONE_LIST + bytes([0, 1, 4, 0]), "kind 4"),
        (ONE_LIST + bytes([0, 1, 1, 0, 0, 0]), "a tensor of 0 values"),
        (ONE_LIST + bytes([0, 1, 1, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 7]), "values in"),
        (ONE_LIST + bytes([0, 0, 0]), "ends too early"),
        (bytes([0, 1, 0x80, 0]), "longer than it need be"),
        (bytes([0, 1, 0x80, 0x80, 0x80, 0x80, 0x80, 1]), "more than 5 bytes"),
        (bytes([1, 0xFF, 1]), "not UTF-8"),
    ],
)
def test_heads_that_lie_are_refused(head: bytes, why: str) -> None:
    with pytest.raises(CorruptData, match=why):
        package.read(sealed(head))


def test_another_version_is_named() -> None:
    with pytest.raises(CorruptData, match="version"):
        package.read(b"NST2" + bytes(20))


def test_values_that_are_not_finite_are_refused() -> None:
    made = Nested("n", 1, ((1,),), (), (Tensor(0, values=np.array([np.inf], np.float16)),))
    with pytest.raises(CorruptData, match="not finite"):
        package.read(package.write(made))
