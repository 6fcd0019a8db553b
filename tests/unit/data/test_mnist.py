"""MNIST's idx files, as the test writes them from the format's description."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.data.collection import Pictures
from bench.data.readers import detect, mnist, read
from bench.errors import CorruptData, UnknownName, UsageError
from bench.preprocess import DEFAULT

RNG = np.random.default_rng(3)
PIXELS = {"train": RNG.integers(0, 256, (30, 6, 5), np.uint8), "t10k": RNG.integers(0, 256, (10, 6, 5), np.uint8)}
LABELS = {"train": (np.arange(30) % 10).astype(np.uint8), "t10k": np.arange(10, dtype=np.uint8)}


def idx(values: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()


def write(folder: Path, zipped: bool = False, dash: str = "-") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("train", "t10k"):
        for name, values in ((f"images{dash}idx3", PIXELS[part]), (f"labels{dash}idx1", LABELS[part])):
            path = folder / f"{part}-{name}-ubyte{'.gz' * zipped}"
            path.write_bytes(gzip.compress(idx(values)) if zipped else idx(values))
    return folder


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("place", ["", "raw", "MNIST/raw"])
def test_what_was_written_is_read(tmp_path: Path, place: str, zipped: bool) -> None:
    write(tmp_path / place, zipped, "." if place == "raw" else "-")
    assert detect(tmp_path) == "mnist"
    digits = read(tmp_path)
    assert (digits.reader, digits.task) == ("mnist", "classification")
    for items, name in ((digits.train, "train"), (digits.test, "t10k")):
        part = Pictures(items, DEFAULT, (1, 6, 5))
        inputs, answers = part.read()
        assert inputs.shape == (len(part), 1, 6, 5) == (len(PIXELS[name]), 1, 6, 5)
        assert inputs.dtype == np.float32
        np.testing.assert_allclose(inputs[:, 0], PIXELS[name] / 255, rtol=1e-6)
        assert answers.dtype == np.int64
        assert answers.tolist() == LABELS[name].tolist()
    train = Pictures(digits.train, DEFAULT, (1, 6, 5))
    some = train.read(np.array([4, 2, 4]))
    np.testing.assert_array_equal(some.inputs, train.read().inputs[[4, 2, 4]])
    assert some.answers.tolist() == [4, 2, 4]


def test_missing_files_are_named_beside_what_is_there(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").rename(tmp_path / "labels.txt")
    with pytest.raises(UsageError, match=r"t10k-labels-idx1-ubyte missing; found labels\.txt, t10k-images"):
        read(tmp_path)


def test_a_folder_that_fits_no_reader_says_what_each_expects(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"found nothing\nExpected one of:(.|\n)*mnist: train-images"):
        read(tmp_path)
    for name in "abcdefghijk":
        (tmp_path / f"{name}.txt").touch()
    with pytest.raises(UsageError, match=r"found a\.txt, .* and 3 more"):
        read(tmp_path)
    with pytest.raises(UsageError, match="cannot be read as a folder: No such file"):
        read(tmp_path / "none")
    with pytest.raises(UsageError, match="cannot be read as a folder: Not a directory"):
        read(tmp_path / "a.txt")
    with pytest.raises(UnknownName, match="Did you mean mnist"):
        read(tmp_path, "mnits")


def test_more_labels_than_images_and_labels_beyond_nine_are_refused(tmp_path: Path) -> None:
    write(tmp_path)
    labels = tmp_path / "t10k-labels-idx1-ubyte"
    labels.write_bytes(idx(np.zeros(11, np.uint8)))
    with pytest.raises(CorruptData, match=r"10 images and .* 11 labels"):
        read(tmp_path)
    labels.write_bytes(idx(np.full(10, 10, np.uint8)))
    with pytest.raises(CorruptData, match="has the label 10"):
        read(tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data(), st.booleans())
def test_every_cut_idx_file_is_refused(tmp_path: Path, draw: st.DataObject, zipped: bool) -> None:
    whole = idx(PIXELS["t10k"])
    stored = gzip.compress(whole) if zipped else whole
    path = tmp_path / f"images{'.gz' * zipped}"
    for damaged in (stored[: draw.draw(st.integers(0, len(stored) - 1))], stored + draw.draw(st.binary(min_size=1))):
        if zipped and damaged.startswith(stored) and not damaged[len(stored) :].strip(b"\0"):
            continue  # gzip allows zeros behind its end
        path.write_bytes(damaged)
        with pytest.raises(CorruptData, match="images"):
            mnist.read(path, 3)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.integers(0, 15), st.integers(1, 255))
def test_a_header_that_lies_is_refused_without_trusting_it(tmp_path: Path, place: int, flip: int) -> None:
    damaged = bytearray(idx(PIXELS["t10k"]))
    damaged[place] ^= flip
    (tmp_path / "images").write_bytes(damaged)
    with pytest.raises(CorruptData, match="images"):
        mnist.read(tmp_path / "images", 3)
