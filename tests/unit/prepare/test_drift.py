"""Sets of corrupted samples: which, how many, of what, and what is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from bench.cache import Cache
from bench.corrupted import asked
from bench.data import packed
from bench.data.corruptions import CORRUPTIONS, corrupt
from bench.errors import UsageError
from bench.networks.network import Network
from bench.plan import Data
from bench.prepare import drift
from bench.prepare.samples import Samples, samples
from bench.preprocess import Preprocess
from bench.records import Tensor
from tests.preparing import stage

NORMAL = Preprocess(mean=(0.485, 0.456, 0.406), deviation=(0.229, 0.224, 0.225))
KNOWN = tuple(CORRUPTIONS)


def shown_of(
    folder: Path, cache: Cache, arrays: dict[str, np.ndarray], shape: tuple[int, ...] = (3, 20, 24),
    preprocess: Preprocess = NORMAL,
) -> Samples:  # fmt: skip
    path = folder / "data_test.npz"
    np.savez(path, **arrays)
    network = Network(
        name="m", title="m", inputs=(Tensor(name="in0", shape=shape),), task="other", build=lambda: None,  # type: ignore[arg-type,return-value]
    )  # fmt: skip
    return samples(network, Data(path=path, preprocess=preprocess), cache)


def pictures(count: int = 30, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (count, 20, 24, channels), np.uint8)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.mark.parametrize("channels", ["rgb", "bgr"])
def test_each_set_holds_the_same_part_severity_by_severity(tmp_path: Path, cache: Cache, channels: str) -> None:
    how = NORMAL.model_copy(update={"channels": channels})
    images, labels = pictures(), np.arange(30) % 3
    shown = shown_of(tmp_path, cache, {"images": images, "labels": labels}, preprocess=how)
    record, sets = drift.sets("m", shown, asked(["noise", "blur:2"], KNOWN), 9, 4, cache, stage)
    assert [(one.name, one.severities) for one in record.sets] == [
        ("", (0,)),
        ("noise", (1, 2, 3, 4, 5)),
        ("blur", (2,)),
    ]
    assert np.bincount(labels[list(record.samples)]).tolist() == [3, 3, 3], "classes in equal numbers"
    chosen = list(record.samples)
    clean, noise, blur = (packed.read(one.file.path)[0] for one in sets)
    assert np.array_equal(clean, shown.read()[0][chosen])
    for number, index in enumerate(chosen):
        for severity in range(1, 6):
            wanted = how.colours(corrupt("noise", images[index], severity, 4), 3)
            assert np.array_equal(noise[(severity - 1) * 9 + number], wanted)
        assert np.array_equal(blur[number], how.colours(corrupt("blur", images[index], 2, 4), 3))
    assert sets[1].labels is not None
    assert sets[1].labels.tolist() == labels[chosen].tolist() * 5
    for one, made in zip(record.sets, sets, strict=True):
        assert one.sha256 == made.file.sha256 == hashlib.sha256(made.file.path.read_bytes()).hexdigest()


def test_the_same_is_asked_for_twice_and_made_once(tmp_path: Path, cache: Cache) -> None:
    shown = shown_of(tmp_path, cache, {"images": pictures(), "labels": np.arange(30) % 3})
    severities = asked(["all:3"], KNOWN)
    first = drift.sets("m", shown, severities, None, 1, cache, stage)
    again = drift.sets("m", shown, severities, None, 1, Cache(tmp_path / "other"), stage)
    assert first[0] == again[0], "another machine makes the same bytes"
    other = drift.sets("m", shown, severities, None, 2, cache, stage)
    assert other[0].sets[1].sha256 != first[0].sets[1].sha256


def test_masks_move_where_pixels_do(tmp_path: Path, cache: Cache) -> None:
    masks = (pictures(6, 1)[..., 0] > 100).astype(np.uint8)
    images = np.repeat(255 * masks[..., None], 3, axis=3)
    shown = shown_of(tmp_path, cache, {"images": images, "masks": masks})
    _, sets = drift.sets("m", shown, asked(["shift", "dark:2"], KNOWN), None, 1, cache, stage)
    dark, shifted = sets[1], sets[2]  # in the order of the corruptions, however they are asked for
    assert shifted.labels is not None
    assert dark.labels is not None
    assert np.array_equal(shifted.labels, NORMAL.pixels(shifted.read()[0])[..., 0] // 255)
    assert np.array_equal(dark.labels, masks[: len(dark.labels)])


def test_samples_without_labels_stay_without(tmp_path: Path, cache: Cache) -> None:
    shown = shown_of(tmp_path, cache, {"images": pictures()})
    _, sets = drift.sets("m", shown, asked(["fog:1"], KNOWN), None, 1, cache, stage)
    assert [one.labels for one in sets] == [None, None]


def test_floats_were_never_pixels(tmp_path: Path, cache: Cache) -> None:
    floats = np.random.default_rng(1).random((9, 3, 20, 24), np.float32)
    shown = shown_of(tmp_path, cache, {"images": floats}, preprocess=Preprocess())
    with pytest.raises(UsageError, match="inputs already, not pictures"):
        drift.sets("m", shown, asked(["fog"], KNOWN), None, 1, cache, stage)


def test_small_pictures_are_refused(tmp_path: Path, cache: Cache) -> None:
    shown = shown_of(tmp_path, cache, {"images": pictures()}, shape=(3, 12, 24))
    with pytest.raises(UsageError, match="of 12×24 pixels too little is left"):
        drift.sets("m", shown, asked(["fog"], KNOWN), None, 1, cache, stage)


def test_more_than_devices_are_given_is_refused(tmp_path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = shown_of(tmp_path, cache, {"images": pictures()})
    monkeypatch.setattr(drift, "MOST_BYTES", 100_000)
    with pytest.raises(UsageError, match=r"30 samples of m in all corruptions take .* GiB"):
        drift.sets("m", shown, asked(["fog"], KNOWN), 30, 1, cache, stage)


def test_without_a_number_as_many_are_taken_as_fit(
    tmp_path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = shown_of(tmp_path, cache, {"images": pictures()})
    monkeypatch.setattr(drift, "FIT_BYTES", 7 * 6 * shown.file.bytes // 30 + 100)
    record, _ = drift.sets("m", shown, asked(["fog"], KNOWN), None, 1, cache, stage)
    assert len(record.samples) == 7, "six sets of seven: as they are, and five severities"


@pytest.mark.parametrize(
    ("task", "labelled", "why"),
    [
        ("reconstruction", True, "what is right for a corrupted one is not known"),
        ("other", True, "neither classifies nor segments"),
        ("segmentation", False, "its samples have none"),
    ],
)
def test_answers_that_cannot_be_judged_are_refused(task: str, labelled: bool, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        drift.refuse("m", task, labelled)  # type: ignore[arg-type]


def test_classes_can_be_judged_without_labels() -> None:
    drift.refuse("m", "classification", labelled=False)
    drift.refuse("m", "segmentation", labelled=True)
