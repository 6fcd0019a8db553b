"""Temperatures and thresholds of confidence, chosen on samples that trained nothing and test nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from bench.confidence import Calibration, Values, calibration_error, chances, likelihood
from bench.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

    from bench.compress.training import Samples

_LOWEST, _HIGHEST = 0.02, 50.0
"""Of temperatures: far beyond what any network needs, and within what a runner takes."""
_DIGITS = 9
"""Of thresholds and temperatures, which a job file holds as decimals: what is chosen is what runs."""


class Told(NamedTuple):
    """What a network says of the validation part: scores (N, K), and the right classes (N,)."""

    scores: Values
    labels: NDArray[np.int64]

    @property
    def right(self) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = self.scores.argmax(axis=1) == self.labels
        return found


def told(module: nn.Module, samples: Samples, name: str) -> Told:
    """Raises UsageError for a network whose answers are not scores of classes without a softmax; `name` is its own."""
    from bench.compress import training

    found = list(training.answered(module, samples))
    labels = np.concatenate([expected.numpy() for _, expected in found])
    shapes = {tuple(outputs.shape[1:]) for outputs, _ in found}
    first = shapes.pop()
    if (
        labels.ndim != 1
        or labels.dtype.kind != "i"
        or not first
        or first[0] < 2
        or any(side != 1 for side in first[1:])
    ):
        raise UsageError(
            f"{name} does not answer with one score for each of two classes or more, so its confidence is unknown",
            "Leave `validation` and cascades out for this network.",
        )
    scores = np.concatenate([outputs.numpy() for outputs, _ in found]).reshape(len(labels), -1).astype(np.float64)
    if not np.isfinite(scores).all():
        raise UsageError(f"{name} answers with values that are not finite", "Train it again with another seed.")
    if scores.min() >= 0 and scores.max() <= 1 and np.allclose(scores.sum(axis=1), 1, atol=1e-3):
        raise UsageError(
            f"{name} answers with probabilities, and a temperature is of the scores before the softmax",
            "Let it return these; the softmax belongs to the training's loss.",
        )
    if labels.min() < 0 or labels.max() >= scores.shape[1]:
        raise UsageError(
            f"the data has class {labels.max()}, and {name} has {scores.shape[1]} classes", "Use data of this network."
        )
    return Told(scores, labels)


def temperature(found: Told) -> float:
    """The temperature of the least negative log-likelihood, which has one minimum over 1/T (Guo et al. 2017)."""
    bounds = (np.log(_LOWEST), np.log(_HIGHEST))
    best = optimize.minimize_scalar(
        lambda log: likelihood(found.scores, found.labels, float(np.exp(log))), bounds=bounds, method="bounded",
        options={"xatol": 1e-6},
    )  # fmt: skip
    return round(float(np.exp(best.x)), _DIGITS)


def calibration(found: Told) -> Calibration:
    """The temperature of one network, and what it does for the samples it was fitted on."""
    own = temperature(found)
    return calibrated((own,), np.zeros(len(found.labels), np.int64), found)


def calibrated(temperatures: tuple[float, ...], which: NDArray[np.int64], found: Told) -> Calibration:
    """What these temperatures do, of which sample n has number `which[n]`."""
    own = np.array(temperatures)[which]
    sure = [chances(found.scores, one).max(axis=1) for one in (1.0, own)]
    return Calibration(
        temperatures=temperatures,
        samples=len(found.labels),
        nll=(likelihood(found.scores, found.labels), likelihood(found.scores / own[:, None], found.labels)),
        ece=(calibration_error(sure[0], found.right), calibration_error(sure[1], found.right)),
    )


def threshold(confidence: Values, small: NDArray[np.bool_], robust: NDArray[np.bool_], goal: float) -> float | None:
    """The lowest threshold from which on, whatever higher one is taken, an accuracy of at least `goal` is kept.

    Of N samples, `confidence` is how sure the small network is, `small` and `robust` whether each of both is right. It
    is midway between the confidences of two samples. None where not even the robust network alone reaches the goal.
    """
    order = np.argsort(confidence, kind="stable")
    sure = confidence[order]
    # kept[k]: how many are right where the robust one is asked for the k least sure samples.
    kept = np.concatenate(([0], np.cumsum(robust[order]))) + np.concatenate((np.cumsum(small[order][::-1])[::-1], [0]))
    possible = np.concatenate(([True], sure[1:] > sure[:-1], [True]))  # no threshold divides equal confidences
    enough = kept / len(sure) >= goal - 1e-12
    if not enough[-1]:
        return None
    failing = np.flatnonzero(possible & ~enough)
    count = int(failing[-1]) + 1 if len(failing) else 0
    while not possible[count]:
        count += 1
    if count == 0:
        return 0.0
    if count == len(sure):
        return 2.0  # beyond any confidence
    return round(float(sure[count - 1] + sure[count]) / 2, _DIGITS)
