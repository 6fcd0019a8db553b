"""GTSRB's folders, drawn by the test: a red sign within a grey margin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from bench import data
from bench.data.collection import Batch, Item, Pictures
from bench.data.readers import gtsrb
from bench.errors import CorruptData, UsageError

COLUMNS = "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId"
SIGN, MARGIN = (200, 40, 30), (120, 120, 120)


def draw(path: Path, width: int, height: int, label: int) -> str:
    """A ppm file, and its row of the table."""
    box = (4, 5, width - 6, height - 4)
    picture = Image.new("RGB", (width, height), MARGIN)
    ImageDraw.Draw(picture).rectangle((box[0], box[1], box[2] - 1, box[3] - 1), fill=SIGN)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)
    return ";".join(map(str, (path.name, width, height, *box, label)))


def seen(items: Sequence[Item], size: int) -> Batch:
    """As the study's network sees them."""
    return Pictures(items, gtsrb.PREPROCESS, (3, size, size)).read()


def write(folder: Path, root: str = "", training: str = "Final_Training/Images", beside: bool = False) -> Path:
    for label in (0, 7, 42):
        place = folder / root / training / f"{label:05d}"
        rows = [draw(place / f"{track:05d}_00000.ppm", 30 + track, 40 + label, label) for track in range(2)]
        (place / f"GT-{label:05d}.csv").write_text("\n".join([COLUMNS, *rows, ""]))
    place = folder / root / "Final_Test" / "Images"
    rows = [draw(place / f"{number:05d}.ppm", 50, 30, number) for number in range(3)]
    (folder if beside else place).joinpath("GT-final_test.csv").write_text("\r\n".join([COLUMNS, *rows, ""]))
    return folder


@pytest.mark.parametrize(
    ("root", "training", "beside"), [("", "Final_Training/Images", False), ("GTSRB", "Training", True)]
)
def test_what_was_drawn_is_read(tmp_path: Path, root: str, training: str, beside: bool) -> None:
    write(tmp_path, root, training, beside)
    assert data.detect(tmp_path) == "gtsrb"
    found = gtsrb.load(tmp_path)
    assert (len(found.train), len(found.test)) == (6, 3)
    inputs, answers = seen(found.train, 64)
    assert inputs.shape == (6, 3, 64, 64)
    assert inputs.dtype == np.float32
    assert answers.tolist() == [0, 0, 7, 7, 42, 42]
    assert seen(found.test[2:], 64).answers.tolist() == [2]
    middle = inputs[:, :, 28:36, 28:36].mean(axis=(0, 2, 3))
    mean, deviation = np.array([0.3418, 0.3126, 0.3224]), np.array([0.1627, 0.1632, 0.1731])
    np.testing.assert_allclose(middle, (np.array(SIGN) / 255 - mean) / deviation, rtol=1e-4)


def test_the_shorter_side_is_resized_and_the_middle_cut_out(tmp_path: Path) -> None:
    """50×30 pixels, the sign from 4, 5 to 44, 26: at 60 for the height it is 100 wide, of which 20 to 80 are seen."""
    inputs = seen(gtsrb.load(write(tmp_path)).test, 60).inputs
    red = inputs[0, 0] > (160 / 255 - 0.3418) / 0.1627
    assert red[30].all()
    assert not red[:9].any()
    assert red[11:51].all()
    assert not red[53:].any()


def test_only_the_sign_when_asked(tmp_path: Path) -> None:
    write(tmp_path)
    whole, cut = (seen(gtsrb.load(tmp_path, roi=roi).train, 32).inputs for roi in (False, True))
    assert cut.std(axis=(2, 3)).max() < 1e-5
    assert whole.std(axis=(2, 3)).min() > 0.1


def test_the_size_is_the_networks(tmp_path: Path) -> None:
    assert data.dataset(write(tmp_path), None, (3, 20, 24)).test.read().inputs.shape == (3, 3, 20, 24)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("00009_00000.ppm;30;40;4;5;24;36;7", r"line 3: 00009_00000\.ppm is not in"),
        ("../00000/00000_00000.ppm;30;40;4;5;24;36;7", r"line 3: \.\./00000/.* is not in"),
        ("00000_00000.ppm;30;40;4;5;24;x;7", "line 3: not all of Width, .* are whole numbers"),
        ("00000_00000.ppm;30;40", "line 3: not all of Width, .* are whole numbers"),
        ("00000_00000.ppm;30;40;4;5;24;41;7", r"line 3: the sign at \(4, 5, 24, 41\) is not within 30×40"),
        ("00000_00000.ppm;30;40;4;36;24;36;7", "is not within"),
        ("00000_00000.ppm;30;40;4;5;24;36;43", "the class 43 is not one of 0 to 42"),
    ],
)
def test_wrong_rows_are_refused(tmp_path: Path, row: str, words: str) -> None:
    write(tmp_path)
    table = tmp_path / "Final_Training" / "Images" / "00007" / "GT-00007.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*lines[:2], row]))
    with pytest.raises(CorruptData, match=rf"GT-00007\.csv, {words}" if words.startswith("line") else words):
        gtsrb.load(tmp_path)


def test_tables_without_classes_are_refused(tmp_path: Path) -> None:
    """The test pictures come with a table that has none."""
    write(tmp_path)
    table = tmp_path / "Final_Test" / "Images" / "GT-final_test.csv"
    table.write_text(table.read_text().replace(";ClassId", ""))
    with pytest.raises(CorruptData, match=r"lacks the columns ClassId; found Filename, Width"):
        gtsrb.load(tmp_path)
    table.write_bytes(b"\xff\xfe\xfd")
    with pytest.raises(CorruptData, match="cannot be read as a table"):
        gtsrb.load(tmp_path)


def test_pictures_other_than_the_table_says_are_refused_when_read(tmp_path: Path) -> None:
    found = gtsrb.load(write(tmp_path))
    path = tmp_path / "Final_Test" / "Images" / "00001.ppm"
    draw(path, 51, 30, 1)
    with pytest.raises(CorruptData, match=r"00001\.ppm is \(51, 30\) pixels where its table says \(50, 30\)"):
        seen(found.test, 32)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(CorruptData, match=r"00001\.ppm cannot be read as a picture|00001\.ppm is"):
        seen(found.test, 32)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "Final_Training" / "Images" / "00042" / "GT-00042.csv").unlink()
    with pytest.raises(UsageError, match=r"GT-00042\.csv missing; found 00000/, 00007/, 00042/"):
        gtsrb.load(tmp_path)
    (tmp_path / "Final_Test" / "Images" / "GT-final_test.csv").unlink()
    with pytest.raises(
        UsageError, match=r"Final_Test/Images with GT-final_test\.csv missing; found Final_Test/, Final_Tr"
    ):
        gtsrb.load(tmp_path)
    (tmp_path / "none" / "Training").mkdir(parents=True)
    (tmp_path / "none" / "Final_Test" / "Images").mkdir(parents=True)
    (tmp_path / "none" / "GT-final_test.csv").write_text(COLUMNS)
    with pytest.raises(UsageError, match="00000/ missing; found nothing"):
        gtsrb.load(tmp_path / "none")
