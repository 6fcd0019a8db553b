"""Facts of each sample, by small examples worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bench.errors import CorruptData
from bench.measure.answers import all_facts, facts

LOGITS = hnp.arrays(np.float32, st.tuples(st.integers(1, 6), st.integers(1, 5)), elements=st.floats(-9, 9, width=32))


def test_a_class_its_rank_and_how_sure_the_network_is() -> None:
    outputs = np.log(np.array([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2]]))
    found = facts(outputs, outputs, np.array([2, 0]), "classification")
    assert found["answer"].tolist() == [1, 0]
    assert found["label"].tolist() == [2, 0]
    assert found["rank"].tolist() == [1, 0]
    np.testing.assert_allclose(found["confidence"], [0.7, 0.5])
    assert found["agrees"].tolist() == [1, 1]
    assert found["max_abs_delta"].tolist() == [0, 0]
    np.testing.assert_allclose(found["max_abs_reference"], [-np.log(0.1), -np.log(0.2)])


def test_outputs_that_are_probabilities_stay_what_they_are() -> None:
    outputs = np.array([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2]], np.float32)
    np.testing.assert_allclose(facts(outputs, outputs, None, "classification")["confidence"], [0.7, 0.5], atol=1e-6)


def test_whether_outputs_are_probabilities_is_for_the_reference_to_say() -> None:
    """A network that is slightly off must not be read by another rule than its reference."""
    reference = np.array([[0.0, 1.0], [1.0, 0.0]])
    outputs = reference + np.array([[-0.01, 0.01], [0.01, -0.01]])
    assert facts(outputs, reference, None, "classification")["confidence"].tolist() == [1, 1]


def test_equal_outputs_rank_by_their_place_as_the_answer_does() -> None:
    outputs = np.zeros((3, 4))
    found = facts(outputs, outputs, np.array([0, 1, 3]), "classification")
    assert found["answer"].tolist() == [0, 0, 0]
    assert found["rank"].tolist() == [0, 1, 3]


def test_one_channel_tells_two_classes_apart() -> None:
    logits = np.array([[3.0], [-2.0], [0.5]])
    found = facts(logits, -logits, np.array([1, 1, 0]), "classification")
    assert found["answer"].tolist() == [1, 0, 1]
    assert found["rank"].tolist() == [0, 1, 1]
    assert found["agrees"].tolist() == [0, 0, 0]
    assert found["confidence"][0] == pytest.approx(1 / (1 + np.exp(-3)))
    chances = np.array([[0.9], [0.2]])
    found = facts(chances, chances, np.array([1, 1]), "classification")
    assert found["answer"].tolist() == [1, 0]
    np.testing.assert_allclose(found["confidence"], [0.9, 0.8])


def test_classes_may_have_axes_of_length_one_behind_them() -> None:
    outputs = np.array([[1.0, 2.0]]).reshape(1, 2, 1, 1)
    assert facts(outputs, outputs, np.array([1]), "classification")["rank"].tolist() == [0]


@given(LOGITS)
@settings(deadline=None)
def test_the_rank_is_zero_where_the_answer_is_right(outputs: np.ndarray) -> None:
    for label in range(max(2, outputs.shape[1])):
        found = facts(outputs, outputs, np.full(len(outputs), label), "classification")
        np.testing.assert_array_equal(found["rank"] == 0, found["answer"] == label)
    assert found["agrees"].all()
    assert found["confidence"].min() >= 1 / max(2, outputs.shape[1]) - 1e-9


MASKS = np.array([[[1, 1, 0, 0]], [[0, 0, 0, 1]], [[0, 0, 0, 0]]])
ANSWERS = np.array([[[1, 0, 0, 1]], [[0, 0, 0, 1]], [[0, 0, 0, 0]]])


@pytest.mark.parametrize("channels", [1, 2], ids=["sign", "larger channel"])
def test_pixels_of_the_object(channels: int) -> None:
    outputs = np.stack((3.0 - 7 * ANSWERS, 7.0 * ANSWERS - 3), axis=1)[:, 2 - channels :]
    found = facts(outputs, outputs, MASKS, "segmentation")
    assert found["both"].tolist() == [1, 1, 0]
    assert found["ours"].tolist() == [2, 1, 0]
    assert found["theirs"].tolist() == [2, 1, 0]
    assert facts(outputs, -outputs, MASKS, "segmentation")["agrees"].tolist() == [0, 0, 0]


def test_pixels_of_each_of_several_classes() -> None:
    answers, masks = np.array([[[0, 1, 2, 2]]]), np.array([[[0, 2, 2, 1]]])
    outputs = np.eye(3)[answers].transpose(0, 3, 1, 2)
    found = facts(outputs, outputs, masks, "segmentation")
    assert [found[f"both.{k}"].item() for k in range(3)] == [1, 0, 1]
    assert [found[f"ours.{k}"].item() for k in range(3)] == [1, 1, 2]
    assert [found[f"theirs.{k}"].item() for k in range(3)] == [1, 1, 2]


def test_a_reconstruction_beside_its_target() -> None:
    target = np.random.default_rng(0).random((2, 3, 16, 16)).astype(np.float32)
    outputs = target + np.array([0, 0.1], np.float32).reshape(2, 1, 1, 1)
    found = facts(outputs, outputs, target, "reconstruction")
    np.testing.assert_allclose(found["squared_error"], [0, 0.01], atol=1e-7)
    assert found["peak"].tolist() == [1, 1]
    assert found["ssim"][0] == pytest.approx(1)
    assert found["ssim"][1] < 1
    assert "ssim" not in facts(outputs[..., :8], outputs[..., :8], target[..., :8], "reconstruction")
    assert set(facts(outputs, outputs, np.array([1, 2]), "reconstruction")) == {"max_abs_delta", "max_abs_reference"}


@pytest.mark.parametrize(("low", "high", "peak"), [(0, 1, 1), (-1, 1, 2), (0, 255, 255), (-5, 7, 12)])
def test_the_peak_is_what_the_targets_range_over(low: float, high: float, peak: float) -> None:
    target = np.linspace(low, high, 50).reshape(2, 25)
    assert facts(target, target, target, "other")["peak"].tolist() == [peak, peak]


def test_every_output_has_its_deltas() -> None:
    one, two = np.zeros((2, 3)), np.ones((2, 4, 5))
    found = all_facts([one, two], [one, two * 3], None, "other")
    assert set(found) == {"max_abs_delta", "max_abs_reference", "max_abs_delta.1", "max_abs_reference.1"}
    assert found["max_abs_delta.1"].tolist() == [2, 2]


def test_a_delta_does_not_overflow_float32() -> None:
    big = np.full((1, 2), 3e38, np.float32)
    assert facts(big, -big, None, "other")["max_abs_delta"] == pytest.approx(6e38)


@pytest.mark.parametrize(
    ("outputs", "reference", "labels", "task", "words"),
    [
        (np.array([[1.0, 2], [np.nan, 1]]), np.zeros((2, 2)), None, "other", "of 1 of 2 samples are not finite .* 1"),
        (np.zeros((2, 2)), np.full((2, 2), np.inf), None, "other", "outputs of the reference of 2 of 2 samples"),
        (np.zeros((2, 3)), np.zeros((2, 2)), None, "other", r"\(2, 3\) cannot be compared"),
        (np.zeros((0, 3)), np.zeros((0, 3)), None, "other", r"\(0, 3\) cannot be compared"),
        (np.zeros(3), np.zeros(3), None, "classification", "hold no classes of samples"),
        (np.zeros((2, 3, 4)), np.zeros((2, 3, 4)), None, "classification", "hold no classes of samples"),
        (np.zeros((2, 3)), np.zeros((2, 3)), np.zeros(3, int), "classification", "do not go with labels"),
        (np.zeros((2, 3)), np.zeros((2, 3)), np.array([0, 3]), "classification", "beyond 3 classes"),
        (np.zeros((2, 3)), np.zeros((2, 3)), None, "segmentation", "hold no classes of pixels"),
        (np.zeros((2, 2, 4, 4)), np.zeros((2, 2, 4, 4)), np.zeros((2, 4, 5)), "segmentation", "do not go with masks"),
        (np.zeros((2, 4)), np.zeros((2, 4)), np.zeros((2, 5)), "reconstruction", "do not go with targets"),
    ],
)
def test_what_cannot_be_judged_is_refused(
    outputs: np.ndarray, reference: np.ndarray, labels: np.ndarray | None, task: str, words: str
) -> None:
    with pytest.raises(CorruptData, match=words):
        facts(outputs, reference, labels, task)  # type: ignore[arg-type]
