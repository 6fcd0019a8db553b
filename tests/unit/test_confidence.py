"""Confidence at a temperature, and the time of a cascade, by small examples worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bench.confidence import by_route, calibration_error, chances, likelihood, typical


def test_a_temperature_changes_how_sure_an_answer_is_and_not_which_it_is() -> None:
    scores = np.log(np.array([[0.8, 0.2], [0.1, 0.9]]))
    warm = chances(scores, 2.0)
    assert warm.argmax(axis=1).tolist() == [0, 1]
    np.testing.assert_allclose(warm[0, 0], np.sqrt(0.8) / (np.sqrt(0.8) + np.sqrt(0.2)))
    np.testing.assert_allclose(chances(scores, np.array([1.0, 2.0])), [[0.8, 0.2], warm[1]])


def test_the_calibration_error_is_the_mean_distance_of_its_bins() -> None:
    assert calibration_error(np.array([0.9, 0.9, 0.5, 0.5]), np.array([1, 1, 1, 0])) == pytest.approx(0.05)
    assert calibration_error(np.ones(3), np.ones(3)) == 0


def test_the_likelihood_is_that_of_the_right_classes() -> None:
    scores = np.log(np.array([[0.8, 0.2], [0.5, 0.5]]))
    assert likelihood(scores, np.array([0, 1])) == pytest.approx(-(np.log(0.8) + np.log(0.5)) / 2)


def test_one_interrupted_inference_does_not_move_the_time_of_a_cascade() -> None:
    times, asked = np.array([1.0, 1.0, 1.0, 9.0, 9.0, 500.0]), np.array([0.0, 0, 0, 1, 1, 1])
    assert by_route(times, asked).tolist() == [1, 1, 1, 9, 9, 9]
    assert typical(times.tolist(), asked.tolist()) == 5
    assert typical([1, 2, 300], []) == 2
