"""Arrays of numpy: images with labels or masks, or the very inputs of a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.data.collection import Collection, Item, split
from bench.data.readers import parts
from bench.data.readers.pictures import binary, from_sixteen_bits
from bench.errors import CorruptData, UsageError
from bench.preprocess import Preprocess
from bench.records import Tensor

EXPECTED = (
    "an .npz file with images, N×height×width(×channels) or N×channels×height×width, of bytes or of floats that are "
    "inputs already, and labels (N) or masks (N×height×width) or neither; or train_images, train_labels, test_images, "
    "test_labels (also x_train, y_train, …), and train_tracks or train_groups (N): which show the same thing; or "
    "one array for each input of a network, by its name."
)
_IMAGES = ("images", "x", "inputs")
_ANSWERS = ("labels", "masks", "y")
_GROUPS = ("tracks", "groups")
_FIX = f"Write the file again. Expected {EXPECTED}"


@dataclass(frozen=True, eq=False)
class Ready:
    """Inputs of a network as they are: for each of its inputs (N, *shape), with classes (N,) or none."""

    arrays: tuple[NDArray[np.float32] | NDArray[np.int32], ...]
    labels: NDArray[np.int64] | None
    path: Path


def matches(path: Path) -> bool:
    return path.suffix.lower() == ".npz" and path.is_file()


def load(path: Path) -> Collection:
    """The images of `path`. Without arrays for both parts a fixed, class-balanced fifth is to test with; all of it
    where the file's name says so. Raises UsageError for a file without images, CorruptData for arrays that do not fit
    together."""
    with _opened(path) as arrays:
        train, test = (_part(path, arrays, names) for names in (parts.TRAIN, parts.TEST))
        whole = None if train or test else _part(path, arrays, ("",))
        found = ", ".join(arrays)
    named = [part for part in (train, test, whole) if part]
    if not named:
        raise UsageError(f"{path} holds no images; found {found or 'nothing'}", f"Expected {EXPECTED}")
    task, ready = named[-1].task, named[-1].ready
    if any((part.task, part.ready) != (task, ready) for part in named):
        raise CorruptData(f"{path} has arrays of one kind to train on and of another to test with", _FIX)
    first, second = (part.items if part else [] for part in (train or whole, test))
    learnt, tested, held = parts.divided(path, first, second, _to_test) if task else ([], second or first, "")
    return Collection("npz", task, learnt, tested, f"{len(tested):,} images{held} of {path}", ready=ready)


def inputs(path: Path, wanted: Sequence[Tensor]) -> Ready | None:
    """The arrays for the inputs `wanted`, by their names; of a network's only input that is not an image also by the
    names of images. None where there are none. Raises CorruptData where they do not fit."""
    with _opened(path) as arrays:
        names = [one.name for one in wanted]
        if len(wanted) == 1 and len(wanted[0].shape) != 3:
            names = [name for name in (*names, *_IMAGES) if name in arrays][:1]
        if not names or not all(name in arrays for name in names):
            return None
        found = [_fitting(path, name, arrays[name], one) for name, one in zip(names, wanted, strict=True)]
        counts = {len(array) for array in found}
        labels = next((arrays[name] for name in ("labels", "y") if name in arrays), None)
    if len(counts) > 1 or counts == {0}:
        raise CorruptData(f"{path} has {' and '.join(map(str, sorted(counts)))} samples in its arrays", _FIX)
    return Ready(tuple(found), None if labels is None else _classes(path, "labels", labels, len(found[0])), path)


def check_range(values: NDArray[np.float32], preprocess: Preprocess, path: Path | str) -> None:
    """Raises UsageError where `values`, which are taken as inputs as they are, cannot have come from `preprocess`."""
    low, high = preprocess.range
    least, most, slack = float(values.min()), float(values.max()), 1e-3 * (high - low)
    if least < low - slack or most > high + slack or (low < -slack and least >= 0):
        raise UsageError(
            f"{path} holds floats from {least:.3g} to {most:.3g}, and the network takes {low:.3g} to {high:.3g} "
            f"({preprocess.text})",
            "Store the images as uint8, or normalise the floats as the network does.",
        )


@dataclass(frozen=True, eq=False)
class _Part:
    items: list[Item]
    task: Literal["classification", "segmentation"] | None
    ready: bool


def _to_test(items: list[Item]) -> NDArray[np.bool_]:
    return split([item.answer if isinstance(item.answer, int) else None for item in items])


class _Arrays(Mapping[str, NDArray[Any]]):
    """The arrays of a file, each read when it is asked for. Raises CorruptData for a damaged one."""

    def __init__(self, path: Path, file: Any) -> None:
        self._path, self._file = path, file

    def __getitem__(self, name: str) -> NDArray[Any]:
        with _damaged(self._path):
            return np.asarray(self._file[name])

    def __contains__(self, name: object) -> bool:
        return name in self._file.files

    def __iter__(self) -> Iterator[str]:
        return iter(self._file.files)

    def __len__(self) -> int:
        return len(self._file.files)


@contextmanager
def _opened(path: Path) -> Iterator[_Arrays]:
    with _damaged(path):
        handle = path.open("rb")
    with handle:
        with _damaged(path):
            file = np.load(handle, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise CorruptData(f"{path} is a single array, not an .npz file", _FIX)
        yield _Arrays(path, file)


@contextmanager
def _damaged(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # zipfile and numpy's parsers raise whatever they meet in a damaged file
        words = ascii(str(error) or type(error).__name__)[1:-1]
        raise CorruptData(f"{path} cannot be read as arrays: {words[:200]}", _FIX) from error


def _part(path: Path, arrays: Mapping[str, NDArray[Any]], names: Sequence[str]) -> _Part | None:
    """The images of a part, e.g. `train_images` or `x_train`, and their answers; None where there are none."""

    def find(kinds: Sequence[str]) -> str | None:
        spellings = (s.strip("_") for kind in kinds for name in names for s in (f"{name}_{kind}", f"{kind}_{name}"))
        return next((spelling for spelling in spellings if spelling in arrays), None)

    key = find(_IMAGES)
    if key is None:
        return None
    where = f"{key} of {path}"
    images = _images(where, arrays[key])
    ready = images.dtype == np.float32
    pictures = [partial(_float, image) if ready else partial(_picture, image) for image in images]
    answers = find(_ANSWERS)
    task: Literal["classification", "segmentation"] | None = None
    given: Sequence[int | Callable[[], NDArray[Any]] | None] = [None] * len(images)
    if answers is not None:
        values = arrays[answers]
        if values.ndim <= 2:
            task, given = "classification", _classes(path, answers, values, len(images)).tolist()
        else:
            masks = _masks(path, answers, values, images.shape[:3])
            task, given = "segmentation", [partial(np.asarray, mask) for mask in masks]
    groups = find(_GROUPS)
    shown = [None] * len(images) if groups is None else _groups(path, groups, arrays[groups], len(images))
    items = [
        Item(f"image {index} ({where})", picture, answer, group=group)
        for index, (picture, answer, group) in enumerate(zip(pictures, given, shown, strict=True))
    ]
    return _Part(items, task, ready)


def _images(where: str, values: NDArray[Any]) -> NDArray[np.uint8] | NDArray[np.float32]:
    """Images (N, H, W, C), C from 1 to 4. Raises CorruptData."""
    if values.ndim == 3:
        values = values[..., None]
    elif values.ndim == 4 and values.shape[3] not in (1, 3, 4) and values.shape[1] in (1, 3, 4):
        values = values.transpose(0, 2, 3, 1)
    if values.ndim != 4 or values.shape[3] not in (1, 3, 4) or 0 in values.shape:
        raise CorruptData(f"{where} has the shape {values.shape}, which is not one of images", _FIX)
    if values.dtype.kind == "f":
        return values.astype(np.float32)
    if values.dtype.kind not in "iub":
        raise CorruptData(f"{where} has values of type {values.dtype}; expected uint8 or floats", _FIX)
    if values.dtype == np.uint16 and values.max() > 255:
        return from_sixteen_bits(values)
    if values.min() < 0 or values.max() > 255:
        raise CorruptData(f"{where} has values from {values.min()} to {values.max()}; expected 0 to 255", _FIX)
    return values.astype(np.uint8) * (255 if values.dtype == np.bool_ else 1)


def _float(image: NDArray[np.float32]) -> NDArray[np.float32]:
    return image.transpose(2, 0, 1)


def _picture(image: NDArray[np.uint8]) -> Image.Image:
    """Grey or RGB; an alpha channel is left out."""
    return Image.fromarray(np.ascontiguousarray(image[..., 0] if image.shape[2] == 1 else image[..., :3]))


def _classes(path: Path, key: str, values: NDArray[Any], count: int) -> NDArray[np.int64]:
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.shape != (count,) or values.dtype.kind not in "iu":
        raise CorruptData(
            f"{key} of {path} has the shape {values.shape} and the type {values.dtype}; expected {count:,} whole "
            "numbers of classes, one for each image",
            _FIX,
        )
    return values.astype(np.int64)


def _groups(path: Path, key: str, values: NDArray[Any], count: int) -> list[str]:
    if values.shape != (count,) or values.dtype.kind not in "iufU":
        raise CorruptData(
            f"{key} of {path} has the shape {values.shape} and the type {values.dtype}; expected {count:,} numbers "
            "or words, one for each image",
            _FIX,
        )
    return [str(value) for value in values.tolist()]


def _masks(path: Path, key: str, values: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    for axis in (1, 3):
        if values.ndim == 4 and values.shape[axis] == 1:
            values = values.squeeze(axis)
    if values.shape != shape:
        raise CorruptData(f"{key} of {path} has the shape {values.shape}, where its images have {shape}", _FIX)
    return binary(values, f"{key} of {path}")


def _fitting(path: Path, name: str, values: NDArray[Any], wanted: Tensor) -> NDArray[np.float32] | NDArray[np.int32]:
    """An array as the network's input. Raises CorruptData where shape or type cannot be it."""
    if values.shape[1:] != wanted.shape or values.ndim == 0:
        takes = "×".join(map(str, ("N", *wanted.shape)))
        raise CorruptData(f"{name} of {path} has the shape {values.shape}, and the network takes {takes}", _FIX)
    if wanted.dtype == "int32":
        if values.dtype.kind not in "iu" or (values.size and np.abs(values.astype(np.float64)).max() >= 2**31):
            raise CorruptData(f"{name} of {path} has values of type {values.dtype}; expected int32", _FIX)
        return values.astype(np.int32)
    if values.dtype.kind not in "fiu" or not np.isfinite(values).all():
        raise CorruptData(f"{name} of {path} has values that are not finite numbers", _FIX)
    return values.astype(np.float32)
