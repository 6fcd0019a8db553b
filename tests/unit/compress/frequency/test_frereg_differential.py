"""Beside the FR authors' own package, `frereg` 0.1.0, in what works there: the 4-D IDCT and two convolutions.

It needs a Python older than 3.12. What does not work there (Linear, its order above a few thousand elements, masks,
half precision) has no counterpart to compare with.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from bench.compress.frequency import layers, order, package
from bench.compress.frequency.frereg import imported
from bench.compress.frequency.restore import restored

frereg = pytest.importorskip("frereg", reason="frereg 0.1.0 installs on Python 3.11 and older only")

SIZES = st.integers(1, 9)
SEEDS = st.integers(0, 2**31 - 1)


def coefficients(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def ours(layer: nn.Module, spectrum: Tensor) -> nn.Sequential:
    """The layer compressed, nothing cut, with the coefficients of `spectrum`, given at their places."""
    network = nn.Sequential(layer)
    layers.compress(network, {"0.weight": spectrum.numel()})
    site = layers.sites(network)["0.weight"]
    assert site.frequency.box == tuple(spectrum.shape)
    site.coefficients.data = spectrum.flatten()[site.frequency.index]
    return network


@given(st.tuples(SIZES, SIZES, SIZES, SIZES), SEEDS)
@settings(deadline=None)
def test_idct_in_four_axes(shape: tuple[int, int, int, int], seed: int) -> None:
    spectrum = coefficients(seed, *shape)
    layer = nn.Conv2d(shape[1], shape[0], shape[2:], bias=False)
    torch.testing.assert_close(ours(layer, spectrum)[0].weight, frereg.idct_4d(spectrum), atol=1e-5, rtol=1e-5)


@given(SIZES, SIZES, st.integers(1, 4), st.integers(1, 2), st.integers(0, 2), st.integers(1, 2), SEEDS)
@settings(deadline=None, max_examples=50)
def test_conv2d(inputs: int, outputs: int, kernel: int, stride: int, padding: int, dilation: int, seed: int) -> None:
    theirs = frereg.Conv2d(inputs, outputs, kernel, stride, padding, dilation=dilation)
    theirs.weight.data = coefficients(seed, outputs, inputs, kernel, kernel)
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation)
    layer.bias = theirs.bias
    x = coefficients(seed + 1, 2, inputs, 8, 8)
    torch.testing.assert_close(ours(layer, theirs.weight.data)(x), theirs(x), atol=1e-4, rtol=1e-4)


@given(SIZES, SIZES, st.integers(1, 4), st.integers(1, 2), SEEDS)
@settings(deadline=None, max_examples=50)
def test_conv_transpose2d(inputs: int, outputs: int, kernel: int, stride: int, seed: int) -> None:
    theirs = frereg.ConvTranspose2d(inputs, outputs, kernel, stride)
    theirs.weight.data = coefficients(seed, inputs, outputs, kernel, kernel)
    layer = nn.ConvTranspose2d(inputs, outputs, kernel, stride)
    layer.bias = theirs.bias
    x = coefficients(seed + 1, 2, inputs, 5, 5)
    torch.testing.assert_close(ours(layer, theirs.weight.data)(x), theirs(x), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("shape", [(3, 3, 2, 2), (20, 1, 5, 5), (6, 16, 3, 3), (64, 32, 1, 1), (32, 16, 3, 3)])
def test_the_order_is_theirs_where_their_keys_do_not_collide(shape: tuple[int, ...]) -> None:
    """Theirs sorts float32 keys, which have too few digits for larger tensors."""
    keys = frereg.getZIdx_4d(torch.empty(shape))
    assert len(keys.unique()) == keys.numel()
    coords = np.stack(np.unravel_index(np.arange(keys.numel()), shape), axis=1)
    assert frereg.ZIdx2Int(keys).flatten().long().tolist() == order.positions(shape, coords).tolist()


def test_a_checkpoint_that_it_saves_is_imported_exactly(tmp_path: Path) -> None:
    """With its own masks, before and after its own cleaning of what they hide."""
    theirs = nn.Sequential(frereg.Conv2d(3, 8, 3), frereg.ConvTranspose2d(8, 4, 2, 2, bias=False))
    for layer in theirs:
        layer.weight.data = layer.weight.data.half().float()
        layer.IDROP = (layer.ZMAT < 25).float()
    packages = []
    for _ in range(2):
        torch.save(theirs.state_dict(), tmp_path / "state.pt")
        same = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ConvTranspose2d(8, 4, 2, 2, bias=False))
        packages.append(imported(tmp_path / "state.pt", same, "small"))
        frereg._freqreg_eva.cleanParams(theirs)
    assert package.write(packages[0]) == package.write(packages[1])
    x = coefficients(1, 2, 3, 9, 9)
    torch.testing.assert_close(restored(same, packages[1])(x), theirs(x), atol=1e-4, rtol=1e-4)
