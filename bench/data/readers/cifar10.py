"""CIFAR-10, its binary version and its python version. Format: https://www.cs.toronto.edu/~kriz/cifar.html"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data.collection import Collection, Item, from_pixels
from bench.data.readers import folder as folders
from bench.errors import CorruptData

EXPECTED = (
    "data_batch_1.bin to data_batch_5.bin and test_batch.bin (the binary version), or the same without .bin (the "
    "python version), in the folder itself, in cifar-10-batches-bin/ or in cifar-10-batches-py/."
)
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_PLACES = ("", "cifar-10-batches-bin", "cifar-10-batches-py")
_BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
_SHAPE = (3, 32, 32)
_PIXELS = 3 * 32 * 32
_FIX = "Get the file again; it is damaged or incomplete."

Images = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""Pixels (N, 3072) and classes (N,)."""


def matches(folder: Path) -> bool:
    return any(_found(folder / place, ending) for place in _PLACES for ending in _READ)


def load(folder: Path) -> Collection:
    """The photographs of `folder`. Raises UsageError for missing files and CorruptData for damaged ones."""
    for place in _PLACES:
        for ending, read in _READ.items():
            found = _found(folder / place, ending)
            if missing := [f"{name}{ending}" for name in _BATCHES if name not in found]:
                if found:
                    raise folders.unfit(folder / place, "CIFAR-10", missing, EXPECTED)
                continue
            *train, test = (read(found[name]) for name in _BATCHES)
            source = f"{len(test[1]):,} test images of CIFAR-10 from {folder}"
            parts = (_part(train, folder), _part([test], folder))
            return Collection("cifar10", "classification", *parts, source, CLASSES)
    raise folders.unfit(folder, "CIFAR-10", [f"{name}.bin" for name in _BATCHES], EXPECTED)


def _found(folder: Path, ending: str) -> dict[str, Path]:
    paths = {name: folder / f"{name}{ending}" for name in _BATCHES}
    return {name: path for name, path in paths.items() if path.is_file()}


def _part(batches: Sequence[Images], folder: Path) -> list[Item]:
    pixels, classes = zip(*batches, strict=True)
    planes = np.concatenate(pixels).reshape(-1, *_SHAPE)
    return from_pixels(np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), np.concatenate(classes), folder)


def _read_binary(path: Path) -> Images:
    """Records of a class and the pixels of an image, plane by plane."""
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise CorruptData(f"{path} cannot be read: {error}", _FIX) from error
    if len(data) == 0 or len(data) % (1 + _PIXELS):
        raise CorruptData(f"{path} has {len(data):,} bytes, which are not whole records of {1 + _PIXELS:,}", _FIX)
    records = data.reshape(-1, 1 + _PIXELS)
    return records[:, 1:], _checked(path, records[:, 0])


def _checked(path: Path, classes: NDArray[Any]) -> NDArray[np.uint8]:
    if classes.min() < 0 or classes.max() >= len(CLASSES):
        raise CorruptData(f"{path} has a class beyond 0 to {len(CLASSES) - 1}", _FIX)
    return classes.astype(np.uint8)


class _Array:
    """Stands for the numpy array in a pickle, and only takes note of what it should be."""

    shape: tuple[int, ...] = ()
    raw: object = None

    def __init__(self, *arguments: object) -> None:
        """A pickle names a class and a shape here that say nothing yet."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, self.shape, _, is_fortran, self.raw = state
        if is_fortran:
            raise pickle.UnpicklingError("it has an array column by column")


class _Type:
    """Stands for the type of an array, whose bytes can be of one only."""

    def __init__(self, *arguments: object) -> None: ...

    def __setstate__(self, state: object) -> None: ...


class _Pickle(pickle.Unpickler):
    """Makes plain Python values and the classes above, nothing else: a pickle could otherwise name any program."""

    def find_class(self, module: str, name: str) -> Any:
        match module, name:
            case ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") | ("numpy", "ndarray"):
                return _Array
            case "numpy", "dtype":
                return _Type
            case "_codecs", "encode":  # how Python 3 writes bytes for Python 2
                return lambda text, _: text.encode("latin1")
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no batch of CIFAR-10 needs")


def _read_python(path: Path) -> Images:
    """A pickled dictionary with `data`, an array (N, 3072), and `labels`, a list."""
    try:
        with path.open("rb") as file:
            batch = _Pickle(file, encoding="bytes").load()
            fields = {key.decode() if isinstance(key, bytes) else key: value for key, value in batch.items()}
            data, labels = fields["data"], np.array(fields["labels"])
            pixels = np.frombuffer(data.raw, np.uint8).reshape(data.shape)
    except Exception as error:  # the bytes of a damaged pickle are a program: it can fail in any way
        raise CorruptData(
            f"{path} is not a batch of CIFAR-10's python version: {type(error).__name__}: {error}",
            "Get the file again, or take the binary version.",
        ) from error
    whole = pixels.shape[1:] == (_PIXELS,) and labels.shape == pixels.shape[:1] and labels.size > 0
    if not whole or labels.dtype.kind != "i":
        raise CorruptData(
            f"{path} holds {pixels.shape} bytes under data and {labels.shape} labels; expected N×{_PIXELS:,} and N",
            _FIX,
        )
    return pixels, _checked(path, labels)


_READ: dict[str, Callable[[Path], Images]] = {".bin": _read_binary, "": _read_python}
