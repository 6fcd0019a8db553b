"""Carvana's folders, drawn by the test: a bright car on a dark ground, and its mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from bench import data
from bench.data.readers import carvana
from bench.errors import CorruptData, UsageError

WIDTH, HEIGHT = 96, 64


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


def write(folder: Path, cars: int = 4, views: int = 3) -> Path:
    """As Kaggle's archives unpack: jpg and gif."""
    for car in range(cars):
        for view in range(views):
            name = f"car{car:02d}_{view + 1:02d}"
            draw(folder / "train" / f"{name}.jpg", folder / "train_masks" / f"{name}_mask.gif", 8 * view)
    return folder


def test_what_was_drawn_is_read(tmp_path: Path) -> None:
    write(tmp_path)
    assert data.detect(tmp_path) == "carvana"
    found = carvana.load(tmp_path, size=(32, 48))
    assert (found.task, found.classes, len(found.train), len(found.test)) == ("segmentation", 2, 9, 3)
    inputs, answers = found.train.read(np.array([1, 0]))
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


def test_cars_are_not_in_both_parts_and_the_split_never_changes(tmp_path: Path) -> None:
    write(tmp_path, cars=12, views=2)
    first, second = carvana.load(tmp_path, test_share=0.25), carvana.load(tmp_path, test_share=0.25)
    assert (len(first.train), len(first.test)) == (18, 6)
    assert "6 of 3 other cars" in first.source
    assert first.source == second.source
    cars = [{pair[0].stem.split("_")[0] for pair in part.load.args[0]} for part in (first.train, first.test)]  # type: ignore[attr-defined]
    assert not cars[0] & cars[1]


def test_pairs_that_share_a_number_only_and_all_for_testing(tmp_path: Path) -> None:
    for number in range(3):
        draw(
            tmp_path / "images" / f"in{number:04d}.png", tmp_path / "masks" / f"gt{number:04d}.png", 8 * number, white=1
        )
    found = carvana.load(tmp_path, size=(HEIGHT, WIDTH), test_share=1.0)
    assert (len(found.train), len(found.test)) == (0, 3)
    answers = found.test.read().answers
    assert [int(answer.any(axis=0).argmax()) for answer in answers] == [0, 8, 16]
    assert answers.sum(axis=(1, 2)).tolist() == [48 * 32] * 3


def test_pictures_stay_on_disk_until_they_are_read(tmp_path: Path) -> None:
    found = carvana.load(write(tmp_path), size=(32, 48))
    for path in (tmp_path / "train").iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(CorruptData, match=r"car\d\d_0\d\.jpg cannot be read as a picture"):
        found.train.read(np.array([0]))


def test_a_cut_picture_and_a_mask_of_another_size_are_refused(tmp_path: Path) -> None:
    write(tmp_path)
    whole = (tmp_path / "train" / "car00_01.jpg").read_bytes()
    for part in ("train", "train_masks"):
        for path in (tmp_path / part).iterdir():
            path.write_bytes(path.read_bytes()[: len(whole) // 2] if part == "train" else path.read_bytes())
    with pytest.raises(CorruptData, match="cannot be read as a picture"):
        carvana.load(tmp_path, size=(HEIGHT, WIDTH)).train.read()
    other = tmp_path / "other"
    draw(other / "imgs" / "a.png", other / "masks" / "a.png", 0)
    Image.new("L", (WIDTH, HEIGHT + 1)).save(other / "masks" / "a.png")
    with pytest.raises(CorruptData, match=r"a\.png is 96×65 pixels, its photograph 96×64"):
        carvana.load(other, test_share=1.0).test.read()


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    write(tmp_path)
    for view in (1, 2):
        (tmp_path / "train_masks" / f"car01_0{view}_mask.gif").unlink()
    with pytest.raises(
        UsageError, match=r"2 of 12 photographs in .*train have no mask in .*: car01_01\.jpg, car01_02\.jpg"
    ):
        carvana.load(tmp_path)
    (tmp_path / "none").mkdir()
    with pytest.raises(UsageError, match="train/, train_masks/ missing; found nothing"):
        carvana.load(tmp_path / "none")
    (tmp_path / "empty" / "images").mkdir(parents=True)
    (tmp_path / "empty" / "masks").mkdir()
    with pytest.raises(UsageError, match="pictures missing; found nothing"):
        carvana.load(tmp_path / "empty")
