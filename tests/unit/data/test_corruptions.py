"""Corruptions of pictures: severity 0 leaves them, each further one changes them more, and everywhere alike."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bench.corrupted import SEVERITIES
from bench.data.corruptions import CORRUPTIONS, SMALLEST, corrupt, move
from bench.data.corruptions.draw import NORMAL, Draw
from bench.errors import UnknownName, UsageError

Pixels = NDArray[np.uint8]
KINDS = sorted(CORRUPTIONS)
MOVING = [name for name in KINDS if CORRUPTIONS[name].move]


def picture(seed: int, height: int = 32, width: int = 32, channels: int = 3) -> Pixels:
    """Blotches with edges, from whole numbers alone: something that blur, JPEG and a shift change."""
    grid = Draw(bytes([seed % 256, seed // 256])).words(8 * 8 * channels).reshape(8, 8, channels) >> 8
    rows, columns = np.arange(height) * 8 // height, np.arange(width) * 8 // width
    return grid[rows][:, columns].astype(np.uint8)


def distance(one: Pixels, other: Pixels) -> float:
    return float(np.abs(one.astype(int) - other).mean())


@pytest.mark.parametrize("name", KINDS)
@given(seed=st.integers(0, 2**31), shape=st.sampled_from([(16, 16, 1), (17, 40, 3), (32, 32, 3), (33, 20, 1)]))
@settings(max_examples=12, deadline=None)
def test_shape_and_type_stay_and_the_same_seed_gives_the_same_bytes(
    name: str, seed: int, shape: tuple[int, ...]
) -> None:
    shown = picture(7, *shape)
    before = shown.copy()
    for severity in range(SEVERITIES + 1):
        found = corrupt(name, shown, severity, seed)
        assert (found.shape, found.dtype) == (shown.shape, np.uint8)
        assert np.array_equal(found, corrupt(name, shown, severity, seed))
    assert np.array_equal(corrupt(name, shown, 0, seed), shown)
    assert np.array_equal(shown, before), "the picture itself was changed"


@pytest.mark.parametrize("shape", [(32, 32, 3), (28, 28, 1), (16, 24, 1), (96, 64, 3)])
@pytest.mark.parametrize("name", KINDS)
def test_every_severity_changes_pictures_more_than_the_one_before(name: str, shape: tuple[int, ...]) -> None:
    shown = [picture(seed, *shape) for seed in range(12)]
    apart = [np.mean([distance(corrupt(name, one, severity, 1), one) for one in shown]) for severity in range(6)]
    assert apart[0] == 0
    assert all(low < high for low, high in pairwise(apart)), apart


@pytest.mark.parametrize("name", ["noise", "shift", "rotation", "fog"])
def test_each_picture_has_a_draw_of_its_own_and_every_seed_another(name: str) -> None:
    found = {corrupt(name, picture(3), 3, seed).tobytes() for seed in range(12)}
    assert len(found) > 1
    changes = {(corrupt(name, one, 3, 1).astype(int) - one).tobytes() for one in (picture(seed) for seed in range(12))}
    assert len(changes) > 1


@pytest.mark.parametrize("name", MOVING)
def test_a_mask_moves_with_the_pixels_of_its_picture(name: str) -> None:
    """A picture that shows its own mask shows it afterwards, too, but for edges that were blended."""
    for seed in range(8):
        mask = (picture(seed, 48, 64, 1)[..., 0] > 127).astype(np.int64)
        shown = (255 * mask).astype(np.uint8)[..., None]
        for severity in range(SEVERITIES + 1):
            moved = move(name, mask, shown, severity, 5)
            assert moved.shape == mask.shape
            assert set(np.unique(moved)) <= {0, 1}
            agreed = (corrupt(name, shown, severity, 5)[..., 0] > 127) == moved
            assert agreed.mean() > 0.98
    assert not np.array_equal(move(name, mask, shown, 5, 5), mask)


@pytest.mark.parametrize("name", sorted(set(KINDS) - set(MOVING)))
def test_the_mask_stays_where_pixels_stay(name: str) -> None:
    mask = (picture(1)[..., 0] > 99).astype(np.int64)
    assert np.array_equal(move(name, mask, picture(1), 5, 1), mask)


EXPECTED = {
    "noise": "c6df66956bb56e09",
    "blur": "1130a0a2891c318c",
    "brightness": "b16eeaadb074d3f9",
    "dark": "92672bf54fcc4880",
    "contrast": "c55196b7bb321a54",
    "fog": "011000588414f11a",
    "shift": "9abe88a21643f631",
    "rotation": "97ff94fd5b551949",
}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_every_machine_makes_the_same_bytes(name: str) -> None:
    """All but JPEG are sums and products of whole numbers, so that these digests hold wherever this runs."""
    made = b"".join(corrupt(name, picture(2, 24, 33, 3), severity, 11).tobytes() for severity in range(1, 6))
    assert hashlib.sha256(made).hexdigest()[:16] == EXPECTED[name]


def test_noise_is_nearly_normal() -> None:
    drawn = Draw(b"a seed").normal((200, 200)) / 2**NORMAL
    assert abs(drawn.mean()) < 0.03
    assert abs(drawn.std() - 1) < 0.02
    assert abs((np.abs(drawn) < 1.96).mean() - 0.95) < 0.01
    assert np.abs(drawn).max() <= 6


def test_a_shift_moves_what_is_shown_and_repeats_the_edge() -> None:
    shown = picture(4, 32, 32, 1)
    found = corrupt("shift", shown, 4, 3)  # 4 of 32 pixels
    options = [
        np.pad(shown, ((4, 4), (4, 4), (0, 0)), mode="edge")[4 - y : 36 - y, 4 - x : 36 - x]
        for y in (-4, 0, 4)
        for x in (-4, 0, 4)
        if (y, x) != (0, 0)
    ]
    assert any(np.array_equal(found, one) for one in options)


def test_fog_is_thicker_in_places_and_light() -> None:
    black = np.zeros((64, 64, 3), np.uint8)
    found = corrupt("fog", black, 5, 1).astype(int)
    assert found.min() >= 235 * 0.43
    assert found.max() <= 235 * 0.88
    assert found.max() - found.min() > 20


def test_a_picture_that_is_too_small_is_refused() -> None:
    with pytest.raises(UsageError, match="of 15×40 pixels is too small"):
        corrupt("blur", picture(1, SMALLEST - 1, 40), 1, 1)


@pytest.mark.parametrize("severity", [-1, 6])
def test_there_are_five_severities(severity: int) -> None:
    with pytest.raises(UsageError, match=f"no severity {severity}"):
        corrupt("blur", picture(1), severity, 1)


def test_an_unknown_corruption_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UnknownName, match="snow") as refused:
        corrupt("snow", picture(1), 1, 1)
    assert "noise" in str(refused.value.what) + str(refused.value.fix)
