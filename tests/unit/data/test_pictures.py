"""Picture files of every kind that people have, and damaged ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from bench.data.readers import detect, read
from bench.data.readers.pictures import decoded
from bench.errors import CorruptData, UsageError

GREY = np.arange(0, 240, 20, dtype=np.uint8).reshape(3, 4)
COLOURS = np.stack((GREY, GREY[::-1], 255 - GREY), axis=2)


def pixels(path: Path) -> np.ndarray:
    return np.asarray(decoded(path))


@pytest.mark.parametrize("ending", [".png", ".bmp", ".ppm", ".tiff", ".webp"])
def test_colours_are_read_as_they_were_written(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    Image.fromarray(COLOURS).save(path, **({"lossless": True} if ending == ".webp" else {}))
    np.testing.assert_array_equal(pixels(path), COLOURS)


def test_grey_stays_grey(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    np.testing.assert_array_equal(pixels(tmp_path / "a.png"), GREY)
    Image.fromarray(GREY > 100).save(tmp_path / "b.png")
    np.testing.assert_array_equal(pixels(tmp_path / "b.png"), np.where(GREY > 100, 255, 0))


@pytest.mark.parametrize("ending", [".png", ".tif", ".pgm"])
def test_sixteen_bits_are_scaled_and_not_cut_off(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    Image.fromarray(GREY.astype(np.uint16) * 257).save(path)
    np.testing.assert_array_equal(pixels(path), GREY)


def test_transparency_is_left_out(tmp_path: Path) -> None:
    alpha = np.where(GREY > 100, 255, 0).astype(np.uint8)
    Image.fromarray(np.dstack((COLOURS, alpha))).save(tmp_path / "rgba.png")
    np.testing.assert_array_equal(pixels(tmp_path / "rgba.png"), COLOURS)
    Image.fromarray(np.dstack((GREY, alpha))).save(tmp_path / "la.png")
    np.testing.assert_array_equal(pixels(tmp_path / "la.png"), GREY)
    palette = Image.fromarray(GREY // 20).convert("P")
    palette.putpalette([value for k in range(12) for value in (20 * k, 0, 255)])
    palette.save(tmp_path / "p.png", transparency=bytes(range(12)))
    assert pixels(tmp_path / "p.png")[..., 0].tolist() == GREY.tolist()


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    Image.new("RGB", (32, 32), (200, 40, 90)).convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    np.testing.assert_allclose(pixels(tmp_path / "a.jpg").reshape(-1, 3).mean(axis=0), (200, 40, 90), atol=4)


@pytest.mark.parametrize(("orientation", "turned"), [(1, 0), (6, 3), (8, 1), (3, 2)])
def test_a_turned_photograph_is_set_upright(tmp_path: Path, orientation: int, turned: int) -> None:
    """Orientation 6: the camera was turned, the file's rows run down the picture's right side."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(COLOURS).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(pixels(tmp_path / "a.png"), np.rot90(COLOURS, turned))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(st.sampled_from([".png", ".jpg", ".gif", ".bmp", ".webp", ".tif", ".ppm"]), st.data())
def test_damaged_files_are_an_error_that_names_them_or_a_picture(
    tmp_path: Path, ending: str, draw: st.DataObject
) -> None:
    path = tmp_path / f"broken{ending}"
    Image.fromarray(np.tile(COLOURS, (8, 8, 1))).save(path)
    whole = bytearray(path.read_bytes())
    for _ in range(draw.draw(st.integers(0, 4))):
        whole[draw.draw(st.integers(0, len(whole) - 1))] = draw.draw(st.integers(0, 255))
    path.write_bytes(whole[: draw.draw(st.integers(0, len(whole)))])
    words = ""
    try:
        assert decoded(path).mode in ("L", "RGB")
    except CorruptData as error:
        words = error.what
    assert not words or f"broken{ending} cannot be read as a picture" in words
    assert words.isprintable()
    assert len(words) < 300 + len(str(path))


def test_a_cut_photograph_is_damaged_and_not_half_grey(tmp_path: Path) -> None:
    path = tmp_path / "cut.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(CorruptData, match=r"cut\.jpg cannot be read as a picture: .*truncated"):
        decoded(path)


def test_pictures_without_labels_are_all_to_test_with(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "._a.jpg", ".DS_Store", "notes.txt"):
        Image.fromarray(COLOURS).save(tmp_path / name, "PNG")
    assert detect(tmp_path) == detect(tmp_path / "b.png") == "pictures"
    found = read(tmp_path)
    assert (found.task, list(found.train)) == (None, [])
    assert [Path(item.name).name for item in found.test] == ["a.JPG", "b.png"]
    with pytest.raises(UsageError, match=r"holds no data that bench can read|cannot be read as a folder"):
        detect(tmp_path / "notes.txt")
