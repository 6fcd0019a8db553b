"""Picture files, which may be damaged, hidden, turned or of any depth; and folders of pictures without labels."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from bench.data.collection import Collection, Item
from bench.data.readers import folder as folders
from bench.errors import CorruptData

EXPECTED = "picture files, for networks whose answers are compared with the desktop's only; or one such file."
ENDINGS = frozenset((".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".ppm", ".pgm", ".pbm", ".pnm", ".tif", ".tiff"))
_FIX = "Get the file again, or take it out of the data set."
_WORDS = 200
"""Characters of a decoder's own message that are shown."""


def matches(path: Path) -> bool:
    return is_picture(path) or (path.is_dir() and next(pictures(path), None) is not None)


def load(path: Path) -> Collection:
    """The pictures of a folder, or the one picture, all of them to test with."""
    found = sorted(pictures(path)) if path.is_dir() else [path]
    if not found:
        raise folders.unfit(path, "a folder of pictures", ("pictures",), EXPECTED)
    items = [Item(str(file), partial(decoded, file), file=file) for file in found]
    return Collection("pictures", None, (), items, f"{len(items):,} pictures without labels from {path}")


def is_picture(path: Path) -> bool:
    """Whether the name is a picture's; hidden files, as desktops leave them behind, are not."""
    return path.suffix.lower() in ENDINGS and not path.name.startswith(".") and path.is_file()


def pictures(folder: Path) -> Iterator[Path]:
    """The picture files directly in `folder`, in no order."""
    return (path for path in folder.iterdir() if is_picture(path))


def decoded(path: Path) -> Image.Image:
    """The picture in a file as a camera's owner sees it: upright, 8 bits deep, of mode L (grey) or RGB.

    16 bits are scaled to 8, CMYK and palettes become RGB, and an alpha channel is left out, as torchvision's and timm's
    loaders do it. Raises CorruptData, which names the file, for whatever is wrong with it.
    """
    picture = _opened(path)
    try:
        return _eight_bit(picture)
    except ValueError as error:
        raise _unreadable(path, error) from error


def decoded_mask(path: Path) -> NDArray[np.uint8]:
    """The class of each pixel (H, W): a palette's indices, else the values; 0 and 255 are classes 0 and 1.

    JPEG blurs values, so in it the brighter half is class 1. Raises CorruptData.
    """
    mask = _opened(path)
    blurred = path.suffix.lower() in (".jpg", ".jpeg")
    if mask.mode == "P" and not _grey_palette(mask):
        return np.array(mask, np.uint8)
    values = np.asarray(mask if mask.mode in ("1", "I;16", "I;16B", "I") else mask.convert("RGB"))
    if values.ndim == 3:
        spread = int((values.max(axis=2).astype(int) - values.min(axis=2)).max())
        if spread > (16 if blurred else 0):
            raise CorruptData(
                f"{path} has colours, not classes", "Store the number of each pixel's class, in a grey or palette PNG."
            )
        values = values[..., 0]
    if blurred:
        return (values > 127).astype(np.uint8)
    return binary(values, str(path))


def binary(values: NDArray[Any], name: str) -> NDArray[np.uint8]:
    """Classes as they are, but 0 and 255 alone as 0 and 1. Raises CorruptData for what is not 0..255."""
    present = np.unique(values).astype(np.float64)
    if present.size and (present[0] < 0 or present[-1] > 255 or np.any(present != np.trunc(present))):
        raise CorruptData(
            f"{name} has values from {present[0]:g} to {present[-1]:g}; expected whole numbers of classes, 0 to 255",
            "Store the number of each pixel's class.",
        )
    if present.size and present[-1] == 255 and set(present.tolist()) <= {0, 255}:
        values = values == 255
    classes: NDArray[np.uint8] = values.astype(np.uint8)
    return classes


def _opened(path: Path) -> Image.Image:
    """The decoded picture, upright, in its own mode."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large pictures and of odd tags, which are nothing to tell a user
            with Image.open(path) as picture:
                picture.load()
                return ImageOps.exif_transpose(picture)
    except Exception as error:  # decoders raise whatever their parsers meet: SyntaxError, struct.error, KeyError, …
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> CorruptData:
    words = ascii(str(error) or type(error).__name__)[1:-1]
    return CorruptData(f"{path} cannot be read as a picture: {words[:_WORDS]}", _FIX)


def _eight_bit(picture: Image.Image) -> Image.Image:
    match picture.mode:
        case "L" | "RGB":
            return picture
        case "1" | "LA" | "La":
            return picture.convert("L")
        case "I" | "I;16" | "I;16B" | "I;16L" | "I;16N":
            return Image.fromarray(from_sixteen_bits(np.asarray(picture)))
        case "F":
            raise ValueError("its values are floating-point numbers; store 8 or 16 bits")
        case "P" | "PA":
            return picture.convert("RGBA").convert("RGB")
        case _:
            return picture.convert("RGB")


def from_sixteen_bits(values: NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
    """0..65535 as 0..255, to the nearest. Raises ValueError for values beyond."""
    if values.size and (values.min() < 0 or values.max() > 65_535):
        raise ValueError(f"its values are from {values.min()} to {values.max()}; expected 0 to 65535")
    scaled: NDArray[np.uint8] = ((values.astype(np.int64) + 128) // 257).astype(np.uint8)
    return scaled


def _grey_palette(mask: Image.Image) -> bool:
    """Whether a palette's colours are greys, so that they are the values and not the indices."""
    colours = np.array(mask.getpalette("RGB") or [0], np.uint8)
    used = colours.reshape(-1, 3)[np.unique(np.asarray(mask))] if colours.size % 3 == 0 else colours[None]
    return bool((used == used[:, :1]).all())
