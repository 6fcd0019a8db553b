"""Tucker-2 by HOSVD and HOOI, against tensorly's."""

from __future__ import annotations

import numpy as np
import pytest
import tensorly
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorly.decomposition import partial_tucker

from bench.compress.tucker.decompose import product, svd, tucker2
from bench.compress.tucker.ranks import Ranks

WEIGHT = np.random.default_rng(1).normal(size=(20, 16, 3, 3))


@pytest.mark.parametrize("ranks", [Ranks(5, 7), Ranks(1, 1), Ranks(12, 3), Ranks(16, 20), Ranks(2, 18)])
def test_factors_are_as_near_to_the_weight_as_those_of_tensorly(ranks: Ranks) -> None:
    ours = np.linalg.norm(WEIGHT - product(*tucker2(WEIGHT, ranks)))
    (core, sides), _ = partial_tucker(WEIGHT, (ranks.out, ranks.into), modes=[0, 1], n_iter_max=100, tol=1e-4)
    theirs = np.linalg.norm(WEIGHT - tensorly.tenalg.multi_mode_dot(core, sides, modes=[0, 1]))
    assert ours <= theirs * (1 + 1e-6) + 1e-9


def test_a_weight_of_such_ranks_is_found_exactly() -> None:
    random = np.random.default_rng(2)
    core = random.normal(size=(3, 4, 3, 3))
    weight = product(random.normal(size=(4, 9)), core, random.normal(size=(11, 3)))
    inner, found, outer = tucker2(weight, Ranks(4, 3))
    assert inner is not None
    assert outer is not None
    assert (inner.shape, found.shape, outer.shape) == ((4, 9), (3, 4, 3, 3), (11, 3))
    np.testing.assert_allclose(product(inner, found, outer), weight, atol=1e-10)


@pytest.mark.parametrize(("ranks", "axis"), [(Ranks(0, 6), 0), (Ranks(6, 0), 1)])
def test_with_one_side_alone_nothing_of_that_rank_is_nearer(ranks: Ranks, axis: int) -> None:
    values = np.linalg.svd(np.moveaxis(WEIGHT, axis, 0).reshape(WEIGHT.shape[axis], -1), compute_uv=False)
    inner, core, outer = tucker2(WEIGHT, ranks)
    assert (inner is None, outer is None) == (axis == 0, axis == 1)
    lost = np.linalg.norm(WEIGHT - product(inner, core, outer))
    assert lost == pytest.approx(np.sqrt((values[6:] ** 2).sum()))


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 3), st.data())
@settings(deadline=None, max_examples=40)
def test_factors_of_any_shape_are_finite_and_orthonormal(out: int, into: int, kernel: int, data: st.DataObject) -> None:
    weight = np.random.default_rng(out * 100 + into).normal(size=(out, into, kernel, kernel))
    if data.draw(st.booleans()):
        weight[:, into // 2 :] = 0
    ranks = Ranks(data.draw(st.integers(1, into)), data.draw(st.integers(1, out)))
    inner, core, outer = tucker2(weight, ranks)
    assert inner is not None
    assert outer is not None
    np.testing.assert_allclose(inner @ inner.T, np.eye(ranks.into), atol=1e-9)
    np.testing.assert_allclose(outer.T @ outer, np.eye(ranks.out), atol=1e-9)
    assert np.linalg.norm(core) <= np.linalg.norm(weight) * (1 + 1e-9)


def test_both_sides_of_an_svd_are_equally_large() -> None:
    matrix = np.random.default_rng(3).normal(size=(7, 12))
    inner, outer = svd(matrix, 7)
    np.testing.assert_allclose(outer @ inner, matrix, atol=1e-12)
    assert np.linalg.norm(inner) == pytest.approx(np.linalg.norm(outer))
