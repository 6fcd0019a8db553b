"""Pictures with masks, drawn by the test: a bright car on a dark ground, and its mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from bench.data.collection import Pictures
from bench.data.readers import detect, read
from bench.data.readers.pictures import decoded_mask
from bench.errors import CorruptData, UsageError
from bench.preprocess import DEFAULT

WIDTH, HEIGHT = 96, 64
SHAPE = (3, HEIGHT, WIDTH)


def draw(photograph: Path, mask: Path, left: int, white: int = 255) -> None:
    """A car from `left` on, 48×32 pixels, as a photograph and as a mask."""
    box = (left, 16, left + 47, 47)
    picture, truth = Image.new("RGB", (WIDTH, HEIGHT), (10, 20, 30)), Image.new("L", (WIDTH, HEIGHT))
    ImageDraw.Draw(picture).rectangle(box, fill=(250, 200, 150))
    ImageDraw.Draw(truth).rectangle(box, fill=white)
    photograph.parent.mkdir(parents=True, exist_ok=True)
    mask.parent.mkdir(parents=True, exist_ok=True)
    picture.save(photograph)
    truth.convert("1" if mask.suffix == ".gif" else "L").save(mask)


def write(folder: Path, cars: int = 6, views: int = 3) -> Path:
    """As Kaggle's archives of Carvana unpack: jpg and gif."""
    for car in range(cars):
        for view in range(views):
            name = f"car{car:02d}_{view + 1:02d}"
            draw(folder / "train" / f"{name}.jpg", folder / "train_masks" / f"{name}_mask.gif", 8 * view)
    return folder


def test_what_was_drawn_is_read_at_the_size_of_the_network(tmp_path: Path) -> None:
    assert detect(write(tmp_path)) == "pairs"
    found = read(tmp_path)
    assert (found.task, len(found.train), len(found.test)) == ("segmentation", 12, 6)
    inputs, answers = Pictures(found.train, DEFAULT, (3, 32, 48)).read(np.array([1, 0]))
    assert inputs.shape == (2, 3, *answers.shape[1:]) == (2, 3, 32, 48)
    assert (inputs.dtype, answers.dtype) == (np.float32, np.int64)
    for image, answer, left in zip(inputs, answers, (4, 0), strict=True):
        expected = np.zeros((32, 48), np.int64)
        expected[8:24, left : left + 24] = 1
        np.testing.assert_array_equal(answer, expected)
        # The colours, away from the edges that JPEG blurs.
        np.testing.assert_allclose(
            image[:, 12:20, left + 4 : left + 20].mean(axis=(1, 2)) * 255, (250, 200, 150), atol=4
        )
        np.testing.assert_allclose(image[:, 28:].mean(axis=(1, 2)) * 255, (10, 20, 30), atol=4)


def test_views_of_one_car_are_not_in_both_parts_and_the_split_never_changes(tmp_path: Path) -> None:
    write(tmp_path, cars=12, views=2)
    first, second = read(tmp_path), read(tmp_path)
    assert (len(first.train), len(first.test)) == (18, 6)
    assert "6 pictures (held out by bench)" in first.source
    assert [item.name for item in first.test] == [item.name for item in second.test]
    cars = [{Path(item.name).stem.split("_")[0] for item in part} for part in (first.train, first.test)]
    assert not cars[0] & cars[1]


def test_pairs_that_share_a_number_only_and_all_for_testing(tmp_path: Path) -> None:
    folder = tmp_path / "val"
    for number in range(3):
        draw(folder / "images" / f"in{number:04d}.png", folder / "masks" / f"gt{number:04d}.png", 8 * number, white=1)
    found = read(folder)
    assert (len(found.train), len(found.test)) == (0, 3)
    answers = Pictures(found.test, DEFAULT, SHAPE).read().answers
    assert [int(answer.any(axis=0).argmax()) for answer in answers] == [0, 8, 16]
    assert answers.sum(axis=(1, 2)).tolist() == [48 * 32] * 3


def test_masks_beside_their_pictures_and_folders_for_both_parts(tmp_path: Path) -> None:
    for part, count in (("train", 4), ("test", 2)):
        for number in range(count):
            draw(tmp_path / part / f"{number}.png", tmp_path / part / f"{number}_mask.png", 8 * number)
    assert detect(tmp_path) == "pairs"
    found = read(tmp_path)
    assert (len(found.train), len(found.test)) == (4, 2)
    assert Pictures(found.test, DEFAULT, SHAPE).read().answers.sum() == 2 * 48 * 32


def test_a_mask_is_cropped_as_its_picture_is(tmp_path: Path) -> None:
    draw(tmp_path / "images" / "a.png", tmp_path / "masks" / "a.png", 40)
    inputs, answers = Pictures(read(tmp_path).test, DEFAULT, (3, 64, 64)).read()
    np.testing.assert_array_equal(inputs[0, 0] > 0.5, answers[0] == 1)
    assert answers[0].any(axis=0).argmax() == 40 - 16


@pytest.mark.parametrize("mode", ["L", "P", "RGB"])
def test_classes_of_pixels_stay_as_they_are(tmp_path: Path, mode: str) -> None:
    classes = np.arange(12, dtype=np.uint8).reshape(3, 4)
    mask = Image.fromarray(classes if mode != "RGB" else np.repeat(classes[..., None], 3, axis=2))
    if mode == "P":
        mask = mask.convert("P")
        mask.putpalette([(37 * value) % 256 for value in range(768)])
    mask.save(tmp_path / "mask.png")
    np.testing.assert_array_equal(decoded_mask(tmp_path / "mask.png"), classes)


def test_a_mask_stored_as_jpeg_is_of_two_classes(tmp_path: Path) -> None:
    truth = np.zeros((32, 32), np.uint8)
    truth[8:24, 8:24] = 255
    Image.fromarray(truth).save(tmp_path / "mask.jpg", quality=60)
    assert (decoded_mask(tmp_path / "mask.jpg") == truth // 255).mean() > 0.98


def test_colours_are_not_classes(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), (200, 10, 10)).save(tmp_path / "mask.png")
    with pytest.raises(CorruptData, match=r"mask\.png has colours, not classes"):
        decoded_mask(tmp_path / "mask.png")


def test_pictures_stay_on_disk_until_they_are_read(tmp_path: Path) -> None:
    found = read(write(tmp_path))
    for path in (tmp_path / "train").iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(CorruptData, match=r"car\d\d_0\d\.jpg cannot be read as a picture"):
        Pictures(found.train, DEFAULT, SHAPE).read(np.array([0]))


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    draw(tmp_path / "imgs" / "a.png", tmp_path / "masks" / "a.png", 0)
    Image.new("L", (WIDTH, HEIGHT + 1)).save(tmp_path / "masks" / "a.png")
    with pytest.raises(CorruptData, match=r"a\.png is 96×65 pixels, its picture 96×64"):
        Pictures(read(tmp_path).test, DEFAULT, SHAPE).read()


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    write(tmp_path)
    for view in (1, 2):
        (tmp_path / "train_masks" / f"car01_0{view}_mask.gif").unlink()
    with pytest.raises(UsageError, match=r"2 of 18 pictures in .*train have no mask: car01_01\.jpg, car01_02\.jpg"):
        read(tmp_path)
    (tmp_path / "none").mkdir()
    with pytest.raises(UsageError, match="images/, masks/ missing; found nothing"):
        read(tmp_path / "none", "pairs")
    (tmp_path / "empty" / "images").mkdir(parents=True)
    (tmp_path / "empty" / "masks").mkdir()
    with pytest.raises(UsageError, match="pictures missing; found nothing"):
        read(tmp_path / "empty")
