"""Answers against labels and reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bench.analyse.accuracy import agreement, dice, max_abs_delta, top1
from bench.errors import CorruptData

LOGITS = hnp.arrays(np.float32, st.tuples(st.integers(1, 6), st.integers(1, 5)), elements=st.floats(-9, 9, width=32))


def test_top1_counts_the_largest_logit() -> None:
    outputs = np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.4], [0.6, 0.5]])
    assert top1(outputs, np.array([1, 0, 0, 0])) == 0.75


def test_dice_is_the_mean_over_samples_of_class_one() -> None:
    labels = np.array([[[1, 1, 0, 0]], [[0, 0, 0, 1]], [[0, 0, 0, 0]]])
    found = np.array([[[1, 0, 0, 1]], [[0, 0, 0, 1]], [[0, 0, 0, 0]]])
    outputs = np.stack((1.0 - found, found.astype(float)), axis=1)
    assert dice(outputs, labels) == pytest.approx((0.5 + 1 + 1) / 3)
    assert dice(outputs[:, 1:] - 0.5, labels) == pytest.approx((0.5 + 1 + 1) / 3)  # one channel: its sign
    assert dice(-outputs, labels) < 0.5


def test_dice_refuses_masks_of_another_size() -> None:
    with pytest.raises(CorruptData, match="do not go with masks"):
        dice(np.zeros((2, 2, 4, 4)), np.zeros((2, 4, 5), int))


def test_agreement_of_a_segmentation_is_per_pixel() -> None:
    reference = np.zeros((1, 2, 2, 2), np.float32)
    reference[:, 1] = 1
    outputs = reference.copy()
    outputs[0, 0, 0, 0] = 2
    assert agreement(outputs, reference) == 0.75


def test_with_one_channel_the_sign_is_the_answer() -> None:
    reference = np.array([[[[1.0, -1.0]]]])
    assert agreement(np.array([[[[5.0, 5.0]]]]), reference) == 0.5


@given(LOGITS)
@settings(deadline=None)
def test_outputs_agree_with_themselves(outputs: np.ndarray) -> None:
    assert agreement(outputs, outputs) == 1.0
    assert max_abs_delta(outputs, outputs) == 0.0
    assert max_abs_delta(outputs + np.float32(1), outputs) == pytest.approx(1, abs=1e-6)


def test_a_delta_does_not_overflow_float32() -> None:
    big = np.full((1, 2), 3e38, np.float32)
    assert max_abs_delta(big, -big) == pytest.approx(6e38)


@pytest.mark.parametrize(
    "outputs",
    [np.zeros(3), np.zeros((0, 2)), np.zeros((2, 3, 4)), np.full((2, 2), np.nan), np.array([[1.0, np.inf]])],
    ids=["flat", "empty", "three axes", "nan", "infinite"],
)
def test_what_holds_no_answers_is_refused(outputs: np.ndarray) -> None:
    with pytest.raises(CorruptData):
        agreement(outputs, outputs)


def test_shapes_must_match() -> None:
    with pytest.raises(CorruptData, match=r"\(2, 3\)"):
        agreement(np.zeros((2, 3)), np.zeros((2, 2)))
    with pytest.raises(CorruptData, match="labels"):
        top1(np.zeros((2, 3)), np.zeros(3, int))
    with pytest.raises(CorruptData, match="not finite"):
        max_abs_delta(np.full((1, 2), np.nan), np.zeros((1, 2)))
