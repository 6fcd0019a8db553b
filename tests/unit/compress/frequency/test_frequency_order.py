"""The order of coefficients against its definition by sorting, and the DCT against scipy's."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.fft
from hypothesis import assume, given
from hypothesis import strategies as st

from bench.compress.frequency import dct, order

SHAPES = st.lists(st.integers(1, 6), min_size=1, max_size=5).map(tuple)


def by_sorting(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    return sorted(itertools.product(*map(range, shape)), key=lambda index: (sum(index), index))


@given(SHAPES)
def test_order_is_by_level_then_lexicographic(shape: tuple[int, ...]) -> None:
    found = order.prefix(shape, math.prod(shape))
    assert [tuple(row) for row in found.tolist()] == by_sorting(shape)


@given(SHAPES, st.data())
def test_a_prefix_is_the_beginning_of_the_whole(shape: tuple[int, ...], data: st.DataObject) -> None:
    kept = data.draw(st.integers(1, math.prod(shape)))
    assert [tuple(row) for row in order.prefix(shape, kept).tolist()] == by_sorting(shape)[:kept]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=4).map(tuple), st.data())
def test_positions_undo_coordinates(shape: tuple[int, ...], data: st.DataObject) -> None:
    last = math.prod(shape) - 1
    places = np.array(data.draw(st.lists(st.integers(0, last), min_size=1, max_size=20)), np.int64)
    assert order.positions(shape, order.coordinates(shape, places)).tolist() == places.tolist()


@pytest.mark.parametrize("shape", [(2048, 1024, 3, 3), (4096, 8191, 8, 8), (2**24 + 3,), (46340, 46340)])
def test_large_tensors_are_exact(shape: tuple[int, ...]) -> None:
    """Beyond 2^24, where float32 keys collide; the last coefficient is the far corner."""
    last = math.prod(shape) - 1
    places = np.sort(np.array([0, 1, 2**24 - 1, 2**24, last // 2, last - 1, last], np.int64) % (last + 1))
    coords = order.coordinates(shape, places)
    assert coords[-1].tolist() == [n - 1 for n in shape]
    assert order.positions(shape, coords).tolist() == places.tolist()
    levels = coords.sum(axis=1)
    assert (np.diff(levels) >= 0).all()


@given(st.lists(st.integers(1, 3), min_size=6, max_size=9).map(tuple))
def test_many_axes(shape: tuple[int, ...]) -> None:
    found = order.prefix(shape, min(500, math.prod(shape)))
    assert [tuple(row) for row in found.tolist()] == by_sorting(shape)[: len(found)]


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=5).map(tuple), st.data())
def test_neighbours_ascend_everywhere_in_large_tensors(shape: tuple[int, ...], data: st.DataObject) -> None:
    """With positions and coordinates inverse to each other, this makes the order the right one and no other."""
    last = math.prod(shape) - 1
    assume(0 < last < 2**53)
    place = data.draw(st.integers(0, last - 1))
    here, there = order.coordinates(shape, np.array([place, place + 1])).tolist()
    assert (sum(here), here) < (sum(there), there)
    assert all(0 <= index < n for index, n in zip(there, shape, strict=True))
    assert order.positions(shape, np.array([here, there])).tolist() == [place, place + 1]


def test_box_holds_every_coordinate_and_no_more() -> None:
    coords = order.prefix((64, 32, 3, 3), 33)
    assert order.box(coords) == (4, 4, 3, 3)
    assert coords.max(axis=0).tolist() == [3, 3, 2, 2]


@given(SHAPES, st.data())
def test_the_box_of_a_prefix_needs_no_coordinates(shape: tuple[int, ...], data: st.DataObject) -> None:
    kept = data.draw(st.integers(1, math.prod(shape)))
    assert order.prefix_box(shape, kept) == order.box(order.prefix(shape, kept))


def test_the_published_unet_prefix_needs_17_by_2_in_its_last_layer() -> None:
    assert order.box(order.prefix((2, 64, 1, 1), 33)) == (2, 17, 1, 1)


@given(SHAPES, st.integers(0, 2**32 - 1))
def test_expand_is_scipys_inverse_dct(shape: tuple[int, ...], seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=shape)
    expected = scipy.fft.idctn(values, norm="ortho")
    np.testing.assert_allclose(dct.expand(values, shape, range(len(shape))), expected, atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 1024, 8191])
def test_basis_columns_are_orthonormal(n: int) -> None:
    matrix = dct.basis(n, min(n, 64))
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(matrix.shape[1]), atol=1e-12)


def test_a_small_core_expands_as_if_padded_with_zeros() -> None:
    core = np.random.default_rng(0).normal(size=(3, 2, 2))
    padded = np.zeros((10, 7, 5))
    padded[:3, :2, :2] = core
    np.testing.assert_allclose(
        dct.expand(core, (10, 7, 5), range(3)), scipy.fft.idctn(padded, norm="ortho"), atol=1e-12
    )


@pytest.mark.parametrize("shape", [(2**31 - 1,), (1, 2**31 - 1, 1), (2**30, 2), (3, 2**29)])
def test_an_axis_of_any_length_costs_no_more_than_what_is_kept_of_it(shape: tuple[int, ...]) -> None:
    coords = order.prefix(shape, 100)
    assert coords.shape == (100, len(shape))
    assert np.array_equal(coords, order.prefix(tuple(min(n, 200) for n in shape), 100))
