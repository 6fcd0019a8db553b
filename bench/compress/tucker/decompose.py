"""Tucker-2 of a weight: HOSVD, then higher-order orthogonal iteration (HOOI); and the SVD of a matrix.

De Lathauwer, De Moor, Vandewalle: On the best rank-1 and rank-(R1, …, RN) approximation of higher-order tensors,
SIAM J. Matrix Anal. Appl. 21, 2000.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.compress.tucker.ranks import Ranks

Array = NDArray[np.float64]

_ITERATIONS = 100
_SETTLED = 1e-9
"""The relative change of the core's norm at which the iteration ends."""


def tucker2(weight: Array, ranks: Ranks) -> tuple[Array | None, Array, Array | None]:
    """Inner (r_in, in), core (r_out, r_in, …) and outer (out, r_out) of a weight (out, in, …), whose product is the
    nearest one of those ranks that alternating between both sides finds. A side of rank 0 has no factor (Tucker-1).
    """
    into = _leading(_unfolded(weight, 1), ranks.into) if ranks.into else None
    out: Array | None = None
    before = 0.0
    for _ in range(_ITERATIONS if ranks.out else 0):
        out = _leading(_unfolded(_reduced(weight, into, 1), 0), ranks.out)
        if into is None:
            break
        wide = _unfolded(_reduced(weight, out, 0), 1)
        into = _leading(wide, ranks.into)
        norm = float(np.linalg.norm(into.T @ wide))
        if norm - before <= _SETTLED * norm:
            break
        before = norm
    core = _reduced(_reduced(weight, into, 1), out, 0)
    return (None if into is None else into.T), core, out


def svd(matrix: Array, rank: int) -> tuple[Array, Array]:
    """Inner (rank, in) and outer (out, rank) of a matrix (out, in): the nearest product of them. Both are equally
    large, so that float16 and one learning rate suit both."""
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    root = np.sqrt(values[:rank])
    return root[:, None] * right[:rank], left[:, :rank] * root


def product(inner: Array | None, core: Array, outer: Array | None) -> Array:
    """The weight (out, in, …) that the factors of `tucker2` make."""
    return _reduced(_reduced(core, inner, 1), None if outer is None else outer.T, 0)


def _unfolded(weight: Array, axis: int) -> Array:
    return np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1)


def _reduced(weight: Array, columns: Array | None, axis: int) -> Array:
    """`weight` with an axis of n turned into one of r by columns (n, r); as it is without."""
    return weight if columns is None else np.moveaxis(np.tensordot(columns, weight, axes=(0, axis)), 0, axis)


def _leading(matrix: Array, rank: int) -> Array:
    """The first `rank` left singular vectors (n, rank), by the eigenvectors of the smaller Gram matrix."""
    rows, columns = matrix.shape
    if rows <= columns or rank > columns:
        return np.linalg.eigh(matrix @ matrix.T)[1][:, ::-1][:, :rank]
    right = np.linalg.eigh(matrix.T @ matrix)[1][:, ::-1][:, :rank]
    # What is next to nothing has no direction of its own; QR gives it one.
    return np.linalg.qr(matrix @ right)[0]
