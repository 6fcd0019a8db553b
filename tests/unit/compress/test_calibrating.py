"""Temperatures and thresholds, on answers whose right ones are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bench.compress import calibrating
from bench.compress.calibrating import Told, calibration, temperature, threshold
from bench.compress.training import Images
from bench.confidence import chances
from bench.errors import UsageError


def drawn(sharp: float, n: int = 4000) -> Told:
    """Scores whose softmax is right at the temperature `sharp`: labels are drawn from it."""
    random = np.random.default_rng(7)
    scores = random.normal(size=(n, 4)) * 2
    labels = np.array([random.choice(4, p=p) for p in chances(scores)])
    return Told(scores * sharp, labels)


@pytest.mark.parametrize("sharp", [0.5, 1.0, 3.0])
def test_the_temperature_of_scores_that_are_too_sharp_makes_them_right_again(sharp: float) -> None:
    found = drawn(sharp)
    assert temperature(found) == pytest.approx(sharp, rel=0.1)
    fitted = calibration(found)
    assert fitted.nll[1] <= fitted.nll[0] + 1e-9
    if sharp == 3.0:
        assert fitted.ece[1] < 0.03 < fitted.ece[0]


def test_a_network_that_is_always_right_has_a_finite_temperature() -> None:
    scores = np.eye(3)[np.arange(30) % 3] * 5
    assert 0.001 <= temperature(Told(scores, np.arange(30) % 3)) < 1


def test_the_threshold_asks_for_no_more_than_the_goal_needs() -> None:
    sure = np.array([0.3, 0.5, 0.7, 0.9])
    small, robust = np.array([False, False, True, True]), np.array([True, True, True, True])
    assert threshold(sure, small, robust, 1.0) == pytest.approx(0.6)
    assert threshold(sure, small, robust, 0.75) == pytest.approx(0.4)
    assert threshold(sure, small, robust, 0.5) == 0


def test_a_goal_beyond_the_robust_network_has_no_threshold() -> None:
    assert threshold(np.array([0.5, 0.6]), np.array([True, True]), np.array([True, False]), 0.9) is None


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([0.2, 0.4, 0.4, 0.6, 0.8]), st.booleans(), st.booleans()), min_size=1),
    st.floats(0, 1),
)
def test_every_threshold_from_the_chosen_one_on_keeps_the_goal(
    rows: list[tuple[float, bool, bool]], goal: float
) -> None:
    sure, small, robust = (np.array(column) for column in zip(*rows, strict=True))
    chosen = threshold(sure, small, robust, goal)
    if chosen is None:
        assert robust.mean() < goal
        return
    for higher in (chosen, *(one + 1e-6 for one in sure if one >= chosen), 2.0):
        assert np.where(sure < higher, robust, small).mean() >= goal - 1e-9


class Probabilities(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.softmax(1)


@pytest.mark.parametrize(
    ("module", "words"), [(Probabilities(), "probabilities"), (nn.Conv1d(1, 1, 1), "one score for each")]
)
def test_a_network_without_scores_of_classes_is_refused(module: nn.Module, words: str, tmp_path: Path) -> None:
    module.register_parameter("any", nn.Parameter(torch.zeros(1)))
    shape = (6, 1, 3) if isinstance(module, nn.Conv1d) else (6, 3)
    samples = Images(np.random.default_rng(0).normal(size=shape).astype(np.float32), np.arange(6) % 3)
    with pytest.raises(UsageError, match=words):
        calibrating.told(module, samples, "net")
