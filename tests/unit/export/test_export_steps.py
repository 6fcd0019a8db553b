"""How far answers that depend on rounding steps can be held to torch's: said, or refused where it proves nothing."""

from __future__ import annotations

import numpy as np
import pytest

from bench.errors import ExportRefused
from bench.export import steps
from bench.export.answers import Answers
from bench.records import Tensor

WHOLE = np.array([[1.0, -4.0], [2.0, 0.5]], np.float32)


def answered(share: float | None) -> Answers:
    """Answers of two samples, each in doubt by that part of its largest value."""
    doubts = () if share is None else (np.float32(share) * np.array([4, 2], np.float32),)
    return Answers((Tensor(name="out0", shape=(2,)),), ("",), (WHOLE,), doubts)


@pytest.mark.parametrize("share", [None, 0.0, 0.009])
def test_what_is_held_closely_needs_no_word(share: float | None) -> None:
    assert steps.loose("net", answered(share)) is None


def test_how_loosely_is_said() -> None:
    assert "within 9.2% of a sample's largest" in (steps.loose("net", answered(0.092)) or "")


def test_a_comparison_that_proves_nothing_is_refused() -> None:
    with pytest.raises(ExportRefused, match="by 30% of the largest") as refused:
        steps.loose("net", answered(0.3))
    assert "int8-weights" in refused.value.fix
