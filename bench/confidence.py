"""How sure a network is of its answers: temperatures, the calibration error, and networks that ask another one.

Temperature scaling (Guo et al., On Calibration of Modern Neural Networks, ICML 2017): the scores s of a classifier
become softmax(s / T), with one T for all samples, which changes no answer and makes confidence mean what it says.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

BINS = 15
"""Of confidence, for the calibration error: as many as in that publication."""

Values = NDArray[np.float64]


class _Fitted(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Calibration(_Fitted):
    """Temperatures of an artifact, fitted on `samples` of a validation part by the mean negative log-likelihood.

    There is one; of a cascade two, that of the small network's answers first. `nll` (nats) and `ece` (0 to 1) are those
    of the validation part at temperature 1 and at these.
    """

    temperatures: tuple[float, ...] = Field(min_length=1, max_length=2)
    samples: int
    nll: tuple[float, float]
    ece: tuple[float, float]


class Cascade(_Fitted):
    """A small network that answers, and when it asks the ordinary one: where its confidence at `temperature` is below
    `threshold`.

    `small` is the variant that it is, `goal` the accuracy that was to be kept (-0.5pt, 97%). The rest is of the
    `samples` of the validation part, on which the threshold was chosen: the accuracies of the small network, the
    ordinary one and both, 0 to 1, and the share of samples for which the ordinary one is `asked`.
    """

    small: str
    threshold: float
    temperature: float
    goal: str
    samples: int
    accuracy: tuple[float, float, float]
    asked: float


def chances(scores: NDArray[np.floating[Any]], temperature: float | Values = 1.0) -> Values:
    """The probability of each class: softmax of `scores` (N, K, …) over axis 1, at one temperature or at one a sample,
    (N,)."""
    values = scores.astype(np.float64)
    values = values / np.reshape(temperature, (-1, *[1] * (values.ndim - 1)))
    raised = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def bins_of(confidence: Values) -> NDArray[np.int64]:
    """Which of BINS equal bins of 0 to 1 each confidence (N,) is in; the upper edge of a bin belongs to it."""
    found: NDArray[np.int64] = np.clip(np.ceil(confidence * BINS) - 1, 0, BINS - 1).astype(np.int64)
    return found


def calibration_error(confidence: Values, right: NDArray[Any]) -> float:
    """The expected calibration error of N answers, 0 to 1: over bins of confidence, the mean distance between how many
    are right and how sure they are, each bin by its samples."""
    gaps = np.bincount(bins_of(confidence), right - confidence, BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def by_route(times: Values, asked: Values) -> Values:
    """Of N inferences of a cascade in one launch, for each the median of the times of those that went the same way: by
    the small network alone, or on to the ordinary one, (N,).

    The mean of these is the time of a cascade. A median alone would be that of the small network wherever it answers
    most samples, and a mean alone holds what interrupts single inferences, which no median of another network does.
    """
    found = np.empty(len(times))
    for way in (0.0, 1.0):
        if (asked == way).any():
            found[asked == way] = np.median(times[asked == way])
    return found


def typical(times: Sequence[float], asked: Sequence[float]) -> float:
    """What stands for the inferences of one launch: the median of their times; of a cascade, with one of `asked` for
    each, the mean `by_route`."""
    if len(asked) != len(times):
        return statistics.median(times)
    return float(by_route(np.array(times), np.array(asked)).mean())


def likelihood(scores: Values, labels: NDArray[np.integer[Any]], temperature: float = 1.0) -> float:
    """The mean negative log-likelihood, in nats, of the right classes `labels` (N,) by `scores` (N, K)."""
    values = scores / temperature
    values = values - values.max(axis=1, keepdims=True)
    own = np.take_along_axis(values, labels[:, None].astype(np.int64), axis=1)[:, 0]
    return float((np.log(np.exp(values).sum(axis=1)) - own).mean())
