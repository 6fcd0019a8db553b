"""Real samples: what the splits promise."""

from __future__ import annotations

import numpy as np
import pytest

from bench import data
from bench.data import digits, photos


@pytest.fixture(scope="module")
def numbers() -> digits.Digits:
    return digits.load()


def test_the_split_is_stratified_and_complete(numbers: digits.Digits) -> None:
    assert numbers.train_inputs.shape == (4000, 1, 28, 28)
    assert numbers.test_inputs.shape == (1000, 1, 28, 28)
    assert np.bincount(numbers.train_labels).tolist() == [400] * 10
    assert np.bincount(numbers.test_labels).tolist() == [100] * 10
    assert numbers.train_inputs.dtype == numbers.test_inputs.dtype == np.float32
    assert (numbers.train_inputs.min(), numbers.train_inputs.max()) == (0, 1)


def test_no_image_is_in_both_parts(numbers: digits.Digits) -> None:
    train = {image.tobytes() for image in numbers.train_inputs}
    assert not any(image.tobytes() in train for image in numbers.test_inputs)


def test_the_split_never_changes(numbers: digits.Digits) -> None:
    """Ink of the first test image of three digits: another split would have other images there."""
    assert [round(255 * numbers.test_inputs[100 * digit].sum()) for digit in (0, 4, 9)] == [36952, 19443, 21174]


def test_images_belong_to_their_labels(numbers: digits.Digits) -> None:
    """The nearest mean image names most test images right; shuffled labels would give a tenth."""
    means = np.stack([numbers.train_inputs[numbers.train_labels == digit].mean(axis=0).ravel() for digit in range(10)])
    distances = ((numbers.test_inputs.reshape(1000, 1, -1) - means) ** 2).sum(axis=2)
    assert (distances.argmin(axis=1) == numbers.test_labels).mean() > 0.75


def test_photographs_are_four_different_crops() -> None:
    images = photos.load(48, 64)
    assert images.shape == (4, 3, 48, 64)
    assert images.dtype == np.float32
    assert 0 <= images.min() < 0.1
    assert 0.9 < images.max() <= 1
    for i in range(4):
        for j in range(i):
            assert np.abs(images[i] - images[j]).mean() > 0.05


def test_photographs_are_the_same_scene_at_every_size() -> None:
    small, large = photos.load(32, 48), photos.load(64, 96)
    halved = large.reshape(4, 3, 32, 2, 48, 2).mean(axis=(3, 5))
    assert np.abs(halved - small).mean() < 0.03


@pytest.mark.parametrize(("kind", "shape"), [("digits", (1, 28, 28)), ("photos", (3, 40, 50))])
def test_samples_say_where_they_come_from(kind: str, shape: tuple[int, int, int]) -> None:
    found = data.samples(kind, shape)  # type: ignore[arg-type]
    assert found.inputs.shape[1:] == shape
    assert found.source
    assert (found.labels is None) == (kind == "photos")
