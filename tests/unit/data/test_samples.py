"""Samples to measure with: built-in, the user's own, random."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bench import data
from bench.data import SampleSet, digits, photos
from bench.data.collection import balanced
from bench.errors import CorruptData, UnknownName, UsageError
from bench.preprocess import Preprocess
from bench.records import Tensor

SIGNED = Preprocess(mean=(0.5,), deviation=(0.5,))


def image(*shape: int) -> tuple[Tensor, ...]:
    return (Tensor(name="in0", shape=shape),)


@pytest.fixture(scope="module")
def numbers() -> digits.Digits:
    return digits.load()


def test_the_split_of_the_digits_is_stratified_and_complete(numbers: digits.Digits) -> None:
    assert numbers.train_inputs.shape == (4000, 1, 28, 28)
    assert numbers.test_inputs.shape == (1000, 1, 28, 28)
    assert np.bincount(numbers.train_labels).tolist() == [400] * 10
    assert np.bincount(numbers.test_labels).tolist() == [100] * 10
    assert numbers.train_inputs.dtype == numbers.test_inputs.dtype == np.float32
    assert (numbers.train_inputs.min(), numbers.train_inputs.max()) == (0, 1)


def test_no_digit_is_in_both_parts(numbers: digits.Digits) -> None:
    train = {image.tobytes() for image in numbers.train_inputs}
    assert not any(image.tobytes() in train for image in numbers.test_inputs)


def test_the_split_of_the_digits_never_changes(numbers: digits.Digits) -> None:
    """Ink of the first test image of three digits: another split would have other images there."""
    assert [round(255 * numbers.test_inputs[100 * digit].sum()) for digit in (0, 4, 9)] == [36952, 19443, 21174]


def test_digits_belong_to_their_labels(numbers: digits.Digits) -> None:
    """The nearest mean image names most test images right; shuffled labels would give a tenth."""
    means = np.stack([numbers.train_inputs[numbers.train_labels == digit].mean(axis=0).ravel() for digit in range(10)])
    distances = ((numbers.test_inputs.reshape(1000, 1, -1) - means) ** 2).sum(axis=2)
    assert (distances.argmin(axis=1) == numbers.test_labels).mean() > 0.75


def test_digits_are_given_as_they_are_or_as_the_network_looks_at_them(numbers: digits.Digits) -> None:
    plain = data.samples(image(1, 28, 28), kind="digits")
    np.testing.assert_array_equal(plain.inputs[0], numbers.test_inputs)
    np.testing.assert_array_equal(plain.labels, numbers.test_labels)
    other = data.samples(image(3, 32, 32), kind="digits", preprocess=SIGNED, count=20)
    assert other.inputs[0].shape == (20, 3, 32, 32)
    assert other.inputs[0].min() == -1
    assert other.labels is not None
    assert np.bincount(other.labels).tolist() == [2] * 10
    assert other.source.startswith("20 digits")
    trained = data.dataset("digits", None, (1, 28, 28))
    np.testing.assert_array_equal(trained.train.read().inputs, numbers.train_inputs)


def colours(height: int, width: int) -> np.ndarray:
    return np.stack([np.asarray(crop, np.float32) / 255 for crop in photos.load(height, width, 1_000).crops])


def test_photographs_are_thirty_crops_that_are_all_different() -> None:
    images = colours(48, 64)
    assert images.shape == (30, 48, 64, 3)
    assert 0 <= images.min() < 0.1
    assert 0.9 < images.max() <= 1
    for i, image in enumerate(images):
        assert all(np.abs(image - other).mean() > 0.01 for other in images[:i])


def test_photographs_are_all_used_before_one_is_used_twice() -> None:
    shown = photos.load(32, 32)
    assert len(shown.crops) == photos.SHOWN
    assert shown.source.startswith(f"{photos.SHOWN} crops of 10 photographs (china, flower, grace_hopper, astronaut")
    assert photos.load(32, 32, 2).source == (
        "2 crops of 2 photographs (china, flower) that come with scikit-learn; no labels"
    )


def test_a_package_that_is_not_installed_leaves_fewer_photographs_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    here = [package for package in photos.PACKAGES if package.name != "scikit-image"]
    monkeypatch.setattr(photos, "PACKAGES", (*here, photos.PACKAGES[-1]._replace(module="not_installed")))
    shown = photos.load(32, 32)
    assert len(shown.crops) == 9
    assert shown.source.startswith("9 crops of 3 photographs (china, flower, grace_hopper)")
    assert "scikit-image has more" in shown.source


def test_photographs_are_the_same_scene_at_every_size() -> None:
    small, large = colours(32, 48), colours(64, 96)
    halved = large.reshape(-1, 32, 2, 48, 2, 3).mean(axis=(2, 4))
    assert np.abs(halved - small).mean() < 0.03


@pytest.mark.parametrize(
    ("kind", "shape"), [("digits", (1, 28, 28)), ("photos", (3, 40, 50)), ("vehicles", (3, 32, 48))]
)
def test_samples_say_where_they_come_from_and_how_they_were_made(kind: str, shape: tuple[int, int, int]) -> None:
    found = data.samples(image(*shape), kind=kind, preprocess=SIGNED, count=3)
    assert found.inputs[0].shape == (3, *shape)
    assert found.inputs[0].min() < -0.5
    assert found.inputs[0].max() <= 1
    assert found.source.startswith("3 ")
    assert found.preprocess == SIGNED
    assert (found.labels is None) == (kind == "photos")


def test_a_network_without_data_is_given_random_values_the_same_every_time() -> None:
    inputs = (
        Tensor(name="in0", shape=(3, 4, 5)),
        Tensor(name="in1", shape=(7,)),
        Tensor(name="in2", shape=(6,), dtype="int32"),
    )
    first, second, other = (data.samples(inputs, seed=seed) for seed in (1, 1, 2))
    assert [array.shape for array in first.inputs] == [(4, 3, 4, 5), (4, 7), (4, 6)]
    assert [array.dtype for array in first.inputs] == [np.float32, np.float32, np.int32]
    assert 0 <= first.inputs[0].min() < first.inputs[0].max() <= 1
    assert first.inputs[1].min() < 0
    assert set(np.unique(first.inputs[2])) == {0, 1}
    for a, b, c in zip(first.inputs, second.inputs, other.inputs, strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)
    assert first.labels is None
    assert data.samples(inputs[:1], preprocess=SIGNED).inputs[0].min() < 0


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60), st.integers(1, 60), st.integers(0, 9))
def test_a_part_has_as_many_of_each_class_as_can_be(labels: list[int], count: int, seed: int) -> None:
    given_labels = np.array(labels)
    chosen = balanced(given_labels, len(labels), count, seed)
    assert len(chosen) == len(set(chosen.tolist())) == min(count, len(labels))
    assert chosen.tolist() == sorted(chosen.tolist())
    taken, there = (np.bincount(values, minlength=6) for values in (given_labels[chosen], given_labels))
    for one in np.flatnonzero(taken < there):
        assert taken.max() <= taken[one] + 1
    np.testing.assert_array_equal(chosen, balanced(given_labels, len(labels), count, seed))


def write(folder: Path, classes: int, each: int) -> Path:
    for label in range(classes):
        place = folder / "val" / f"kind{label}"
        place.mkdir(parents=True)
        for number in range(each):
            Image.new("RGB", (10, 8), (label * 20, number, 0)).save(place / f"{number}.png")
    return folder / "val"


def test_a_users_pictures_with_names_labels_and_classes(tmp_path: Path) -> None:
    found = data.samples(image(3, 8, 8), folder=write(tmp_path, 3, 4), kind="digits")
    assert found.labels is not None
    assert found.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert found.classes == ("kind0", "kind1", "kind2")
    np.testing.assert_allclose(found.inputs[0][5, 0] * 255, 20, atol=1e-4)
    assert found.names[5].endswith("kind1/1.png")
    some = data.samples(image(3, 8, 8), folder=tmp_path / "val", count=6, seed=4)
    assert some.labels is not None
    assert np.bincount(some.labels).tolist() == [2, 2, 2]
    assert some.source.startswith("6 of 12 pictures")


def test_one_broken_picture_among_a_thousand_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path, 10, 100)
    broken = folder / "kind7" / "31.png"
    broken.write_bytes(broken.read_bytes()[:40])
    with pytest.raises(CorruptData) as caught:
        data.samples(image(3, 8, 8), folder=folder)
    assert str(broken) in caught.value.what
    assert "1 of 1,000 pictures cannot be used, the other 999 are fine" in caught.value.what
    assert caught.value.exit_status == 31


def test_more_samples_than_anyone_can_hold_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, 2, 20)
    with pytest.raises(UsageError, match=r"40 samples of 3×8000×8000 values take 28\.6 GiB"):
        data.samples(image(3, 8000, 8000), folder=folder, count=40)
    with pytest.raises(UsageError, match="0 samples are asked for"):
        data.samples(image(3, 8, 8), folder=folder, count=0)


def test_pictures_are_for_networks_that_take_one(tmp_path: Path) -> None:
    folder = write(tmp_path, 2, 2)
    for inputs in (image(13), image(4, 8, 8), (*image(3, 8, 8), Tensor(name="in1", shape=(3,)))):
        with pytest.raises(UsageError, match=r"pictures do not become the inputs .*\n.*one array for each input: in0"):
            data.samples(inputs, folder=folder)
    with pytest.raises(UnknownName, match="Did you mean digits"):
        data.samples(image(1, 28, 28), kind="digit")


CLASSES = SampleSet((np.zeros((3, 1)),), np.array([0, 9, 2]), "the test", names=("a.png", "b.png", "c.png"))
MASKS = SampleSet((np.zeros((2, 3, 4, 4)),), np.full((2, 4, 4), 1), "the test")


def test_labels_within_the_networks_classes_pass() -> None:
    CLASSES.check("classification", (10,))
    CLASSES.check("reconstruction", (3, 4, 4))
    MASKS.check("segmentation", (2, 4, 4))
    MASKS.check("segmentation", (1, 4, 4))


@pytest.mark.parametrize(
    ("samples", "task", "output", "words"),
    [
        (CLASSES, "classification", (9,), r"label 9 of b\.png is not one of the network's 9 classes, 0 to 8"),
        (
            CLASSES,
            "segmentation",
            (2, 4, 4),
            "a class for each picture .* network gives a class for each pixel",
        ),
        (MASKS, "classification", (10,), "a class for each pixel .* and the network gives a class for each picture"),
        (MASKS, "segmentation", (2, 2, 2), "answers for 2×2 pixels, and its input's masks have 4×4"),
        (
            SampleSet((np.zeros((1, 1)),), np.array([1]), "the test", ("cat", "dog")),
            "classification",
            (1000,),
            "2 classes .*cat, dog.* has 1000, so it is unknown which is which",
        ),
        (
            SampleSet((np.zeros((1, 1)),), np.array([2]), "the test", ("cat", "dog", "emu"), ("emu/1.png",)),
            "classification",
            (2,),
            r"label 2 \(emu\) of emu/1\.png is not one of the network's 2 classes",
        ),
    ],
)
def test_labels_that_the_network_cannot_give_are_refused(
    samples: SampleSet, task: str, output: tuple[int, ...], words: str
) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        samples.check(task, output)  # type: ignore[arg-type]
    assert caught.value.exit_status == 2


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 12))
def test_training_data_reads_what_is_asked_for(count: int) -> None:
    found = data.dataset("digits", SIGNED, (1, 28, 28))
    places = np.arange(count) * 7
    part, whole = found.train.read(places), found.train.read(np.arange(100))
    np.testing.assert_array_equal(part.inputs, whole.inputs[places])
    np.testing.assert_array_equal(part.answers, whole.answers[places])


def test_a_label_beyond_the_networks_classes_is_named_while_training(tmp_path: Path) -> None:
    write(tmp_path, 3, 4)
    found = data.dataset((tmp_path / "val").rename(tmp_path / "all"), None, (3, 8, 8), classes=2)
    with pytest.raises(UsageError, match=r"label 2 of .*kind2/\d\.png is not one of the network's 2 classes"):
        found.train.read()


def test_data_that_cannot_be_trained_on_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="do not become an input of 13 values"):
        data.dataset("digits", None, (13,))
    with pytest.raises(UsageError, match="nothing to train on"):
        data.dataset(write(tmp_path, 2, 2), None, (3, 8, 8))
    with pytest.raises(UsageError, match="has no labels to learn from"):
        data.dataset(tmp_path / "val" / "kind0", None, (3, 8, 8))
    with pytest.raises(UnknownName):
        data.dataset("photos", None, (3, 8, 8))
    (tmp_path / "val").rename(tmp_path / "all")
    found = data.dataset(tmp_path / "all", None, (3, 8, 8))
    assert (len(found.train), len(found.test), found.task) == (2, 2, "classification")
