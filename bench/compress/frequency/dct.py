"""The orthonormal DCT as fixed matrices."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


@lru_cache(maxsize=256)
def basis(n: int, columns: int) -> NDArray[np.float64]:
    """The first `columns` columns of D(n), of shape (n, columns), read-only: D @ c is the orthonormal DCT-III of c.

    `docs/formats/frq.md` gives D. The angle is reduced in integers first, so that large n costs no digits.
    """
    j, k = np.arange(n)[:, None], np.arange(columns)[None, :]
    matrix: NDArray[np.float64] = np.cos(np.pi / (2 * n) * ((2 * j + 1) * k % (4 * n))) * np.sqrt(2 / n)
    matrix[:, 0] = np.sqrt(1 / n)
    matrix.flags.writeable = False
    return matrix


def expand(core: NDArray[np.float64], shape: Sequence[int], axes: Sequence[int]) -> NDArray[np.float64]:
    """`core` with each of `axes` taken from its coefficients to `shape[axis]` values; the other axes stay."""
    for axis in axes:
        matrix = basis(shape[axis], core.shape[axis])
        core = np.moveaxis(np.tensordot(matrix, core, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(core)
