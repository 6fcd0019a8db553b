"""Arrays of numpy, written by the test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench import data
from bench.data.collection import Pictures
from bench.data.readers import detect, read
from bench.errors import BenchError, CorruptData, UsageError
from bench.preprocess import DEFAULT, Preprocess
from bench.records import Tensor

RNG = np.random.default_rng(11)
IMAGES = RNG.integers(0, 256, (20, 6, 5, 3), np.uint8)
LABELS = np.arange(20) % 4
EXPECTED = IMAGES.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
SHAPE = (3, 6, 5)
INPUT = (Tensor(name="in0", shape=SHAPE),)


def write(folder: Path, name: str = "all_test.npz", **arrays: object) -> Path:
    np.savez_compressed(folder / name, **arrays)  # type: ignore[arg-type]
    return folder / name


@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (0, 3, 1, 2)], ids=["NHWC", "NCHW"])
@pytest.mark.parametrize("key", ["images", "x"])
def test_bytes_in_either_order_of_axes(tmp_path: Path, axes: tuple[int, ...], key: str) -> None:
    path = write(tmp_path, **{key: IMAGES.transpose(axes), "labels": LABELS})
    assert detect(path) == "npz"
    found = data.samples(INPUT, folder=path)
    np.testing.assert_array_equal(found.inputs[0], EXPECTED)
    assert found.labels is not None
    assert found.labels.tolist() == LABELS.tolist()
    assert found.preprocess == DEFAULT


def test_floats_are_inputs_already(tmp_path: Path) -> None:
    normal = RNG.normal(size=(20, 6, 5, 3)).astype(np.float32)
    found = data.samples(INPUT, folder=write(tmp_path, images=normal, labels=LABELS))
    np.testing.assert_array_equal(found.inputs[0], normal.transpose(0, 3, 1, 2))
    assert found.preprocess is None
    with pytest.raises(CorruptData, match=r"image 0 .* has the shape \(3, 6, 5\), and the network takes \(3, 12, 10\)"):
        data.samples((Tensor(name="in0", shape=(3, 12, 10)),), folder=tmp_path / "all_test.npz")


@pytest.mark.parametrize(("scale", "shift"), [(1, 0), (255, 0)])
def test_floats_that_the_networks_preprocessing_cannot_have_made_are_refused(
    tmp_path: Path, scale: float, shift: float
) -> None:
    how = Preprocess(mean=(0.5,), deviation=(0.5,))
    path = write(tmp_path, images=(EXPECTED * scale + shift).astype(np.float32), labels=LABELS)
    for refused in (
        lambda: data.samples(INPUT, folder=path, preprocess=how),
        lambda: data.dataset(write(tmp_path, "both.npz", images=EXPECTED * scale, labels=LABELS), how, SHAPE),
    ):
        with pytest.raises(UsageError, match=r"holds floats from .*, and the network takes -1 to 1"):
            refused()
    fine = write(tmp_path, images=2 * EXPECTED - 1, labels=LABELS)
    assert data.samples(INPUT, folder=fine, preprocess=how).preprocess is None


def test_grey_alpha_bool_and_sixteen_bits(tmp_path: Path) -> None:
    grey = (Tensor(name="in0", shape=(1, 6, 5)),)
    for images in (IMAGES[..., 0], IMAGES[..., :1], IMAGES[..., 0].astype(np.uint16) * 257, IMAGES[..., 0].astype(int)):
        found = data.samples(grey, folder=write(tmp_path, images=images))
        np.testing.assert_array_equal(found.inputs[0], EXPECTED[:, :1])
        assert found.labels is None
    alpha = np.concatenate((IMAGES, IMAGES[..., :1]), axis=3)
    np.testing.assert_array_equal(data.samples(INPUT, folder=write(tmp_path, images=alpha)).inputs[0], EXPECTED)
    found = data.samples(grey, folder=write(tmp_path, images=IMAGES[..., 0] > 99))
    np.testing.assert_array_equal(found.inputs[0][:, 0], IMAGES[..., 0] > 99)


@pytest.mark.parametrize("spelling", ["{part}_images {part}_labels", "x_{part} y_{part}", "{part}_x {part}_y"])
def test_parts_of_their_own(tmp_path: Path, spelling: str) -> None:
    arrays = {}
    for part, places in (("train", slice(0, 14)), ("test", slice(14, 20))):
        images, labels = spelling.format(part=part).split()
        arrays |= {images: IMAGES[places], labels: LABELS[places]}
    found = read(write(tmp_path, "set.npz", **arrays, train_tracks=np.zeros(14)))
    assert (len(found.train), len(found.test)) == (14, 6)
    assert Pictures(found.test, DEFAULT, SHAPE).read().answers.tolist() == LABELS[14:].tolist()


def test_one_part_is_split_unless_the_name_says_that_it_is_to_test_with(tmp_path: Path) -> None:
    split = read(write(tmp_path, "set.npz", images=IMAGES, labels=LABELS))
    assert sorted(item.answer for item in split.test) == [0, 1, 2, 3]  # type: ignore[type-var]
    assert len(split.train) == 16
    assert len(read(write(tmp_path, "set-val.npz", images=IMAGES, labels=LABELS)).test) == 20
    assert len(read(write(tmp_path, "plain.npz", images=IMAGES)).test) == 20


def test_masks_are_resized_with_their_images(tmp_path: Path) -> None:
    masks = (IMAGES[..., 0] > 128) * np.uint8(255)
    path = write(tmp_path, images=IMAGES, masks=masks[..., None])
    found = data.samples(INPUT, folder=path)
    np.testing.assert_array_equal(found.labels, masks // 255)
    larger = data.samples((Tensor(name="in0", shape=(3, 12, 10)),), folder=path)
    np.testing.assert_array_equal(larger.labels, (masks // 255).repeat(2, axis=1).repeat(2, axis=2))


def test_arrays_by_the_names_of_several_inputs(tmp_path: Path) -> None:
    tokens, mask = RNG.integers(0, 30_000, (9, 12)), RNG.random((9, 12, 4))
    wanted = (Tensor(name="in0", shape=(12,), dtype="int32"), Tensor(name="in1", shape=(12, 4)))
    path = write(tmp_path, in0=tokens, in1=mask, labels=np.arange(9) % 3)
    found = data.samples(wanted, folder=path)
    assert [array.dtype for array in found.inputs] == [np.int32, np.float32]
    np.testing.assert_array_equal(found.inputs[0], tokens)
    part = data.samples(wanted, folder=path, count=3, seed=5)
    assert part.labels is not None
    assert sorted(part.labels.tolist()) == [0, 1, 2]
    assert part.source.startswith("3 of 9 samples")
    with pytest.raises(CorruptData, match=r"in1 of .* has the shape \(9, 12\), and the network takes N×12×4"):
        data.samples(wanted, folder=write(tmp_path, in0=tokens, in1=mask[..., 0]))
    with pytest.raises(CorruptData, match="8 and 9 samples"):
        data.samples(wanted, folder=write(tmp_path, in0=tokens[:8], in1=mask))
    with pytest.raises(UsageError, match=r"one array for each input: in0, in1"):
        data.samples(wanted, folder=write(tmp_path, images=IMAGES))


def test_features_of_a_network_that_sees_no_images(tmp_path: Path) -> None:
    features = RNG.normal(size=(7, 13))
    found = data.samples((Tensor(name="in0", shape=(13,)),), folder=write(tmp_path, x=features, y=np.arange(7)))
    np.testing.assert_array_equal(found.inputs[0], features.astype(np.float32))
    assert found.labels is not None
    assert found.labels.tolist() == list(range(7))


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"pictures": IMAGES}, "holds no images; found pictures"),
        ({"images": IMAGES, "labels": LABELS[:9]}, r"labels of .* has the shape \(9,\).*expected 20 whole"),
        ({"images": IMAGES, "labels": LABELS / 2}, "type float64; expected 20 whole numbers"),
        ({"images": IMAGES, "masks": np.zeros((20, 6, 6), int)}, r"where its images have \(20, 6, 5\)"),
        ({"images": IMAGES, "masks": np.full((20, 6, 5), 300)}, "values from 300 to 300"),
        ({"images": IMAGES[..., None]}, r"shape \(20, 6, 5, 3, 1\), which is not one of images"),
        ({"images": np.zeros((0, 6, 5, 3), np.uint8)}, "not one of images"),
        ({"images": IMAGES.astype(int) - 1}, "values from -1 to"),
        ({"images": IMAGES.astype("U3")}, "values of type <U3"),
        ({"images": IMAGES.astype(object)}, "cannot be read as arrays: .*allow_pickle"),
        ({"images": np.full((2, 6, 5, 3), np.nan)}, "image 0 .* not finite numbers"),
        ({"train_images": IMAGES, "train_labels": LABELS, "test_images": IMAGES}, "of one kind to train on"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, arrays: dict[str, object], words: str) -> None:
    with pytest.raises(BenchError, match=words):
        data.samples(INPUT, folder=write(tmp_path, **arrays))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(st.data(), st.booleans())
def test_damaged_files_end_in_an_error_that_names_them_or_in_images(
    tmp_path: Path, draw: st.DataObject, zipped: bool
) -> None:
    path = tmp_path / "damaged_test.npz"
    (np.savez_compressed if zipped else np.savez)(path, images=IMAGES, labels=LABELS)
    whole = bytearray(path.read_bytes())
    for _ in range(draw.draw(st.integers(0, 4))):
        whole[draw.draw(st.integers(0, len(whole) - 1))] = draw.draw(st.integers(0, 255))
    path.write_bytes(whole[: draw.draw(st.integers(0, len(whole)))])
    words = path.name
    try:
        assert data.samples(INPUT, folder=path).inputs[0].shape[1:] == SHAPE
    except (CorruptData, UsageError) as error:
        words = error.what
    assert path.name in words
