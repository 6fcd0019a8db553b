"""Samples drawn with what is right and what was answered."""

import io
from dataclasses import replace

import numpy as np
from PIL import Image

from bench.evidence import Answered, Example
from bench.records import Subject
from bench.report import Context
from bench.report.plots import samples
from bench.report.sections.samples import section
from tests.unit.report.report_kit import PHONE, Stored

BASE = Subject(model="lenet5", variant="baseline", device=PHONE, runtime="ncnn")


def png(values: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(values.astype(np.uint8)).save(out, format="PNG")
    return out.getvalue()


def shown(stored: Stored, *examples: Example) -> Context:
    findings = replace(stored.findings, examples=examples)
    return Context.of(stored.run, stored.measurements, findings, pictures=True)


def test_digits_are_shown_with_answer_confidence_and_truth(judged: Stored) -> None:
    wrong = Answered(BASE.model_copy(update={"variant": "half"}), 0.0, 1.0, "<b>3</b>", 0.62)
    example = Example(
        "lenet5", "classification", 17, png(np.eye(28) * 255), label="7",
        answers=(Answered(BASE, 1.0, 1.0, "7", 0.99), wrong), worst=True,
    )  # fmt: skip
    (picture,) = samples.draw(shown(judged, example))
    assert "sample 17 (worst), truth 7: baseline answers 7 (99 %), right; half answers" in picture.alt
    assert "(62 %), wrong" in picture.alt
    assert "(virtual)" in picture.title
    assert "<b>" not in picture.svg


def test_masks_lie_over_the_picture_with_the_score_of_the_sample(judged: Stored) -> None:
    mask = np.zeros((16, 24))
    mask[4:9, 5:20] = 1
    subject = BASE.model_copy(update={"model": "unet"})
    answer = Answered(subject, 0.9, 0.98, picture=png(np.roll(mask, 2, axis=1)), reference=png(mask))
    example = Example("unet", "segmentation", 3, png(np.full((16, 24, 3), 90)), png(mask), answers=(answer,))
    (picture,) = samples.draw(shown(judged, example))
    assert "sample 3: Dice baseline 90.00 %" in picture.alt
    assert "2 % unlike desktop" in picture.svg
    assert picture.svg.count("data:image/png;base64") == 3
    assert len(picture.svg) < 40_000


def test_many_variants_make_more_pictures_than_one(judged: Stored) -> None:
    subjects = [BASE.model_copy(update={"model": "unet", "variant": f"v{n}"}) for n in range(8)]
    answers = tuple(Answered(s, n / 10, 1.0, picture=png(np.zeros((16, 24)))) for n, s in enumerate(subjects))
    example = Example("unet", "segmentation", 0, png(np.zeros((16, 24))), png(np.zeros((16, 24))), answers=answers)
    found = samples.draw(shown(judged, example))
    assert len(found) == 2
    assert all(any(f"v{n} {10 * n}.00 %" in picture.alt for picture in found) for n in range(8))


def test_variants_that_answer_the_very_same_share_a_column(judged: Stored) -> None:
    subjects = [BASE.model_copy(update={"model": "unet", "variant": name}) for name in ("one", "two", "other")]
    masks = [np.zeros((16, 24)), np.zeros((16, 24)), np.ones((16, 24))]
    answers = tuple(Answered(s, 0.5, 1.0, picture=png(mask)) for s, mask in zip(subjects, masks, strict=True))
    example = Example("unet", "segmentation", 0, png(np.zeros((16, 24))), answers=answers)
    (picture,) = samples.draw(shown(judged, example))
    assert "one and 1 alike" in picture.svg
    assert "two 50.00 %" in picture.alt
    assert picture.svg.count("data:image/png;base64") == 3


def test_a_run_without_pictures_has_no_such_section(judged: Stored) -> None:
    assert section(shown(judged)) is None
