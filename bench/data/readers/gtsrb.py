"""GTSRB, the German Traffic Sign Recognition Benchmark: ppm pictures, and tables of what they show and where.

Format: https://benchmark.ini.rub.de/gtsrb_dataset.html. Pictures are read when they are asked for: at 256×256 they
would take 31 GB.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from bench.data.collection import Collection, Item
from bench.data.readers import folder as folders
from bench.data.readers.pictures import decoded
from bench.errors import CorruptData
from bench.preprocess import Preprocess

EXPECTED = (
    "Final_Training/Images/00000/ to 00042/, each with .ppm pictures and a table GT-00000.csv and so on, and "
    "Final_Test/Images/ with .ppm pictures and GT-final_test.csv (there, or in the folder itself); also within GTSRB/."
)
CLASSES = 43
PREPROCESS = Preprocess(mean=(0.3418, 0.3126, 0.3224), deviation=(0.1627, 0.1632, 0.1731))
"""The colours red, green, blue in 0..1 are normalised as in the traffic-sign study."""
_ROOTS = ("", "GTSRB")
_TRAINING = ("Final_Training/Images", "Training")
_TEST = "Final_Test/Images"
_TEST_TABLE = "GT-final_test.csv"
_COLUMNS = ("Filename", "Width", "Height", "Roi.X1", "Roi.Y1", "Roi.X2", "Roi.Y2", "ClassId")
_FIX = "Get the data set again, or correct the table."


class Sign(NamedTuple):
    """One picture; `box` is left, top, right, bottom of the sign in it, in pixels, right and bottom excluded."""

    path: Path
    size: tuple[int, int]
    box: tuple[int, int, int, int]
    label: int


def matches(folder: Path) -> bool:
    training = _training(folder)
    return training is not None and next(training.glob("*/GT-*.csv"), None) is not None


def load(folder: Path, roi: bool = False) -> Collection:
    """The signs of `folder`.

    With `roi` only what the table says is the sign is looked at, not the margin around it. Raises UsageError for
    missing files, CorruptData for a table that is wrong and, at reading, for a damaged picture.
    """
    training, test = _training(folder), _test(folder)
    if training is None or test is None:
        missing = [
            place for place, found in ((_TRAINING[0], training), (f"{_TEST} with {_TEST_TABLE}", test)) if not found
        ]
        raise folders.unfit(folder, "GTSRB", missing, EXPECTED)
    tables = [(path, path / f"GT-{path.name}.csv") for path in sorted(training.iterdir()) if path.is_dir()]
    if missing := [table.name for _, table in tables if not table.is_file()]:
        raise folders.unfit(training, "GTSRB's training part", missing, EXPECTED)
    train = [sign for pictures, table in tables for sign in _signs(pictures, table)]
    if not train:
        raise folders.unfit(training, "GTSRB's training part", ("00000/",), EXPECTED)
    tested = list(_signs(*test))
    source = f"{len(tested):,} test pictures of GTSRB from {folder}"
    first, second = ([_item(sign, roi) for sign in signs] for signs in (train, tested))
    return Collection("gtsrb", "classification", first, second, source, preprocess=PREPROCESS)


def _training(folder: Path) -> Path | None:
    places = (folder / root / place for root in _ROOTS for place in _TRAINING)
    return next((place for place in places if place.is_dir()), None)


def _test(folder: Path) -> tuple[Path, Path] | None:
    """The folder of test pictures and its table, which is a download of its own."""
    pictures = next((folder / root / _TEST for root in _ROOTS if (folder / root / _TEST).is_dir()), None)
    if pictures is None:
        return None
    places = (pictures, pictures.parent, folder, folder / "GTSRB")
    table = next((place / _TEST_TABLE for place in places if (place / _TEST_TABLE).is_file()), None)
    return None if table is None else (pictures, table)


def _signs(pictures: Path, table: Path) -> Iterator[Sign]:
    """The rows of a table, each checked. Raises CorruptData with the line."""
    present = set(folders.entries(pictures))
    try:
        with table.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file, delimiter=";")
            if missing := [column for column in _COLUMNS if column not in (rows.fieldnames or ())]:
                raise CorruptData(
                    f"{table} lacks the columns {', '.join(missing)}; found {folders.few(rows.fieldnames or ())}",
                    "The test pictures' classes are a download of their own (GT-final_test.csv)." + f" {_FIX}",
                )
            for row in rows:
                yield _sign(pictures, present, row, f"{table}, line {rows.line_num}")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CorruptData(f"{table} cannot be read as a table: {error}", _FIX) from error


def _sign(pictures: Path, present: set[str], row: dict[str, str], where: str) -> Sign:
    name = row["Filename"]
    if name not in present:
        raise CorruptData(f"{where}: {name} is not in {pictures}", _FIX)
    try:
        width, height, *box, label = (int(row[column]) for column in _COLUMNS[1:])
    except (TypeError, ValueError):
        raise CorruptData(f"{where}: not all of {', '.join(_COLUMNS[1:])} are whole numbers", _FIX) from None
    left, top, right, bottom = box
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        raise CorruptData(f"{where}: the sign at {tuple(box)} is not within {width}×{height} pixels", _FIX)
    if not 0 <= label < CLASSES:
        raise CorruptData(f"{where}: the class {label} is not one of 0 to {CLASSES - 1}", _FIX)
    return Sign(pictures / name, (width, height), (left, top, right, bottom), label)


def _item(sign: Sign, roi: bool) -> Item:
    track = sign.path.stem.partition("_")[0]  # 00005_00012.ppm is the 13th look at the sixth sign of its class
    return Item(str(sign.path), partial(_picture, sign, roi), sign.label, group=track)


def _picture(sign: Sign, roi: bool) -> Image.Image:
    picture = decoded(sign.path)
    if picture.size != sign.size:
        raise CorruptData(f"{sign.path} is {picture.size} pixels where its table says {sign.size}", _FIX)
    return picture.crop(sign.box) if roi else picture
