"""Pictures packed as they are in their files."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from PIL import Image

from bench.data import coded, samples
from bench.records import Tensor


def pictures(folder: Path, count: int = 3, ending: str = "png") -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number}.{ending}" for number in range(count)]
    for number, path in enumerate(paths):
        Image.new("RGB", (20 + number, 30), (number, 100, 200)).save(path)
    return paths


def test_a_packed_file_has_each_picture_to_the_byte(tmp_path: Path) -> None:
    paths = pictures(tmp_path / "in")
    coded.write(tmp_path / "pictures", paths)
    data = (tmp_path / "pictures").read_bytes()
    magic, version, count = struct.unpack_from("<4sII", data)
    ends = struct.unpack_from("<3Q", data, 12)
    assert (magic, version, count) == (b"BPIC", 1, 3)
    begins = (12 + 24, *ends)
    assert [data[a:b] for a, b in zip(begins, ends, strict=False)] == [path.read_bytes() for path in paths]
    assert ends[-1] == len(data)


def test_nothing_is_no_file_of_pictures(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="0 pictures"):
        coded.write(tmp_path / "pictures", [])


def test_the_runner_decodes_jpeg_png_and_bmp(tmp_path: Path) -> None:
    for ending, known in {"png": True, "jpg": True, "bmp": True, "webp": False, "gif": False}.items():
        assert coded.is_decoded(pictures(tmp_path, 1, ending)[0]) is known


def test_samples_know_the_files_of_their_pictures(tmp_path: Path) -> None:
    paths = pictures(tmp_path / "in")
    assert samples([Tensor(name="in0", shape=(3, 8, 8))], folder=tmp_path / "in").files == tuple(paths)
    assert samples([Tensor(name="in0", shape=(3, 8, 8))]).files == ()
