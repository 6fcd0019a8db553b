"""Pictures from the field, added to data: who is learnt from, and who is held apart."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data.added import Added, added
from bench.data.readers import read
from bench.errors import CorruptData, UsageError


def picture(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (24, 24, 3), np.uint8))


def save(path: Path, shown: Image.Image, time: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shown.save(path)
    os.utime(path, (time, time))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for place, name in enumerate(("left", "right", "stop")):
        for number in range(5):
            save(tmp_path / "data" / name / f"{number}.png", picture(100 * place + number), 0)
    return tmp_path / "data"


@pytest.fixture
def field(tmp_path: Path) -> Path:
    """Sixty pictures of two of the classes, an hour apart."""
    for number in range(60):
        name = ("right", "stop")[number % 2]
        save(tmp_path / "field" / name / f"{number}.png", picture(1_000 + number), 3_600 * number)
    return tmp_path / "field"


def split(field: Path, data: Path, seed: int = 1) -> Added:
    return added(field, read(data), data, seed)


def names(items: tuple[object, ...]) -> set[str]:
    return {Path(item.name).name for item in items}  # type: ignore[attr-defined]


def test_every_picture_is_either_learnt_from_or_held_apart(field: Path, data: Path) -> None:
    found = split(field, data)
    assert len(found.learnt) + len(found.apart) == 60
    assert not names(found.learnt) & names(found.apart)
    assert 8 <= len(found.apart) <= 32


def test_classes_get_the_numbers_that_they_have_in_the_data(field: Path, data: Path) -> None:
    found = split(field, data)
    for item in (*found.learnt, *found.apart):
        assert item.answer == {"right": 1, "stop": 2}[Path(item.name).parent.name]


def test_who_is_held_apart_follows_from_what_is_shown_not_from_names_or_number(
    field: Path, data: Path, tmp_path: Path
) -> None:
    before = {Path(item.name).read_bytes() for item in split(field, data).apart}
    for path in sorted(field.rglob("*.png")):
        path.rename(path.with_name(f"z{path.name[::-1][4:]}.png"))
    for number in range(200, 230):
        save(field / "left" / f"{number}.png", picture(number + 5_000), 9_000_000 + 3_600 * number)
    after = {Path(item.name).read_bytes() for item in split(field, data).apart}
    assert before < after
    assert before != {Path(item.name).read_bytes() for item in split(field, data, seed=2).apart}


def test_a_burst_is_never_divided(field: Path, data: Path) -> None:
    for burst in range(12):
        for shot in range(5):
            path = field / "stop" / f"burst-{burst}-{shot}.png"
            save(path, picture(7_000 + 10 * burst + shot), 1e9 + 99 * burst + shot)
    found = split(field, data)
    for burst in range(12):
        mine = {name for name in names(found.learnt) if name.startswith(f"burst-{burst}-")}
        assert len(mine) in (0, 5)


def test_what_is_nearly_the_same_is_never_divided(field: Path, data: Path) -> None:
    for number in range(60):
        again = np.asarray(picture(1_000 + number)).astype(int) + 2
        name = ("right", "stop")[number % 2]
        save(
            field / name / f"again-{number}.png",
            Image.fromarray(again.clip(0, 255).astype(np.uint8)),
            5e8 + 3_600 * number,
        )
    found = split(field, data)
    learnt = names(found.learnt)
    assert all((f"{number}.png" in learnt) == (f"again-{number}.png" in learnt) for number in range(60))
    assert sum(found.groups) == 60


def test_times_that_are_those_of_a_copy_make_no_burst_and_this_is_told(field: Path, data: Path) -> None:
    for path in field.rglob("*.png"):
        os.utime(path, (1e9, 1e9))
    found = split(field, data)
    assert sum(found.groups) == 60
    assert any("60 files" in note for note in found.notes)


def test_a_class_that_the_data_does_not_have_is_refused_with_its_name(field: Path, data: Path) -> None:
    (field / "stop").rename(field / "Stopp")
    with pytest.raises(UsageError, match=r"'Stopp' \(30 pictures\)"):
        split(field, data)


def test_one_picture_with_two_classes_is_refused(field: Path, data: Path) -> None:
    save(field / "stop" / "same.png", picture(1_000), 0)
    with pytest.raises(CorruptData, match="two classes"):
        split(field, data)


def test_pictures_without_classes_are_refused_with_what_to_do(field: Path, data: Path) -> None:
    for path in list(field.rglob("*.png")):
        path.rename(field / path.name)
    for name in ("right", "stop"):
        (field / name).rmdir()
    with pytest.raises(UsageError) as refused:
        split(field, data)
    assert "bench label" in refused.value.fix


def test_too_few_groups_to_hold_any_apart_are_refused(data: Path, tmp_path: Path) -> None:
    save(tmp_path / "one" / "stop" / "1.png", picture(1), 0)
    with pytest.raises(UsageError, match="too few"):
        split(tmp_path / "one", data)
