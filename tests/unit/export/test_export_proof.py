"""How far a runtime's outputs may be from the network's, and what is not finite."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from bench import tolerance
from bench.errors import ExportRefused
from bench.export import proof
from bench.export.answers import Answers
from bench.records import Tensor

Floats = NDArray[np.float32]


def answers(*values: Floats) -> Answers:
    outputs = tuple(Tensor(name=f"out{n}", shape=value.shape[1:]) for n, value in enumerate(values))
    return Answers(outputs, tuple(f"[{n}]" for n in range(len(values))), values)


def refused(expected: Sequence[Floats], found: Sequence[Floats]) -> bool:
    try:
        proof.compare(answers(*expected), found, "the runner")
    except ExportRefused:
        return True
    return False


@pytest.mark.parametrize(("error", "beyond"), [(0.9e-3, False), (1.1e-3, True), (float("nan"), True)])
def test_the_tolerance_is_a_thousandth_of_the_largest_output(error: float, beyond: bool) -> None:
    expected = np.array([[1.0, -5.0, 0.5, 2.0]], np.float32)
    found = expected.copy()
    found[0, 2] += 5 * error
    assert refused([expected], [found]) == beyond


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_answer_that_is_not_a_number_in_torch_proves_nothing(value: float) -> None:
    expected = np.array([[1.0, value, 0.5, 2.0]], np.float32)
    other = np.array([[1.0, 7.0, 0.5, 2000.0]], np.float32)
    assert refused([expected], [other])
    assert refused([expected], [expected])


def test_values_that_ceased_to_be_numbers_are_counted() -> None:
    wanted = np.array([[1.0, np.nan, 0.5, 2.0]], np.float32)
    assert tolerance.lost(wanted, wanted) == 0
    assert tolerance.lost(np.array([[np.nan, np.nan, np.inf, 2.0]], np.float32), wanted) == 2


def test_what_was_compared_is_reported_for_each_output() -> None:
    first, second = np.array([[1.0, -4.0]], np.float32), np.array([[10.0]], np.float32)
    one, two = proof.compare(answers(first, second), [first + np.float32(1e-3), second], "the runner")
    assert (one.output, two.output) == ("out0", "out1")
    assert one.max_abs_delta == pytest.approx(1e-3, rel=1e-3)
    assert one.max_abs_reference == 4
    assert one.headroom == pytest.approx(0.25, rel=1e-3)
    assert (two.max_abs_delta, two.headroom) == (0, 0)


def test_flat_outputs_are_compared_in_order() -> None:
    expected = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    assert not refused([expected], [expected.reshape(-1)])


def test_a_loud_sample_does_not_excuse_a_quiet_one() -> None:
    expected = np.array([[1000.0, 900.0], [0.1, 0.2]], np.float32)
    found = expected.copy()
    found[1] *= -1
    assert refused([expected], [found])


def test_a_loud_output_does_not_excuse_a_quiet_one() -> None:
    boxes, scores = np.full((1, 8, 4), 640, np.float32), np.full((1, 8, 1), 0.5, np.float32)
    assert refused([boxes, scores], [boxes, scores + np.float32(0.01)])


@pytest.mark.parametrize("axis", [1, 2])
def test_scores_beside_boxes_are_held_to_their_own_scale(axis: int) -> None:
    detected = np.concatenate([np.full((2, 9, 4), 640), np.full((2, 9, 2), 0.5)], axis=2).astype(np.float32)
    wrong = detected.copy()
    wrong[1, 3, 5] = 0.48
    if axis == 1:
        detected, wrong = (each.transpose(0, 2, 1) for each in (detected, wrong))
    assert refused([detected], [wrong])
    assert not refused([detected], [detected + np.float32(1e-4)])


def test_scores_on_a_middle_axis_are_held_to_their_own_scale() -> None:
    detected = np.random.default_rng(0).random((4, 2, 6, 8), np.float32)  # anchors, fields, cells
    detected[:, :, :4] *= 640
    wrong = detected.copy()
    wrong[:, :, 4:] += 0.1
    assert refused([detected], [wrong])


def test_a_score_in_a_vector_is_held_to_its_scale_over_the_samples() -> None:
    detected = np.array([[640, 320, 0.9], [100, 50, 0.001]], np.float32)
    wrong = detected.copy()
    wrong[0, 2] = 0.85
    assert refused([detected], [wrong])
    wrong = detected.copy()
    wrong[1, 2] = 0.0015  # small beside the other sample's
    assert not refused([detected], [wrong])


def test_a_small_logit_among_many_of_all_sizes_is_not_a_scale_of_its_own() -> None:
    logits = np.geomspace(1e-5, 5, 40, dtype=np.float32)[None]
    assert not refused([logits], [logits + np.float32(4e-3)])


def test_rounding_is_allowed_however_small_the_slice() -> None:
    expected = np.array([[[1.0, 1.0], [1e-6, 1e-6]]], np.float32)
    assert not refused([expected], [expected + np.float32(5e-6)])


def test_too_few_values_or_outputs_are_refused() -> None:
    expected = np.ones((2, 10), np.float32)
    with pytest.raises(ExportRefused, match=r"19 values for out0 \(\[0\]\) where the network gives 20"):
        proof.compare(answers(expected), [np.ones(19, np.float32)], "the runner")
    with pytest.raises(ExportRefused, match="1 outputs where the network gives 2"):
        proof.compare(answers(expected, expected), [expected], "the runner")


def test_the_refusal_says_where_and_how_far() -> None:
    expected = np.ones((2, 3, 4), np.float32)
    wrong = expected.copy()
    wrong[1, 2, 3] = 1.5
    with pytest.raises(
        ExportRefused, match=r"by 0.5 at \(2, 3\) of sample 1, where 0.001 is allowed \(1.5 instead of 1\)"
    ):
        proof.compare(answers(expected), [wrong], "the runner")
