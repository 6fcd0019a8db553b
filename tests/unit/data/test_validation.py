"""A part held out for validation: whole groups, every class, and nothing of it anywhere else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.data.collection import Item, to_validate
from bench.data.dataset import dataset
from bench.errors import CorruptData, UsageError


def item(label: int, group: str | None) -> Item:
    return Item("one", lambda: np.zeros((1, 4, 4), np.float32), label, group=group)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["a", "b", "c", "d", "e"])), min_size=1, max_size=60),
    st.floats(0.05, 0.5),
)
def test_no_group_is_on_both_sides_and_no_class_is_gone(rows: list[tuple[int, str]], share: float) -> None:
    chosen = to_validate([item(*row) for row in rows], share)
    held = {row for row, is_held in zip(rows, chosen, strict=True) if is_held}
    left = {row for row, is_held in zip(rows, chosen, strict=True) if not is_held}
    assert not held & left
    for label in {label for label, _ in rows}:
        groups = {group for other, group in rows if other == label}
        assert any(other == label for other, _ in left)
        assert any(other == label for other, _ in held) == (len(groups) > 1)


def written(path: Path, **more: np.ndarray) -> Path:
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 20)
    images = random.integers(0, 255, (60, 4, 4), dtype=np.uint8)
    arrays = {"train_images": images, "train_labels": labels, "test_images": images[::7], "test_labels": labels[::7]}
    np.savez(path, **(arrays | more))
    return path


def test_tracks_of_an_npz_file_stay_together(tmp_path: Path) -> None:
    tracks = np.tile(np.repeat(np.arange(5), 4), 3)
    path = written(tmp_path / "signs.npz", train_tracks=tracks)
    found = dataset(path, None, (1, 4, 4), validation=0.2)
    assert found.validation is not None
    assert (len(found.train), len(found.validation)) == (48, 12)
    held, learnt = found.validation.read().inputs, found.train.read().inputs
    assert not {one.tobytes() for one in held} & {one.tobytes() for one in learnt}
    assert dataset(path, None, (1, 4, 4)).validation is None
    assert len(dataset(path, None, (1, 4, 4)).train) == 60


def test_tracks_that_are_not_one_for_each_image_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CorruptData, match="train_tracks"):
        dataset(written(tmp_path / "signs.npz", train_tracks=np.arange(59)), None, (1, 4, 4))


def test_the_digits_that_come_with_bench_can_be_held_out_and_drawn_vehicles_cannot() -> None:
    found = dataset("digits", None, (1, 28, 28), validation=0.25)
    assert found.validation is not None
    assert (len(found.train), len(found.validation)) == (3000, 1000)
    with pytest.raises(UsageError, match="none of them can be held out"):
        dataset("vehicles", None, (3, 96, 144), validation=0.25)


def test_data_of_one_picture_a_class_has_nothing_to_hold_out(tmp_path: Path) -> None:
    path = tmp_path / "few.npz"
    images = np.zeros((3, 4, 4), np.uint8)
    np.savez(path, train_images=images, train_labels=np.arange(3), test_images=images, test_labels=np.arange(3))
    with pytest.raises(UsageError, match="nothing to hold out"):
        dataset(path, None, (1, 4, 4), validation=0.2)
