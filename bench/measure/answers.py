"""What a network answered, sample by sample, as the facts from which `bench.analyse.scores` computes every score.

A fact is a number for each sample. They are stored instead of outputs, which may be large, and they are all that a
score, its interval over samples and a paired test need.

    every output        max_abs_delta, max_abs_reference    largest |output − reference|, largest |reference|
    classification      answer, confidence, agrees          the class, its probability, 1 where the reference answers so
      with labels       label, rank                         the right class, how many classes come before it
      at a temperature  calibrated                          its probability where the scores are divided by that
      of a cascade      asked                               1 where the ordinary network was asked, else 0
    segmentation        agrees                              part of the pixels that the reference answers so
      with masks        both, ours, theirs                  pixels of class 1 in answer and mask, in answer, in mask
      of > 2 classes    both.k, ours.k, theirs.k            the same for each class k
    reconstruction      squared_error, peak, ssim           mean over values, range of the target's values
      with targets

The answer of a sample or pixel is the largest channel. With one channel it is whether that is positive; of a
probability, whether it exceeds one half. Outputs are taken for probabilities where the reference's are: between 0 and
1, and several channels add up to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.confidence import Calibration, chances
from bench.errors import CorruptData
from bench.measure.ssim import WINDOW, ssim
from bench.records import Task

Values = NDArray[np.floating[Any]]
Facts = dict[str, NDArray[np.float64]]


def all_facts(
    outputs: Sequence[Values], references: Sequence[Values], labels: NDArray[Any] | None, task: Task,
    calibration: Calibration | None = None, *, cascade: bool = False,
) -> Facts:  # fmt: skip
    """`facts` of the first output, and the deltas of every other, k, as `max_abs_delta.k`, `max_abs_reference.k`.

    With a `calibration` there is confidence at its temperature too; of a `cascade`, whose last output says for which
    samples the ordinary network was asked, at the temperature of the one that answered. Raises CorruptData as `facts`
    does.
    """
    found = facts(outputs[0], references[0], labels, task)
    for place, (ours, theirs) in enumerate(zip(outputs[1:], references[1:], strict=True), 1):
        found |= {f"{fact}.{place}": values for fact, values in _deltas(ours, theirs).items()}
    which = np.zeros(len(outputs[0]), np.int64)
    if cascade:
        found["asked"] = (outputs[-1].reshape(-1) > 0.5).astype(np.float64)
        which = found["asked"].astype(np.int64)
    if calibration and task == "classification" and not _are_chances(_flat(references[0])):
        values = _compared(_flat(outputs[0]), are_chances=False)
        found["calibrated"] = chances(values, np.array(calibration.temperatures)[which]).max(axis=1)
    return found


def facts(outputs: Values, reference: Values, labels: NDArray[Any] | None, task: Task) -> Facts:
    """The facts of N samples: `outputs` and `reference` (N, …) of the same network, each fact (N,) float64.

    `labels` are classes (N,), masks (N, H, W) or target pictures in the outputs' shape; those of another task are
    ignored. Raises CorruptData for outputs that are not finite, and for shapes that do not go together.
    """
    found = _deltas(outputs, reference)
    if task == "classification":
        found |= _classification(_flat(outputs), _flat(reference), labels)
    elif task == "segmentation":
        found |= _segmentation(outputs, reference, labels)
    elif labels is not None and labels.dtype.kind == "f":
        found |= _reconstruction(outputs, labels)
    return found


def classes(outputs: Values, reference: Values) -> NDArray[np.int64]:
    """The class answered for each pixel (N, H, W), or for each sample (N,); `reference` (M, K, …) says whether outputs
    are probabilities."""
    found: NDArray[np.int64] = _compared(outputs, _are_chances(reference)).argmax(axis=1)
    return found


def _deltas(outputs: Values, reference: Values) -> Facts:
    if outputs.shape != reference.shape or outputs.size == 0:
        raise CorruptData(
            f"outputs of shape {outputs.shape} cannot be compared with a reference of shape {reference.shape}",
            "Both must come from the same samples and the same network.",
        )
    ours, theirs = (values.reshape(len(values), -1).astype(np.float64) for values in (outputs, reference))
    for values, whose in ((ours, "outputs"), (theirs, "outputs of the reference")):
        if bad := np.flatnonzero(~np.isfinite(values).all(axis=1)).tolist():
            raise CorruptData(
                f"{whose} of {len(bad):,} of {len(values):,} samples are not finite numbers, first of sample {bad[0]}",
                "The network overflowed: try fp32, and check the weights.",
            )
    return {"max_abs_delta": np.abs(ours - theirs).max(axis=1), "max_abs_reference": np.abs(theirs).max(axis=1)}


def _flat(outputs: Values) -> Values:
    """Classification outputs (N, K); trailing axes of length 1 are ignored."""
    if outputs.ndim < 2 or any(side != 1 for side in outputs.shape[2:]):
        raise CorruptData(
            f"outputs of shape {outputs.shape} hold no classes of samples",
            "Expected samples × classes, none of them 0.",
        )
    return outputs.reshape(outputs.shape[:2])


def _classification(outputs: Values, reference: Values, labels: NDArray[Any] | None) -> Facts:
    already = _are_chances(reference)
    values, expected = _compared(outputs, already), _compared(reference, already)
    answer = values.argmax(axis=1)
    confidence = np.take_along_axis(_chances(outputs, already), answer[:, None], axis=1)[:, 0]
    found = {
        "answer": answer.astype(np.float64),
        "confidence": confidence.clip(0, 1),
        "agrees": (answer == expected.argmax(axis=1)).astype(np.float64),
    }
    if labels is None:
        return found
    if labels.shape != outputs.shape[:1]:
        raise CorruptData(
            f"outputs of shape {outputs.shape} do not go with labels of shape {labels.shape}",
            "Classification outputs are samples × classes, with one label a sample.",
        )
    if labels.min() < 0 or labels.max() >= values.shape[1]:
        raise CorruptData(f"labels from {labels.min()} to {labels.max()} are beyond {values.shape[1]} classes")
    own = np.take_along_axis(values, labels[:, None], axis=1)
    before = (values > own) | ((values == own) & (np.arange(values.shape[1]) < labels[:, None]))
    return found | {"label": labels.astype(np.float64), "rank": before.sum(axis=1).astype(np.float64)}


def _are_chances(reference: Values) -> bool:
    if reference.min() < 0 or reference.max() > 1:
        return False
    return reference.shape[1] == 1 or bool(np.allclose(reference.sum(axis=1), 1, atol=1e-3))


def _compared(outputs: Values, are_chances: bool) -> Values:
    """Values (N, K, …), K ≥ 2, whose largest is the answer: one channel is compared with its threshold."""
    if outputs.shape[1] > 1:
        return outputs
    return np.concatenate((np.full_like(outputs, 0.5 if are_chances else 0), outputs), axis=1)


def _chances(outputs: Values, already: bool) -> NDArray[np.float64]:
    """The probability of each class (N, K, …); of one channel, those of its two answers."""
    values = outputs.astype(np.float64)
    if outputs.shape[1] == 1:
        if already:
            return np.concatenate((1 - values, values), axis=1)
        values = np.concatenate((np.zeros_like(values), values), axis=1)
    return values if already else chances(values)


def _segmentation(outputs: Values, reference: Values, labels: NDArray[Any] | None) -> Facts:
    if outputs.ndim != 4 or (labels is not None and labels.shape != (len(outputs), *outputs.shape[2:])):
        given = "" if labels is None else f" do not go with masks of shape {labels.shape}"
        raise CorruptData(
            f"outputs of shape {outputs.shape}{given or ' hold no classes of pixels'}",
            "Segmentation outputs are samples × classes × height × width, with one label a pixel.",
        )
    already = _are_chances(reference)
    ours, expected = (
        _compared(values, already).argmax(axis=1).reshape(len(values), -1) for values in (outputs, reference)
    )
    found = {"agrees": (ours == expected).mean(axis=1)}
    if labels is None:
        return found
    theirs = labels.reshape(len(labels), -1)
    count = outputs.shape[1]
    for suffix, one in (("", 1),) if count <= 2 else tuple((f".{k}", k) for k in range(count)):
        a, b = ours == one, theirs == one
        for fact, pixels in (("both", a & b), ("ours", a), ("theirs", b)):
            found[fact + suffix] = pixels.sum(axis=1).astype(np.float64)
    return found


def _reconstruction(outputs: Values, targets: NDArray[Any]) -> Facts:
    if targets.shape != outputs.shape:
        raise CorruptData(
            f"outputs of shape {outputs.shape} do not go with targets of shape {targets.shape}",
            "A reconstruction is compared with pictures of its own shape.",
        )
    ours, theirs = outputs.astype(np.float64), targets.astype(np.float64)
    peak = _peak(theirs)
    squared = ((ours - theirs) ** 2).reshape(len(ours), -1).mean(axis=1)
    found = {"squared_error": squared, "peak": np.full(len(ours), peak)}
    if ours.ndim == 4 and min(ours.shape[2:]) >= WINDOW:
        found["ssim"] = np.array([ssim(a, b, peak) for a, b in zip(ours, theirs, strict=True)])
    return found


def _peak(targets: NDArray[np.float64]) -> float:
    """The range of possible values: 1, 2 or 255, as the values tell; else the range they have."""
    low, high = float(targets.min()), float(targets.max())
    for least, most in ((0, 1), (-1, 1), (0, 255)):
        if least <= low and high <= most:
            return most - least
    return high - low or 1.0
