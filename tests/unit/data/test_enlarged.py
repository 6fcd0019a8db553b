"""Pairs of photographs for super-resolution: what is given, what is right, and what nothing learnt from."""

from __future__ import annotations

import numpy as np
import pytest

from bench.data import enlarged, photos, samples
from bench.preprocess import DEFAULT, Preprocess
from bench.records import Tensor
from benchmarks.photographs import LEARNT_FROM, TRIED_ON


def test_no_photograph_is_both_learnt_from_and_measured() -> None:
    measured = {path.name for path in photos.paths(enlarged.MEASURED)}
    assert measured == {"china.jpg", "flower.jpg", "grace_hopper.jpg"}
    assert measured.isdisjoint((*LEARNT_FROM, TRIED_ON))


def test_the_samples_are_the_enlarged_crops_and_the_answers_the_photographs() -> None:
    shown = samples((Tensor(name="in0", shape=(3, 128, 128)),), kind="enlarged")
    assert len(shown) == enlarged.SHOWN
    assert shown.labels is not None
    assert shown.inputs[0].shape == shown.labels.shape == (enlarged.SHOWN, 3, 128, 128)
    assert shown.labels.dtype == np.float32
    assert 0 <= shown.labels.min() < shown.labels.max() <= 1
    squared = ((shown.inputs[0] - shown.labels) ** 2).reshape(len(shown), -1).mean(axis=1)
    assert f"PSNR of {np.mean(-10 * np.log10(squared)):.2f} dB" in shown.source
    assert "china, flower, grace_hopper" in shown.source


def test_what_should_be_answered_does_not_depend_on_how_the_network_looks_at_it() -> None:
    inputs = (Tensor(name="in0", shape=(3, 64, 64)),)
    plain, other = (
        samples(inputs, kind="enlarged", count=3, preprocess=how)
        for how in (DEFAULT, Preprocess(mean=(0.5,), deviation=(0.5,)))
    )
    assert np.array_equal(plain.labels, other.labels)  # type: ignore[arg-type]
    assert np.allclose(other.inputs[0], 2 * plain.inputs[0] - 1, atol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (96, 128), (101, 75)])
def test_crops_are_photographs_own_pixels_and_share_none(height: int, width: int) -> None:
    pairs = enlarged.load(height, width, 1000)
    assert pairs.enlarged.shape == pairs.original.shape == (len(pairs.original), height, width, 3)
    whole = [np.asarray(photos.opened(path)) for path in photos.paths(enlarged.MEASURED)]
    assert sum(crop.size for crop in pairs.original) <= sum(photo.size for photo in whole)
    assert len({crop.tobytes() for crop in pairs.original}) == len(pairs.original)
    windows = np.lib.stride_tricks.sliding_window_view(whole[0], (height, width, 3))[::height, ::width, 0]
    first = {window.tobytes() for row in windows for window in row}
    assert any(crop.tobytes() in first for crop in pairs.original)


def test_the_first_crops_are_of_every_photograph() -> None:
    three, all_ = enlarged.load(128, 128, 3), enlarged.load(128, 128)
    assert np.array_equal(three.original, all_.original[:3])
    assert len({crop.mean() for crop in three.original}) == 3


def test_a_crop_larger_than_a_photograph_goes_on_as_in_a_mirror() -> None:
    pairs = enlarged.load(900, 700)
    assert pairs.original.shape == (3, 900, 700, 3)
    china = np.asarray(photos.opened(photos.paths(enlarged.MEASURED)[0]))
    height, width = china.shape[:2]
    crop = next(c for c in pairs.original if np.array_equal(c[:height, :width], china))
    assert np.array_equal(crop[height : height + 9], crop[height - 9 : height][::-1])


def test_an_enlarged_photograph_has_lost_detail_and_nothing_else() -> None:
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (65, 90, 3), np.uint8)
    original, small = enlarged.whole(noise)
    assert original.shape == small.shape == (64, 90, 3)
    assert small.std() < 0.7 * original.std()
    grey, same = enlarged.whole(np.full((32, 32, 3), 77, np.uint8))
    assert np.array_equal(grey, same)
