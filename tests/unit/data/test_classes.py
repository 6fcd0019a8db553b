"""Class folders, as torchvision's ImageFolder has them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from bench.data.readers import detect, read
from bench.errors import UsageError


def write(folder: Path, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / f"{number:03d}.png")


def labels(items: object) -> list[int]:
    return [item.answer for item in items]  # type: ignore[attr-defined]


def test_classes_are_numbered_by_name_and_an_empty_one_keeps_its_number(tmp_path: Path) -> None:
    root = tmp_path / "val"
    for name, count in (("cat", 3), ("bee", 0), ("ant", 2)):
        write(root / name, count)
    for rubbish in (".DS_Store", "cat/.DS_Store", "cat/._000.png", "cat/Thumbs.db", "readme.txt"):
        (root / rubbish).write_bytes(b"\0")
    write(root / "__MACOSX", 1)
    write(root / ".ipynb_checkpoints", 1)
    assert detect(root) == "classes"
    found = read(root)
    assert found.classes == ("ant", "bee", "cat")
    assert (list(found.train), labels(found.test)) == ([], [0, 0, 2, 2, 2])


def test_folders_named_by_numbers_are_those_classes(tmp_path: Path) -> None:
    for name in ("00007", "12"):
        write(tmp_path / "test" / name, 2)
    found = read(tmp_path / "test")
    assert (found.classes, labels(found.test)) == (None, [7, 7, 12, 12])


@pytest.mark.parametrize(("train", "test"), [("train", "val"), ("Training", "test"), ("train", "validation")])
def test_folders_for_both_parts_have_one_numbering(tmp_path: Path, train: str, test: str) -> None:
    for part, names in ((train, ("a", "b", "c")), (test, ("a", "c"))):
        for name in names:
            write(tmp_path / part / name, 2)
    found = read(tmp_path)
    assert labels(found.train) == [0, 0, 1, 1, 2, 2]
    assert labels(found.test) == [0, 0, 2, 2]


def test_a_split_is_of_every_class_a_fifth_and_never_changes(tmp_path: Path) -> None:
    for name, count in (("a", 20), ("b", 10), ("c", 2)):
        write(tmp_path / name, count)
    found, again = read(tmp_path), read(tmp_path)
    assert Counter(labels(found.test)) == {0: 4, 1: 2, 2: 1}
    assert Counter(labels(found.train)) == {0: 16, 1: 8, 2: 1}
    assert [item.name for item in found.test] == [item.name for item in again.test]
    assert "7 pictures (held out by bench) of 3 class folders" in found.source


def test_pictures_lie_at_any_depth_of_a_class(tmp_path: Path) -> None:
    write(tmp_path / "val" / "a", 1)
    write(tmp_path / "val" / "a" / "more" / "still", 2)
    assert labels(read(tmp_path / "val").test) == [0, 0, 0]


def test_folders_without_pictures_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a", 0)
    (tmp_path / "a" / "page.html").touch()
    with pytest.raises(UsageError, match="holds no data that bench can read; found a/"):
        read(tmp_path)
    with pytest.raises(UsageError, match="is not a folder of class folders: pictures missing"):
        read(tmp_path, "classes")
