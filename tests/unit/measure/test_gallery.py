"""Which samples are kept as pictures, and that these show what the network was given and answered."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data import packed
from bench.measure.gallery import MOST, Gallery, as_input, choose
from bench.preprocess import Preprocess
from bench.records import ArtifactFile, Expected, Subject
from bench.results.pictures import SIDE, Pictures, Stored

PHONE = Subject(model="net", variant="baseline", device="phone", runtime="ncnn")


def sure(classes: list[int], count: int = 4) -> np.ndarray:
    """Outputs (N, K) of a network that answers so."""
    return np.eye(count, dtype=np.float32)[classes] * 9


def samples(folder: Path, values: np.ndarray) -> ArtifactFile:
    packed.write(folder / "samples.bin", [values])
    return ArtifactFile(role="samples", path=folder / "samples.bin", sha256="0" * 64, bytes=0)


def decoded(stored: Stored) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(stored.png)))


def test_the_worst_samples_are_among_those_kept_and_marked() -> None:
    labels = np.zeros(40, np.int64)
    right, wrong = sure([0] * 40), sure([0] * 40)
    wrong[23] = sure([1])[0]
    chosen = choose("classification", {"a": Expected((right,), labels), "b": Expected((wrong,), labels)})
    assert len(chosen) == MOST
    assert chosen[23]
    assert sum(chosen.values()) == 1
    assert list(chosen) == sorted(chosen)


def test_the_worst_mask_is_the_one_of_the_lowest_dice_not_of_most_wrong_pixels() -> None:
    masks = np.zeros((12, 10, 10), np.int64)
    masks[:, :6] = 1
    masks[5] = 0
    masks[5, 0, :4] = 1
    answered = masks.copy()
    answered[5, 0, :3] = 0  # three pixels of four: little to see, and nearly all of the object
    answered[8, 5] = 0  # ten of sixty
    outputs = np.stack([answered == 0, answered == 1], axis=1).astype(np.float32)
    chosen = choose("segmentation", {"a": Expected((outputs,), masks)})
    assert [index for index, worst in chosen.items() if worst] == [5]


def test_without_labels_samples_are_drawn_by_lot_and_always_the_same() -> None:
    expected = {"a": Expected((sure([0] * 40),), None)}
    assert choose("classification", expected) == choose("classification", expected)
    assert not any(choose("classification", expected).values())


def test_few_samples_are_all_kept() -> None:
    assert list(choose("other", {"a": Expected((sure([0, 1]),), None)})) == [0, 1]


@pytest.mark.parametrize(
    "preprocess",
    [
        Preprocess(),
        Preprocess(mean=(0.485, 0.456, 0.406), deviation=(0.229, 0.224, 0.225)),
        Preprocess(channels="bgr", scale=1, mean=(104.0, 117.0, 123.0)),
        Preprocess(channels="grey"),
    ],
)
def test_an_input_becomes_the_picture_that_it_was_made_of(preprocess: Preprocess) -> None:
    grey = preprocess.channels == "grey"
    pixels = np.random.default_rng(1).integers(0, 256, (12, 20) if grey else (12, 20, 3), np.uint8)
    values = preprocess.of_colours.apply(Image.fromarray(pixels), (1 if grey else 3, 12, 20))
    shown = as_input(values, preprocess)
    assert shown is not None
    assert np.array_equal(np.asarray(shown), pixels)


def test_an_input_without_preprocessing_is_shown_from_its_lowest_to_its_highest_value() -> None:
    shown = as_input(np.array([[[-3.0, 5.0]]], np.float32), None)
    assert shown is not None
    assert np.asarray(shown).tolist() == [[0, 255]]


@pytest.mark.parametrize("shape", [(7,), (2, 5, 5), (3, 4, 4, 4)])
def test_what_is_no_picture_has_none(shape: tuple[int, ...]) -> None:
    assert as_input(np.zeros(shape, np.float32), None) is None


def test_masks_are_kept_as_classes_with_the_first_answers_of_the_phone_alone(tmp_path: Path) -> None:
    masks = np.random.default_rng(2).integers(0, 2, (3, 8, 10))
    outputs = np.stack([masks == 0, masks == 1], axis=1).astype(np.float32)
    given = samples(tmp_path, np.zeros((3, 3, 8, 10), np.float32))
    gallery = Gallery(
        Pictures(tmp_path), "net", "segmentation", given, None, {"baseline": Expected((outputs,), masks)}, "phone"
    )
    gallery.keep(PHONE.model_copy(update={"device": "desktop"}), outputs)
    gallery.keep(PHONE, 1 - outputs)
    gallery.keep(PHONE.model_copy(update={"threads": 2}), outputs)
    kept = {(one.record.kind, one.record.index): one for one in Pictures(tmp_path).read()}
    assert len(kept) == 12
    assert np.array_equal(decoded(kept["truth", 1]), masks[1])
    assert np.array_equal(decoded(kept["reference", 1]), masks[1])
    assert np.array_equal(decoded(kept["answer", 1]), 1 - masks[1])
    assert kept["answer", 1].record.subject == PHONE


def test_answers_that_are_not_finite_have_no_pictures_and_stop_nothing(tmp_path: Path) -> None:
    outputs = np.full((2, 4), np.nan, np.float32)
    given = samples(tmp_path, np.zeros((2, 1, 4, 4), np.float32))
    expected = {"baseline": Expected((outputs,), np.zeros(2, np.int64))}
    gallery = Gallery(Pictures(tmp_path), "net", "classification", given, None, expected, "phone")
    gallery.keep(PHONE, outputs)
    assert Pictures(tmp_path).read() == ()


def test_reconstructions_are_shown_on_the_scale_of_their_targets(tmp_path: Path) -> None:
    targets = np.zeros((1, 1, 2, 2), np.float32)
    targets[0, 0, 0, 0] = 1
    outputs = np.full_like(targets, 2)
    Gallery(
        Pictures(tmp_path), "net", "reconstruction", samples(tmp_path, targets), None,
        {"baseline": Expected((outputs,), targets)}, "phone",
    )  # fmt: skip
    kept = {one.record.kind: decoded(one).tolist() for one in Pictures(tmp_path).read()}
    assert kept == {"input": [[255, 0], [0, 0]], "truth": [[255, 0], [0, 0]], "reference": [[255, 255], [255, 255]]}


def test_large_pictures_are_made_smaller_and_masks_keep_their_classes(tmp_path: Path) -> None:
    masks = np.full((1, 300, 600), 3)
    outputs = np.zeros((1, 5, 300, 600), np.float32)
    Gallery(
        Pictures(tmp_path), "net", "segmentation", samples(tmp_path, np.zeros((1, 1, 300, 600), np.float32)), None,
        {"baseline": Expected((outputs,), masks)}, "phone",
    )  # fmt: skip
    for one in Pictures(tmp_path).read():
        assert decoded(one).shape == (SIDE // 2, SIDE)
        assert one.record.kind != "truth" or set(decoded(one).flat) == {3}
