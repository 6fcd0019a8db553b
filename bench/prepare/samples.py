"""What a network is shown, as a file for the runner and, for training, as a data set; cached by content."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.cache import Cache, content_key, own_sources, sha256_file
from bench.errors import UsageError
from bench.networks.network import Network
from bench.plan import Data
from bench.records import ArtifactFile, SamplesRecord, Task

if TYPE_CHECKING:
    from bench.compress.learner import Data as ToLearn
    from bench.data.collection import Part


_SOURCES = ("data", "preprocess.py")
FIELD_SHARE, MOST_TIMES = 1 / 3, 10
"""Added pictures are learnt so often an epoch that they are this part of the others, but no more often than that."""


@dataclass(frozen=True, eq=False)
class Samples:
    """The samples of a case: the packed `file`, what is right for each (None where that is not known), a word for each,
    and a key."""

    file: ArtifactFile
    labels: NDArray[Any] | None
    record: SamplesRecord
    names: tuple[str, ...]
    key: str
    files: tuple[Path, ...] = ()
    """Of the pictures, where each has a file of its own."""

    def read(self) -> tuple[NDArray[np.generic], ...]:
        """For each input an array (N, *shape). Raises CorruptData."""
        from bench.data import packed

        return packed.read(self.file.path)

    def coded(self, cache: Cache) -> ArtifactFile:
        """The pictures as they are in their files, all in one. Raises UsageError where they are none that the native
        runner decodes."""
        from bench.data import coded

        if not self.files or self.record.preprocess is None:
            raise UsageError(
                f"the data are not picture files ({self.record.source}), so that a phone cannot preprocess them",
                "Name a folder of JPEG, PNG or BMP files by --data, or leave --on-device-preprocess out.",
            )
        if odd := next((path for path in self.files if not coded.is_decoded(path)), None):
            raise UsageError(
                f"{odd} is neither a JPEG, a PNG nor a BMP file, and phones decode no others",
                "Convert it, or leave --on-device-preprocess out.",
            )
        folder = cache.build("pictures", self.key, lambda folder: coded.write(folder / "pictures.bin", self.files))
        path = folder / "pictures.bin"
        return ArtifactFile(role="pictures", path=path, sha256=sha256_file(path), bytes=path.stat().st_size)

    def check(self, task: Task, output: tuple[int, ...]) -> None:
        """Raise UsageError unless the labels are possible answers of a network for `task` with that first output."""
        from bench.data import SampleSet

        SampleSet((), self.labels, self.record.source, self.record.classes or None, self.names).check(task, output)


def samples(network: Network, asked: Data | None, cache: Cache) -> Samples:
    """The samples that `asked` names, else the network's own. Raises UsageError, CorruptData."""
    from bench import data

    asked = asked or Data()
    preprocess = asked.preprocess or network.preprocess
    key = content_key(
        repr(network.inputs), repr(network.data), *data.packages(network.data), repr(preprocess), str(asked.samples),
        str(asked.seed), stamp(asked.path), _more(asked), *own_sources(*_SOURCES),
    )  # fmt: skip

    def make(folder: Path) -> None:
        from bench.data import packed

        found = data.samples(
            network.inputs, kind=network.data, folder=asked.path, preprocess=preprocess, count=asked.samples,
            seed=asked.seed, add=asked.add if asked.shown == "added" else None,
        )  # fmt: skip
        packed.write(folder / "samples.bin", found.inputs)
        if found.labels is not None:
            np.save(folder / "labels.npy", found.labels)
        record = SamplesRecord(
            source=found.source,
            count=len(found.inputs[0]),
            labelled=found.labels is not None,
            classes=found.classes or (),
            preprocess=found.preprocess,
        )
        (folder / "names.json").write_text(json.dumps(found.names), encoding="utf-8")
        (folder / "files.json").write_text(json.dumps(list(map(str, found.files))), encoding="utf-8")
        (folder / "record.json").write_text(record.model_dump_json(), encoding="utf-8")

    folder = cache.build("samples", key, make)
    path, labels = folder / "samples.bin", folder / "labels.npy"
    return Samples(
        ArtifactFile(role="samples", path=path, sha256=sha256_file(path), bytes=path.stat().st_size),
        np.load(labels) if labels.is_file() else None,
        SamplesRecord.model_validate_json((folder / "record.json").read_bytes()),
        tuple(json.loads((folder / "names.json").read_bytes())),
        key,
        tuple(map(Path, json.loads((folder / "files.json").read_bytes()))),
    )


def to_learn(network: Network, asked: Data | None, *, labels: bool = True) -> ToLearn | None:
    """What the network can be trained with and tested on, if anything. Without `labels` any pictures will do, and those
    whose labels are of another task count as having none. Raises UsageError, CorruptData."""
    from bench import data
    from bench.compress.learner import Data as ToLearn
    from bench.compress.learner import FromField

    path = asked.path if asked else None
    preprocess = (asked.preprocess if asked else None) or network.preprocess
    origin = path or network.data
    if origin is None or (path is None and not data.teaches(origin)):
        return None
    add, held = (asked.add, asked.validation) if asked else (None, None)
    found = data.dataset(origin, preprocess, network.shape, labels=labels, add=add, validation=held)
    suits = found.task is not None and network.task in (found.task, "other")
    if not suits and (labels or path is None):
        if path is None:
            return None  # its own samples are to test with, not to learn from
        raise UsageError(
            f"{path} is for {found.task}, but {network.name} does {network.task}", "Use data for this network."
        )
    if found.added and asked and (without := to_learn(network, asked.model_copy(update={"add": None}))):
        more = found.added
        times = max(1, min(MOST_TIMES, round(FIELD_SHARE * len(without.train) / len(more.learnt))))
        train = _repeated(found.train, more.learnt, times)
        notes = (
            f"Of the field's pictures each is learnt {times:,} times an epoch, beside {len(without.train):,} of the "
            "data. The network after has learnt for some epochs more than the one before: on the data's own part a "
            "gain is of these, too.",
            *more.notes,
        )
        field = FromField(more.learnt, more.apart, more.source, notes, without)
        return ToLearn(train, found.test, found.source, data_key(network, asked), suits, field, found.validation)
    return ToLearn(found.train, found.test, found.source, data_key(network, asked), suits, None, found.validation)


def _repeated(train: Part, learnt: Part, times: int) -> Part:
    """The part to train on, which has the pictures `learnt` once, with these so many times."""
    from bench.data.collection import Pictures

    assert isinstance(train, Pictures)
    assert isinstance(learnt, Pictures)
    return replace(train, items=(*train.items, *(list(learnt.items) * (times - 1))))


def data_key(network: Network, asked: Data | None) -> str:
    """Changes with what `to_learn` gives."""
    path = asked.path if asked else None
    preprocess = (asked.preprocess if asked else None) or network.preprocess
    more = (stamp(asked.add), f"{FIELD_SHARE} {MOST_TIMES}") if asked and asked.add else ()
    held = (repr(asked.validation),) if asked and asked.validation is not None else ()
    return content_key(repr(network.data), repr(preprocess), stamp(path), *more, *held, *own_sources(*_SOURCES))


def _more(asked: Data) -> str:
    """Changes with which of the added pictures are shown; empty where none are."""
    return stamp(asked.add) if asked.add and asked.shown == "added" else ""


def stamp(path: Path | None) -> str:
    """Changes with a file, or any file in a folder: by names, sizes and times, since there may be thousands."""
    if path is None:
        return ""
    if path.is_file():
        return f"{path.resolve()} {path.stat().st_size} {path.stat().st_mtime_ns}"
    lines = []
    for folder, _, names in sorted(os.walk(path)):
        for name in sorted(names):
            status = Path(folder, name).stat(follow_symlinks=False)
            lines.append(f"{folder}/{name} {status.st_size} {status.st_mtime_ns}")
    return "\n".join((str(path.resolve()), *lines))
