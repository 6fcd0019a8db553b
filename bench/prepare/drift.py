"""Samples of a case, corrupted: a file for each corruption, and one of the same samples as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray

from bench import corrupted
from bench.cache import Cache, content_key, own_sources, sha256_file
from bench.compress.learner import Stage
from bench.corrupted import CorruptedRecord, DriftRecord
from bench.errors import UsageError
from bench.prepare.samples import Samples
from bench.records import ArtifactFile, Expected, Task

FIT_SAMPLES, FIT_BYTES = 500, 256 * 2**20
"""Unless a plan says how many, so many samples, or as many as take so many bytes in all their corruptions: every device
gets them."""
MOST_BYTES = 2 * 2**30

Pixels = NDArray[np.uint8]
Severities = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Drifted:
    """One set of samples, and by variant what the eager network answers to it."""

    samples: ArtifactFile
    expected: Mapping[str, Expected]


def sets(
    label: str, shown: Samples, asked: Severities, count: int | None, seed: int, cache: Cache, stage: Stage
) -> tuple[DriftRecord, tuple[Samples, ...]]:
    """A part of the samples as it is, then under each corruption in its severities. Raises UsageError where the samples
    are not pictures, too small, or more than devices are given."""
    from bench.data import corruptions

    total = shown.record.count
    severities = {"": (0,), **asked}
    each = sum(len(one) for one in severities.values()) * (shown.file.bytes // total)
    if count is not None and min(count, total) * each > MOST_BYTES:
        raise UsageError(
            f"{min(count, total):,} samples of {label} in all corruptions take {count * each / 2**30:.1f} GiB",
            f"Ask for fewer (drift_samples): {MOST_BYTES // each:,} fit in {MOST_BYTES // 2**30} GiB; or for fewer "
            "corruptions.",
        )
    wanted = min(total, count or max(1, min(FIT_SAMPLES, FIT_BYTES // each)))
    key = content_key(
        shown.key, repr(dict(asked)), str(wanted), str(seed), PIL.__version__,
        *own_sources("data", "preprocess.py", "corrupted.py", "prepare/drift.py"),
    )  # fmt: skip

    def make(folder: Path) -> None:
        progress = stage(f"corrupt the samples of {label}")
        pixels = _pixels(shown, label)
        chosen = _chosen(shown, wanted, seed)
        labels = None if shown.labels is None else shown.labels[chosen]
        made = []
        for number, (name, levels) in enumerate(severities.items()):
            progress(number / len(severities), name or "as they are")
            path = folder / f"{name or 'clean'}.bin"
            _write(path, name, pixels[chosen], labels, levels, seed, shown)
            text = corruptions.corruption(name).text if name else "as they are"
            made.append(CorruptedRecord(name=name, text=text, severities=levels, sha256=sha256_file(path)))
        record = DriftRecord(samples=tuple(map(int, chosen)), seed=seed, sets=tuple(made))
        (folder / "record.json").write_text(record.model_dump_json(), encoding="utf-8")
        progress(1.0, f"{wanted:,} of {total:,}, {wanted * each / 2**20:,.0f} MiB")

    folder = cache.build("drift", key, make)
    record = DriftRecord.model_validate_json((folder / "record.json").read_bytes())
    return record, tuple(_samples(folder, one, shown, key) for one in record.sets)


def _samples(folder: Path, one: CorruptedRecord, shown: Samples, key: str) -> Samples:
    path, labels = folder / f"{one.name or 'clean'}.bin", folder / f"{one.name or 'clean'}.npy"
    file = ArtifactFile(role="samples", path=path, sha256=one.sha256, bytes=path.stat().st_size)
    known = np.load(labels) if labels.is_file() else None
    return Samples(file, known, shown.record, (), content_key(key, one.name))


def _pixels(shown: Samples, label: str) -> Pixels:
    """The pictures (N, H, W, C) that the samples were made of, at the network's size. Raises UsageError."""
    from bench.data.corruptions import SMALLEST

    how, inputs = shown.record.preprocess, shown.read()
    if how is None or len(inputs) != 1 or inputs[0].ndim != 4 or inputs[0].shape[1] not in (1, 3):
        raise UsageError(
            f"the samples of {label} cannot be corrupted: they are inputs already, not pictures "
            f"({shown.record.source})",
            "Name data of pictures (uint8 in an .npz), or leave drift out.",
        )
    if min(inputs[0].shape[2:]) < SMALLEST:
        sides = "×".join(map(str, inputs[0].shape[2:]))
        raise UsageError(
            f"the samples of {label} cannot be corrupted: of {sides} pixels too little is left",
            f"Drift needs sides of {SMALLEST} pixels at least.",
        )
    try:
        return how.pixels(inputs[0].astype(np.float32))
    except ValueError as error:
        raise UsageError(
            f"the samples of {label} cannot be corrupted: {error} ({shown.record.source})",
            "Name data of pictures by --data, or leave drift out.",
        ) from error


def _chosen(shown: Samples, count: int, seed: int) -> NDArray[np.int64]:
    from bench.data.collection import balanced

    if count >= shown.record.count:
        return np.arange(shown.record.count)
    labels = shown.labels
    return balanced(labels if labels is not None and labels.ndim == 1 else None, shown.record.count, count, seed)


def _write(
    path: Path, name: str, pixels: Pixels, labels: NDArray[np.generic] | None, levels: tuple[int, ...], seed: int,
    shown: Samples,
) -> None:  # fmt: skip
    """The packed samples of one set, and their labels beside them."""
    from bench.data import corruptions, packed

    how = shown.record.preprocess
    assert how is not None
    made = [corruptions.corrupt(name, one, level, seed) if level else one for level in levels for one in pixels]
    channels = packed.some(shown.file.path, [0])[0].shape[1]
    packed.write(path, [how.colours(np.stack(made), channels)])
    if labels is None:
        return
    if labels.ndim == 3:
        moved = [
            corruptions.move(name, mask, one, level, seed) if level else mask
            for level in levels
            for mask, one in zip(labels, pixels, strict=True)
        ]
        labels = np.stack(moved)
    else:
        labels = np.concatenate([labels] * len(levels))
    np.save(path.with_suffix(".npy"), labels)


def refuse(label: str, task: Task, labelled: bool) -> None:
    """Raise UsageError for a network whose answers to corrupted samples cannot be judged."""
    if task not in ("classification", "segmentation") or (task == "segmentation" and not labelled):
        why = (
            "answers with masks, and its samples have none"
            if task == "segmentation"
            else (
                "answers with pictures, and what is right for a corrupted one is not known"
                if task == "reconstruction"
                else "neither classifies nor segments"
            )
        )
        raise UsageError(f"drift of {label} cannot be measured: the network {why}", "Leave drift out for it.")


def wanted(drift: tuple[str, ...]) -> Severities:
    """What a protocol asks for. Raises UnknownName, UsageError."""
    from bench.data.corruptions import CORRUPTIONS

    return corrupted.asked(drift, tuple(CORRUPTIONS))
