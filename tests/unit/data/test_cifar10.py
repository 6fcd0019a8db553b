"""CIFAR-10's two versions, as the test writes them from their description."""

from __future__ import annotations

import contextlib
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.data.collection import Pictures
from bench.data.readers import cifar10, detect, read
from bench.errors import CorruptData, UsageError
from bench.preprocess import DEFAULT

BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
SHAPE = (3, 32, 32)
RNG = np.random.default_rng(5)
PIXELS = {name: RNG.integers(0, 256, (4, 3, 32, 32), np.uint8) for name in BATCHES}
LABELS = {name: RNG.integers(0, 10, 4) for name in BATCHES}


def binary(name: str) -> bytes:
    return b"".join(bytes([label]) + image.tobytes() for label, image in zip(LABELS[name], PIXELS[name], strict=True))


def pickled(name: str, **changes: Any) -> bytes:
    """As the published files are: protocol 2, names as bytes."""
    batch = {"batch_label": name.encode(), "labels": LABELS[name].tolist(), "data": PIXELS[name].reshape(-1, 3072)}
    return pickle.dumps({key.encode(): value for key, value in (batch | changes).items()}, protocol=2)


def write(folder: Path, version: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in BATCHES:
        (folder / f"{name}{version}").write_bytes(binary(name) if version else pickled(name))
    return folder


@pytest.mark.parametrize(
    ("version", "place"), [(".bin", ""), (".bin", "cifar-10-batches-bin"), ("", "cifar-10-batches-py")]
)
def test_what_was_written_is_read(tmp_path: Path, version: str, place: str) -> None:
    write(tmp_path / place, version)
    (tmp_path / place / "readme.html").touch()
    assert detect(tmp_path) == "cifar10"
    found = read(tmp_path)
    assert (found.reader, found.task, len(found.train), len(found.test)) == ("cifar10", "classification", 20, 4)
    assert found.classes is not None
    assert found.classes[9] == "truck"
    inputs, answers = Pictures(found.train, DEFAULT, SHAPE).read(np.array([0, 5, 19]))
    assert inputs.dtype == np.float32
    expected = [PIXELS["data_batch_1"][0], PIXELS["data_batch_2"][1], PIXELS["data_batch_5"][3]]
    np.testing.assert_allclose(inputs, np.stack(expected) / 255, rtol=1e-6)
    assert answers.tolist() == [LABELS["data_batch_1"][0], LABELS["data_batch_2"][1], LABELS["data_batch_5"][3]]
    assert Pictures(found.test, DEFAULT, SHAPE).read().answers.tolist() == LABELS["test_batch"].tolist()


def test_pickles_of_python_2_are_read(tmp_path: Path) -> None:
    """The published files name numpy's old place, and hold bytes where Python 3 would write text."""
    image = bytes(range(256)) * 12
    batch = (
        b"\x80\x02}(U\x06labels]K\x07aU\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x01M\x00\x0c\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff"
        b"K\x00tb\x89T\x00\x0c\x00\x00" + image + b"tbu."
    )
    for name in BATCHES:
        (tmp_path / name).write_bytes(batch)
    inputs, answers = Pictures(read(tmp_path).test, DEFAULT, SHAPE).read()
    np.testing.assert_allclose(inputs.ravel() * 255, list(image), rtol=1e-6)
    assert answers.tolist() == [7]


def test_missing_batches_are_named(tmp_path: Path) -> None:
    write(tmp_path, ".bin")
    (tmp_path / "data_batch_3.bin").unlink()
    empty = tmp_path / "none"
    empty.mkdir()
    with pytest.raises(UsageError, match=r"CIFAR-10: data_batch_3\.bin missing; found data_batch_1\.bin, "):
        read(tmp_path)
    with pytest.raises(UsageError, match=r"data_batch_1\.bin, .* missing; found nothing"):
        cifar10.load(empty)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(st.integers(0, 3072), st.booleans())
def test_broken_binary_records_are_refused(tmp_path: Path, cut: int, longer: bool) -> None:
    write(tmp_path, ".bin")
    whole = binary("data_batch_2")
    (tmp_path / "data_batch_2.bin").write_bytes(
        whole + bytes(1 + cut % 3072) if longer else whole[: len(whole) - 1 - cut % 3072]
    )
    with pytest.raises(CorruptData, match=r"data_batch_2\.bin has .* not whole records"):
        read(tmp_path)


def test_classes_beyond_nine_are_refused(tmp_path: Path) -> None:
    write(tmp_path, ".bin")
    (tmp_path / "test_batch.bin").write_bytes(b"\x0a" + bytes(3072))
    with pytest.raises(CorruptData, match=r"test_batch\.bin has a class beyond 0 to 9"):
        read(tmp_path)


class _Program:
    def __reduce__(self) -> Any:
        return os.mkdir, ("made by a pickle",)


@pytest.mark.parametrize(
    "changes",
    [
        {"data": _Program()},
        {"labels": [1, 2, 3]},
        {"labels": [0, 1, 2, 10]},
        {"labels": ["a", "b", "c", "d"]},
        {"data": np.zeros((4, 3071), np.uint8)},
        {"data": np.zeros((4, 3072), np.float32)},
        {"data": np.asfortranarray(np.zeros((4, 3072), np.uint8))},
        {"data": b"nothing"},
        {"data": np.array([None] * 4)},
    ],
)
def test_pickles_of_anything_else_are_refused(
    tmp_path: Path, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "")
    (tmp_path / "data_batch_4").write_bytes(pickled("data_batch_4", **changes))
    with pytest.raises(CorruptData, match="data_batch_4"):
        read(tmp_path)
    assert not (tmp_path / "made by a pickle").exists()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(st.data())
def test_damaged_pickles_end_in_an_error_or_in_images(tmp_path: Path, draw: st.DataObject) -> None:
    whole = bytearray(pickled("test_batch"))
    for _ in range(draw.draw(st.integers(1, 4))):
        # Where the instructions are, not the pixels.
        place = draw.draw(st.one_of(st.integers(0, 250), st.integers(len(whole) - 80, len(whole) - 1)))
        whole[place] = draw.draw(st.integers(0, 255))
    del whole[draw.draw(st.integers(1, len(whole))) :]
    write(tmp_path, "")
    (tmp_path / "test_batch").write_bytes(whole)
    with contextlib.suppress(CorruptData):
        inputs, answers = Pictures(read(tmp_path).test, DEFAULT, SHAPE).read()
        assert inputs.shape == (len(answers), 3, 32, 32)
