"""How a picture becomes an input: against torchvision's own rules, and against what must hold for any picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from bench.data import Preprocess
from bench.errors import UsageError
from bench.preprocess import DEFAULT

IMAGENET = Preprocess(size=256, mean=(0.485, 0.456, 0.406), deviation=(0.229, 0.224, 0.225))
SIDES = st.integers(1, 90)


def noise(width: int, height: int, mode: str = "RGB", seed: int = 0) -> Image.Image:
    shape = (height, width, 3) if mode == "RGB" else (height, width)
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8))


@settings(deadline=None)
@given(SIDES, SIDES, st.integers(1, 40), st.integers(1, 40), st.sampled_from((1, 3)))
def test_any_picture_becomes_any_input(width: int, height: int, rows: int, columns: int, channels: int) -> None:
    found = DEFAULT.apply(noise(width, height), (channels, rows, columns))
    assert found.shape == (channels, rows, columns)
    assert found.dtype == np.float32
    assert 0 <= found.min() <= found.max() <= 1


@settings(deadline=None)
@given(SIDES, SIDES, st.integers(1, 40), st.integers(1, 40))
def test_masks_have_the_geometry_of_their_pictures(width: int, height: int, rows: int, columns: int) -> None:
    picture = noise(width, height, "L")
    how = Preprocess(filter="nearest")
    mask = how.apply_mask(np.asarray(picture), (rows, columns))
    np.testing.assert_array_equal(mask, np.round(how.apply(picture, (1, rows, columns))[0] * 255))


@pytest.mark.parametrize(("width", "height"), [(300, 200), (200, 300), (333, 500), (256, 256), (1000, 257)])
def test_resize_and_centre_crop_are_torchvisions(width: int, height: int) -> None:
    """Resize(256), CenterCrop(224), ToTensor, Normalize, as torchvision.transforms v1 computes them on PIL images."""
    picture = noise(width, height)
    short, long = min(width, height), max(width, height)
    scaled = int(256 * long / short)
    size = (256, scaled) if width <= height else (scaled, 256)
    resized = picture.resize(size, Image.Resampling.BILINEAR)
    left, top = round((resized.width - 224) / 2.0), round((resized.height - 224) / 2.0)
    pixels = np.asarray(resized.crop((left, top, left + 224, top + 224)), np.float32) / np.float32(255)
    mean, deviation = (np.array(values, np.float32) for values in (IMAGENET.mean, IMAGENET.deviation))
    expected = ((pixels - mean) / deviation).transpose(2, 0, 1)
    np.testing.assert_allclose(IMAGENET.apply(picture, (3, 224, 224)), expected, atol=2e-6)


def test_without_a_size_the_input_is_covered_and_nothing_more_is_cut() -> None:
    picture = Image.new("RGB", (100, 50))
    picture.paste((255, 0, 0), (25, 0, 75, 50))
    found = DEFAULT.apply(picture, (3, 20, 20))
    assert found[0, :, 1:-1].min() == 1
    assert found[1:].max() == 0


@pytest.mark.parametrize(("channels", "expected"), [("rgb", (1, 0.4, 0)), ("bgr", (0, 0.4, 1)), (None, (1, 0.4, 0))])
def test_channels_in_their_order(channels: str | None, expected: tuple[float, ...]) -> None:
    how = Preprocess(channels=channels)  # type: ignore[arg-type]
    found = how.apply(Image.new("RGB", (4, 4), (255, 102, 0)), (3, 4, 4))
    np.testing.assert_allclose(found[:, 0, 0], expected, atol=1e-6)


def test_means_are_in_the_order_of_the_channels() -> None:
    how = Preprocess(channels="bgr", scale=1, mean=(10, 20, 30), deviation=(1, 2, 4))
    found = how.apply(Image.new("RGB", (1, 1), (50, 60, 70)), (3, 1, 1))
    assert found.ravel().tolist() == [60, 20, 5]
    assert how.range == (-10, 245)


def test_grey_is_the_luma_of_colours() -> None:
    found = DEFAULT.apply(Image.new("RGB", (2, 2), (255, 0, 0)), (1, 2, 2))
    assert found == pytest.approx(76 / 255)
    repeated = DEFAULT.apply(Image.new("L", (2, 2), 51), (3, 2, 2))
    assert repeated == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("how", "shape", "words"),
    [
        (Preprocess(size=100), (3, 224, 224), r"100×150 pixels after resizing .*takes 224×224"),
        (Preprocess(resize="none", crop=False), (3, 80, 80), "100×150 pixels after resizing"),
        (Preprocess(channels="grey"), (3, 8, 8), r"1 channel \(grey\), and the network takes 3"),
        (DEFAULT, (4, 8, 8), "3 channels .* takes 4"),
        (IMAGENET, (1, 8, 8), "takes 1"),
    ],
)
def test_what_cannot_become_the_input_is_refused(how: Preprocess, shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        how.apply(noise(150, 100), shape)


def test_a_very_narrow_picture_is_refused_before_it_fills_the_memory() -> None:
    with pytest.raises(UsageError, match="would be 224×13440000 after resizing"):
        DEFAULT.apply(Image.new("RGB", (60_000, 1)), (3, 224, 224))


@pytest.mark.parametrize(
    "fields",
    [
        {"resize": "none", "size": 3},
        {"size": (2, 3)},
        {"mean": (1.0, 2.0)},
        {"deviation": (0.0,)},
        {"scale": float("inf")},
        {"scale": 0.0},
        {"size": 0},
        {"channels": "rgba"},
        {"channels": "grey", "mean": (0.1, 0.2, 0.3)},
        {"sise": 3},
    ],
)
def test_contradictions_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Preprocess.model_validate(fields)


def test_it_survives_being_stored_and_is_told_in_a_line() -> None:
    assert Preprocess.model_validate_json(IMAGENET.model_dump_json()) == IMAGENET
    assert IMAGENET.text == (
        "shorter side to 256 (bilinear), centre crop, ÷ 255, − (0.485, 0.456, 0.406), ÷ (0.229, 0.224, 0.225)"
    )
    assert DEFAULT.text == "shorter side to the network's size (bilinear), centre crop, ÷ 255"
    exact = Preprocess(resize="exact", size=(20, 30), crop=False, channels="bgr", scale=1, mean=(127.5,))
    assert exact.text == "resized to 20×30 (bilinear), bgr, − 127.5"


def test_instructions_have_every_number_so_that_it_is_read_back_exactly() -> None:
    plan = Preprocess(size=(70, 90), resize="exact", filter="bicubic", mean=(0.485, 1 / 3, 1e-5), deviation=(0.229,))
    words = dict(word.split("=") for word in plan.instructions((3, 16, 24)).split(" "))
    assert list(words) == ["to", "resize", "size", "filter", "crop", "channels", "scale", "mean", "deviation"]
    assert (words["to"], words["size"], words["channels"], words["crop"]) == ("3x16x24", "70x90", "rgb", "yes")
    assert tuple(map(float, words["mean"].split(","))) == plan.mean
    assert float(words["scale"]) == plan.scale
    assert "channels=grey" in Preprocess().instructions((1, 8, 8))
