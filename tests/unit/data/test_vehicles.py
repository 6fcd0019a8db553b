"""The drawn vehicles: the same for ever, masks that are one vehicle, any size."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from PIL import Image

from bench.data import samples, vehicles
from bench.data.vehicles import TEST_SEED, TRAIN_SEED, Vehicles, draw
from bench.records import Tensor


def test_a_sample_follows_from_seed_and_index_alone() -> None:
    together = Vehicles(TEST_SEED, 4, ((64, 96),)).read()
    for index in (3, 0):
        pixels, mask = draw(TEST_SEED, index, (64, 96))
        assert np.array_equal(together[0][index], pixels.transpose(2, 0, 1).astype(np.float32) / 255)
        assert np.array_equal(together[1][index], mask)
    others = Vehicles(TRAIN_SEED, 4, ((64, 96),)).read()
    assert not np.array_equal(together[0], others[0])


def test_no_two_samples_are_alike() -> None:
    seen = {hashlib.sha256(draw(TRAIN_SEED, index, (32, 48))[0].tobytes()).digest() for index in range(50)}
    assert len(seen) == 50


def test_one_vehicle_fills_a_fair_part_of_a_picture() -> None:
    inputs, masks = Vehicles(TEST_SEED, 60, ((96, 144),)).read()
    assert inputs.shape == (60, 3, 96, 144)
    assert inputs.dtype == np.float32
    assert 0 <= inputs.min() < 0.05
    assert 0.95 < inputs.max() <= 1
    assert set(np.unique(masks)) == {0, 1}
    parts = masks.mean(axis=(1, 2))
    assert parts.min() > 0.1
    assert parts.max() < 0.65
    assert 0.2 < np.median(parts) < 0.4
    # Neither always in the middle nor cut off by the edges.
    edges = masks[:, [0, -1]].sum() + masks[:, :, [0, -1]].sum()
    assert edges == 0


def test_a_vehicle_stands_out_neither_by_its_colour_nor_by_its_place() -> None:
    """What a threshold or the average mask would find is far from the mask: the task asks for a network."""
    inputs, masks = Vehicles(TEST_SEED, 60, ((48, 72),)).read()

    def dice(found: np.ndarray) -> float:
        return float(
            (2 * (found & (masks == 1)).sum(axis=(1, 2)) / (found.sum(axis=(1, 2)) + masks.sum(axis=(1, 2)))).mean()
        )

    grey = inputs.mean(axis=1)
    for threshold in (0.2, 0.3, 0.4, 0.5):
        assert dice(grey < threshold) < 0.65
    average = Vehicles(TRAIN_SEED, 60, ((48, 72),)).read()[1].mean(axis=0)
    assert dice(np.broadcast_to(average > 0.5, masks.shape)) < 0.85


@pytest.mark.parametrize("size", [(16, 16), (33, 50), (160, 96), (320, 480)])
def test_one_scene_at_any_size(size: tuple[int, int]) -> None:
    pixels, mask = draw(TRAIN_SEED, 7, size)
    assert pixels.shape == (*size, 3)
    assert mask.shape == size
    assert 0.02 < mask.mean() < 0.7


def test_a_larger_picture_is_the_same_scene() -> None:
    small, large = draw(TEST_SEED, 3, (64, 96))[1], draw(TEST_SEED, 3, (256, 384))[1]
    shrunk = np.asarray(Image.fromarray(large * 255).resize((96, 64), Image.Resampling.BOX)) > 127
    assert (shrunk == (small == 1)).mean() > 0.97


def test_a_batch_is_of_one_of_the_sizes() -> None:
    data = Vehicles(TRAIN_SEED, 10, ((16, 24), (32, 48)))
    assert [data.read(np.array([first, 0]))[0].shape for first in (2, 3)] == [(2, 3, 16, 24), (2, 3, 32, 48)]


def test_what_a_phone_is_given() -> None:
    shown = samples((Tensor(name="in0", shape=(3, 32, 48)),), kind="vehicles")
    assert shown.inputs[0].shape == (vehicles.SHOWN, 3, 32, 48)
    assert shown.labels is not None
    assert shown.labels.shape == (vehicles.SHOWN, 32, 48)
    assert str(vehicles.SHOWN) in shown.source
