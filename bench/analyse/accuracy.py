"""Outputs against labels, and outputs against the reference's outputs.

Outputs are N×K for classification and N×C×H×W for segmentation. The answer of a sample or pixel is the largest
channel; with one channel only, the sign of its logit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import CorruptData


def top1(outputs: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]]) -> float:
    """The fraction of N samples whose answer is the label. `outputs` is N×K, `labels` N. Raises CorruptData."""
    if outputs.ndim != 2 or labels.shape != outputs.shape[:1]:
        raise CorruptData(
            f"outputs of shape {outputs.shape} do not go with labels of shape {labels.shape}",
            "Classification outputs are samples × classes, with one label a sample.",
        )
    return float(np.mean(_answers(outputs) == labels))


def dice(outputs: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]]) -> float:
    """The mean Dice of class 1 over samples: 2 |A ∩ B| / (|A| + |B|), 1 where neither has a pixel.

    `outputs` is N×C×H×W, `labels` N×H×W. Raises CorruptData.
    """
    if outputs.ndim != 4 or labels.shape != outputs.shape[:1] + outputs.shape[2:]:
        raise CorruptData(
            f"outputs of shape {outputs.shape} do not go with masks of shape {labels.shape}",
            "Segmentation outputs are samples × classes × height × width, with one label a pixel.",
        )
    ours, theirs = (mask.reshape(len(mask), -1) == 1 for mask in (_answers(outputs), labels))
    both, sizes = (ours & theirs).sum(axis=1), ours.sum(axis=1) + theirs.sum(axis=1)
    return float(np.mean(np.where(sizes > 0, 2 * both / np.maximum(sizes, 1), 1.0)))


def agreement(outputs: NDArray[np.floating[Any]], reference: NDArray[np.floating[Any]]) -> float:
    """The fraction of samples (N×K) or pixels (N×C×H×W) with the reference's answer. Raises CorruptData."""
    _same_shape(outputs, reference)
    return float(np.mean(_answers(outputs) == _answers(reference)))


def max_abs_delta(outputs: NDArray[np.floating[Any]], reference: NDArray[np.floating[Any]]) -> float:
    """The largest |output − reference|, computed in float64. Raises CorruptData."""
    _same_shape(outputs, reference)
    _finite(outputs)
    _finite(reference)
    return float(np.max(np.abs(outputs.astype(np.float64) - reference.astype(np.float64))))


def _answers(outputs: NDArray[np.floating[Any]]) -> NDArray[np.integer[Any]]:
    if outputs.ndim not in (2, 4) or outputs.size == 0:
        raise CorruptData(
            f"outputs of shape {outputs.shape} hold no answers",
            "Expected samples × classes, or samples × classes × height × width, none of them 0.",
        )
    _finite(outputs)
    if outputs.shape[1] == 1:
        return (outputs[:, 0] > 0).astype(np.int64)
    answers: NDArray[np.integer[Any]] = np.argmax(outputs, axis=1)
    return answers


def _same_shape(outputs: NDArray[np.floating[Any]], reference: NDArray[np.floating[Any]]) -> None:
    if outputs.shape != reference.shape or outputs.size == 0:
        raise CorruptData(
            f"outputs of shape {outputs.shape} cannot be compared with a reference of shape {reference.shape}",
            "Both must come from the same samples and the same network.",
        )


def _finite(outputs: NDArray[np.floating[Any]]) -> None:
    bad = int(np.size(outputs) - np.count_nonzero(np.isfinite(outputs)))
    if bad:
        raise CorruptData(
            f"{bad:,} of {outputs.size:,} outputs are not finite numbers",
            "The network overflowed: try fp32, and check the weights.",
        )
