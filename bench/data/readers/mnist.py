"""MNIST in idx files, plain or gzipped, and what else comes in the same form (Fashion-MNIST).

Format: http://yann.lecun.com/exdb/mnist/, "The IDX file format".
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from bench.data.collection import Collection, Item, from_pixels
from bench.data.readers import folder as folders
from bench.errors import CorruptData

EXPECTED = (
    "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, "
    "each with or without .gz, in the folder itself, in raw/ or in MNIST/raw/."
)
CLASSES = 10
_PLACES = ("", "raw", "MNIST/raw", "FashionMNIST/raw")
_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_MOST = 2**31
"""Bytes of the largest file that is read."""
_PIECE = 2**20
_FIX = "Get the file again; it is damaged or incomplete."


def matches(folder: Path) -> bool:
    return any(_find(folder / place, name) for place in _PLACES for name in _FILES)


def load(folder: Path) -> Collection:
    """The digits of `folder`. Raises UsageError for missing files and CorruptData for damaged ones."""
    paths = {
        name: found for name in _FILES for place in _PLACES if (found := _find(folder / place, name))
    }  # the last place wins, and they are the same digits
    if missing := [name for name in _FILES if name not in paths]:
        raise folders.unfit(folder, "MNIST in idx files", missing, EXPECTED)
    train, test = (_part(paths[images], paths[labels]) for images, labels in (_FILES[:2], _FILES[2:]))
    source = f"{len(test):,} test images in MNIST's form from {folder}"
    return Collection("mnist", "classification", train, test, source)


def _find(folder: Path, name: str) -> Path | None:
    """The file of that name; some copies write a dot for the last dash, some are gzipped."""
    spellings = (name, name.replace("-idx", ".idx"))
    candidates = (folder / f"{spelling}{ending}" for spelling in spellings for ending in ("", ".gz"))
    return next((path for path in candidates if path.is_file()), None)


def _part(images: Path, labels: Path) -> list[Item]:
    pixels, classes = read(images, 3), read(labels, 1)
    if len(pixels) != len(classes):
        raise CorruptData(f"{images} has {len(pixels):,} images and {labels} {len(classes):,} labels", _FIX)
    if classes.max() >= CLASSES:
        raise CorruptData(f"{labels} has the label {classes.max()}, where 0 to {CLASSES - 1} are meant", _FIX)
    return from_pixels(pixels, classes, images)


def read(path: Path, axes: int) -> NDArray[np.uint8]:
    """The bytes of an idx file of `axes` axes, in its shape. Raises CorruptData unless they are exactly that."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return _read(file, path, axes)  # type: ignore[arg-type]  # GzipFile is a BinaryIO in all but name
    except (OSError, EOFError, zlib.error) as error:
        raise CorruptData(f"{path} cannot be read: {error}", _FIX) from error


def _read(file: BinaryIO, path: Path, axes: int) -> NDArray[np.uint8]:
    header = file.read(4 + 4 * axes)
    if header[:4] != bytes((0, 0, 8, axes)) or len(header) < 4 + 4 * axes:
        raise CorruptData(f"{path} is not an idx file of bytes with {axes} axes", _FIX)
    shape = struct.unpack(f">{axes}I", header[4:])
    size = math.prod(shape)
    if not 0 < size <= _MOST:
        raise CorruptData(f"{path} says it has the impossible shape {shape}", _FIX)
    # Piece by piece, since one `read(size)` takes that much memory even when the header lies.
    data = bytearray()
    while len(data) <= size and (piece := file.read(min(_PIECE, size + 1 - len(data)))):
        data += piece
    if len(data) != size:
        found = f"only {len(data):,}" if len(data) < size else "more"
        raise CorruptData(f"{path} has {found} bytes where its header {shape} asks for {size:,}", _FIX)
    return np.frombuffer(data, np.uint8).reshape(shape)
